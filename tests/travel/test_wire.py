"""Requests, as far as they name cache volumes."""

import pytest
from graphql import parse, print_ast

from pipelines._travel import wire

MOUNTED = (
    '{ container { from(address: "a") { withMountedCache(path: "/c", cache: "id", sharing: LOCKED)'
    ' { withExec(args: ["x"]) { stdout } } } } }'
)
NODE = '{ node(id: "x") { ... on Container { withMountedCache(path: "/c", cache: "id") { id } } } }'


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        ('{ cacheVolume(key: "k") { id } }', "k"),
        ('{ cacheVolume(key: "a \\"b\\"", sharing: LOCKED) { id } }', 'a "b"'),
        ('query { cacheVolume(key: "k") { sync } }', ""),
        ('{ host { directory(path: "k") { id } } }', ""),
        ('{ cacheVolume(key: "k") { id } version }', ""),
        ("{ __schema { types { name } } }", ""),
    ],
)
def test_the_id_of_a_volume_is_asked_for_by_a_request_of_its_own(request_, key):
    assert wire.asked(parse(request_)) == key


def test_a_source_takes_the_place_of_another_and_the_rest_stays():
    request_ = parse('{ cacheVolume(key: "k", source: "mine", owner: "bob") { id } }')
    assert " ".join(print_ast(wire.seeded(request_, "S")).split()) == (
        '{ cacheVolume(key: "k", owner: "bob", source: "S") { id } }'
    )


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (MOUNTED, '{ container { from(address: "a") { rootfs { id } } } }'),
        (NODE, '{ node(id: "x") { ... on Container { rootfs { id } } } }'),
    ],
)
def test_the_container_before_a_mount_can_be_asked_for(request_, asked):
    (mount,) = wire.mounts(parse(request_))
    assert mount.volume == "id"
    assert " ".join(print_ast(wire.before(mount, "rootfs", "id")).split()) == asked


def test_a_volume_is_mounted_elsewhere_as_it_was():
    (mount,) = wire.mounts(parse(MOUNTED))
    alone = wire.chained([wire.remounted(mount, "/v")])
    assert " ".join(print_ast(alone).split()) == (
        '{ withMountedCache(cache: "id", sharing: LOCKED, path: "/v") }'
    )


def test_every_mount_of_a_request_is_found():
    outer = 'withMountedCache(path: "/d", cache: "e")'
    request_ = MOUNTED.replace('from(address: "a")', outer)
    assert [mount.volume for mount in wire.mounts(parse(request_))] == ["e", "id"]
