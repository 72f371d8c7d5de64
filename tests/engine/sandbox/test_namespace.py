import os

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox import binary, namespace
from pipelines.engine.sandbox.probe import probe
from tests.engine.sandbox.session import enter_as, in_child


def test_ranges_are_found_by_name_and_by_number():
    text = "other:1:65536\nme:100000:65536\n1000:300000:10\nme:bad:1\n\n"
    found = namespace.subordinate(text, "me", 1000)
    assert found == [namespace.Range(100000, 65536), namespace.Range(300000, 10)]


def test_an_identity_map_covers_what_is_mapped():
    text = "         0       1000          1\n         1     100000      65536\n"
    assert namespace.extents(text) == "0 0 1\n1 1 65536\n"


@pytest.mark.sandbox
@pytest.mark.parametrize("mode", ["root", "ranges", "single"])
def test_a_session_is_root_of_its_own_mounts(mode, tmp_path):
    def inside():
        before = os.readlink("/proc/self/ns/mnt")
        entered = enter_as(mode, tmp_path)
        with open("/proc/self/uid_map") as file:
            ids = sum(int(line.split()[2]) for line in file)
        return entered, os.getuid(), os.getgid(), before != os.readlink("/proc/self/ns/mnt"), ids

    entered, uid, gid, own, ids = in_child(inside)
    assert (entered, uid, gid, own) == (mode, 0, 0, True)
    assert {"single": ids == 1, "ranges": ids > 1000, "root": ids > 1000}[mode]


@pytest.mark.sandbox
def test_entering_twice_is_possible_and_a_mount_stays_inside(tmp_path):
    def inside():
        import ctypes

        namespace.enter()
        mount = ctypes.CDLL(None).mount
        return mount(b"none", bytes(tmp_path), b"tmpfs", 0, None), os.path.ismount(tmp_path)

    assert in_child(inside) == (0, True)
    assert not os.path.ismount(tmp_path)


def test_the_probe_says_what_is_wrong_and_what_to_do(tmp_path):
    def refused() -> str:
        raise SandboxError("sysctl -w user.max_user_namespaces=65536")

    def missing() -> str:
        raise SandboxError("install the package bubblewrap")

    found = {finding.name: finding for finding in probe(refused, missing, str(tmp_path))}
    assert not any(finding.ok for finding in found.values())
    assert "max_user_namespaces" in found["session namespace"].seen
    assert "bubblewrap" in found["bubblewrap"].seen


def test_the_probe_leaves_this_process_where_it_is(tmp_path):
    before = os.readlink("/proc/self/ns/mnt")
    assert probe(lambda: "ranges", lambda: "/bin/bwrap", str(tmp_path))[0].ok
    assert before == os.readlink("/proc/self/ns/mnt")


def test_versions_are_compared_as_numbers():
    assert binary.parse_version("bubblewrap 0.11.0\n") == (0, 11, 0)
    assert binary.parse_version("something else") is None
    assert (0, 11, 0) >= binary.OLDEST > (0, 6, 2)


def test_an_old_bwrap_is_passed_over(tmp_path):
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.4.0\n")
    old.chmod(0o755)
    try:
        assert binary.find(str(tmp_path)) != str(old)
    except SandboxError as exc:
        assert "0.4.0" in str(exc)
