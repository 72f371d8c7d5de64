"""From platforms and options to variables and flags."""

import pytest

from pipelines import Platform, UsageError
from pipelines._targets import VARIANTS
from pipelines.go._caches import caches
from pipelines.go._target import environment, go_build, ldflags_with


@pytest.mark.parametrize(
    ("platform", "variables"),
    [
        ("linux/arm/v6", {"GOOS": "linux", "GOARCH": "arm", "GOARM": "6"}),
        ("linux/arm64", {"GOOS": "linux", "GOARCH": "arm64"}),
        ("linux/arm64/v8", {"GOOS": "linux", "GOARCH": "arm64", "GOARM64": "v8.0"}),
        ("linux/amd64/v3", {"GOOS": "linux", "GOARCH": "amd64", "GOAMD64": "v3"}),
        ("linux/386/softfloat", {"GOOS": "linux", "GOARCH": "386", "GO386": "softfloat"}),
        ("linux/mips/softfloat", {"GOOS": "linux", "GOARCH": "mips", "GOMIPS": "softfloat"}),
        ("linux/ppc64le/power9", {"GOOS": "linux", "GOARCH": "ppc64le", "GOPPC64": "power9"}),
        ("linux/riscv64/rva22u64", {"GOOS": "linux", "GOARCH": "riscv64", "GORISCV64": "rva22u64"}),
    ],
)  # fmt: skip
def test_the_variant_becomes_the_variable_that_go_reads(platform, variables):
    assert environment(Platform.parse(platform)) == {"CGO_ENABLED": "0", **variables}


def test_no_variant_is_ever_passed_as_images_spell_arm():
    assert all(not value.startswith("v") for value in VARIANTS["arm"][1].values())


def test_without_a_platform_go_builds_for_where_it_runs():
    assert environment(None) == {"CGO_ENABLED": "0"}
    assert environment(None, cgo=True) == {"CGO_ENABLED": "1"}


def test_a_build_is_reproducible_by_default():
    assert go_build(["./cmd/..."]) == [
        "go", "build", "-trimpath", "-buildvcs=false", "-o", "/out/", "./cmd/...",
    ]  # fmt: skip


def test_every_option_is_a_flag():
    command = go_build(
        ["."],
        Platform("windows", "amd64"),
        ldflags="-s -w",
        tags=["a", "b"],
        trimpath=False,
        race=True,
        cover=True,
        output="tool",
    )
    assert command == [
        "go", "build", "-buildvcs=false", "-race", "-tags=a,b", "-cover", "-ldflags=-s -w",
        "-o", "/out/tool.exe", ".",
    ]  # fmt: skip


def test_an_output_is_a_name():
    with pytest.raises(UsageError, match="not a path"):
        go_build(["."], output="../x")


@pytest.mark.parametrize(
    ("value", "flag"),
    [("1.2", "-X main.v=1.2"), ("a b", "-X 'main.v=a b'"), ("it's", '-X "main.v=it\'s"')],
)
def test_stamps_are_quoted_as_go_splits(value, flag):
    assert ldflags_with("-s", {"main.v": value}) == f"-s {flag}"


def test_a_stamp_that_cannot_be_is_an_error():
    with pytest.raises(UsageError, match="both kinds of quotes"):
        ldflags_with("", {"main.v": "'\""})
    with pytest.raises(UsageError, match=r"package\.variable"):
        ldflags_with("", {"version": "1"})


def test_targets_share_modules_and_nothing_else():
    targets = [
        caches("1.26", Platform("linux", "arm", "v6")),
        caches("1.26", Platform("linux", "arm", "v7")),
        caches("1.25", Platform("linux", "arm", "v6")),
        caches("1.26"),
        caches("1.26", race=True),
        caches("1.26", cgo=True),
        caches("1.26", cgo=True, compiler="zig"),
    ]
    assert len({modules for modules, _ in targets}) == 1
    assert len({build.key for _, build in targets}) == len(targets)
    assert targets[0][1].key == "go-build-1.26-linux-arm-v6"


def test_without_c_the_compiler_is_no_part_of_a_volume():
    target = Platform("linux", "arm64")
    assert caches("1.26", target, compiler="zig") == caches("1.26", target)
    assert caches("1.26", target, cgo=True, race=True) == caches("1.26", target, race=True)


def test_the_c_of_an_image_is_in_a_volume_of_that_image_alone():
    target = Platform("linux", "amd64")
    names = [
        caches("1.26", target, cgo=True)[1].key,
        caches("1.26", target, cgo=True, image="one")[1].key,
        caches("1.26", target, cgo=True, image="two")[1].key,
    ]
    assert len(set(names)) == 3
    assert all(name.startswith("go-build-1.26-linux-amd64-cgo") for name in names)
    plain = caches("1.26", target)
    assert caches("1.26", target, image="one") == plain
    zig = caches("1.26", target, cgo=True, compiler="zig")
    assert caches("1.26", target, cgo=True, compiler="zig", image="one") == zig
