import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.argv import Descriptors, Masks, arguments, encode, masks
from pipelines.engine.sandbox.base import Bind, Spec, Tmpfs

MASKS = Masks(("/proc/kcore",), ("/proc/acpi", "/sys/firmware"), ("/proc/sys",))


def spelled(spec: Spec, fds: Descriptors = Descriptors(), hidden: Masks = Masks()) -> str:  # noqa: B008
    return " ".join(arguments(spec, fds, hidden, ["CAP_CHOWN"]))


def test_the_whole_of_a_root_command():
    spec = Spec("/r", ("x",), {"B": "2", "A": "1 1"}, cwd="/w", mounts=(Bind("/s", "/t"),))
    assert spelled(spec, Descriptors(seccomp=3, status=4, binary=5), MASKS) == (
        "--unshare-pid --unshare-ipc --unshare-uts --hostname dagger --die-with-parent "
        "--new-session --seccomp 3 --json-status-fd 4 --block-fd 5 --bind /r / "
        "--proc /proc --ro-bind /proc/sys /proc/sys --dev-bind /dev/null /proc/kcore "
        "--tmpfs /proc/acpi --remount-ro /proc/acpi "
        "--ro-bind /sys /sys --tmpfs /sys/firmware --remount-ro /sys/firmware "
        "--dev /dev --perms 1777 --tmpfs /dev/shm --bind /s /t "
        "--cap-drop ALL --cap-add CAP_CHOWN "
        "--unsetenv LD_LIBRARY_PATH --setenv A 1 1 --setenv B 2 --chdir /w"
    )


def test_another_user_joins_its_namespace_and_has_no_capability():
    line = spelled(Spec("/r", ("x",), {}, uid=7, gid=8), Descriptors(userns=9))
    assert "--userns 9 --uid 7 --gid 8" in line
    assert "--cap-drop ALL --unsetenv" in line


def test_mounts_keep_their_order_and_properties():
    mounts = (Tmpfs("/a", 4096, 0o700), Bind("/s", "/a/b", readonly=True), Tmpfs("/c"))
    line = spelled(Spec("/r", ("x",), {}, mounts=mounts))
    assert ("--perms 0700 --size 4096 --tmpfs /a --ro-bind /s /a/b --perms 1777 --tmpfs /c") in line


def test_an_insecure_command_has_no_guard_but_its_namespaces():
    line = spelled(Spec("/r", ("x",), {}, insecure=True), Descriptors(status=4), MASKS)
    assert "--proc /proc --bind /sys /sys --dev-bind /dev /dev --perms 1777" in line
    assert "kcore" not in line


def test_no_network_is_a_namespace_of_its_own():
    assert "--unshare-net" in spelled(Spec("/r", ("x",), {}, network="none"))
    assert "--unshare-net" not in spelled(Spec("/r", ("x",), {}))


def test_only_what_the_kernel_has_is_masked():
    kinds = {"/proc/keys": "file", "/proc/acpi": "dir", "/proc/sys": "dir"}
    assert masks(kinds) == Masks(("/proc/keys",), ("/proc/acpi",), ("/proc/sys",))


def test_options_are_separated_by_nul_and_keep_undecodable_bytes():
    assert encode(["--setenv", "A", "\udcff"]) == b"--setenv\0A\0\xff"


def test_a_nul_byte_is_refused_by_name():
    with pytest.raises(SandboxError, match="NUL"):
        encode(["a\0b"])


@pytest.mark.parametrize("name", ["", "A=B"])
def test_an_impossible_variable_name_is_refused(name):
    with pytest.raises(SandboxError, match="environment variable"):
        spelled(Spec("/r", ("x",), {name: "1"}))
