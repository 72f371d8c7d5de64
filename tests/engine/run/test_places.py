"""Where mounts go when links are in the way: inside the root or mount that they lie in."""

from pathlib import Path

import pytest

from pipelines.engine.errors import PathError, SandboxError
from pipelines.engine.run.places import Place, put


class Space:
    """A root and the mounts in it, as directories."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root = self.directory("root", "proc", "dev", "sys", "etc")
        self.places: list[Place] = []
        self.stubs = []

    def directory(self, name: str, *below: str) -> Path:
        made = self.top / name
        made.mkdir()
        for each in below:
            (made / each).mkdir()
        return made

    def mount(self, target: str, source: Path | None = None) -> str:
        put(self.root, self.places, self.stubs, Place(target, source))
        return self.places[-1].target

    def made(self) -> set[str]:
        """Everything that the root has now, besides what it began with."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return found - {"proc", "dev", "sys", "etc"}


@pytest.fixture
def space(tmp_path):
    return Space(tmp_path)


def test_a_target_without_links_is_where_it_says(space):
    assert space.mount("/a/b") == "/a/b"
    assert space.made() == {"a", "a/b"}


def test_a_link_on_the_way_is_followed_inside(space):
    (space.root / "l").symlink_to("../../../etc")
    assert space.mount("/l/x") == "/etc/x"


def test_a_link_into_another_mount_leads_into_that_mount(space):
    (space.root / "l").symlink_to("/mnt")
    inner = space.directory("inner")
    assert space.mount("/mnt", inner) == "/mnt"
    assert space.mount("/l/x") == "/mnt/x"
    assert (inner / "x").is_dir()
    assert space.made() == {"l", "mnt"}


def test_links_of_the_other_mount_count_too(space):
    (space.root / "l").symlink_to("/mnt")
    inner = space.directory("inner")
    (inner / "x").symlink_to("/oldroot/host/x")
    space.mount("/mnt", inner)
    assert space.mount("/l/x") == "/mnt/oldroot/host/x"
    assert (inner / "oldroot/host/x").is_dir()


def test_a_link_into_an_empty_mount_needs_no_mount_point(space):
    (space.root / "l").symlink_to("/mnt")
    space.mount("/mnt")
    assert space.mount("/l/x") == "/mnt/x"
    assert space.made() == {"l", "mnt"}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/", "use withRootfs"),
        ("/proc", "/proc is the kernel's"),
        ("/proc/self/root/tmp/x", "/proc is the kernel's"),
        ("/sys/kernel/x", "/sys is the kernel's"),
        ("/dev", "/dev is the kernel's"),
        ("/dev/fd/3/x", "/dev/fd is the sandbox's own"),
        ("/dev/stdin", "/dev/stdin is the sandbox's own"),
    ],
)
def test_nothing_is_mounted_where_the_kernel_has_links_of_its_own(space, target, why):
    with pytest.raises(SandboxError, match=f"cannot mount at {target}: {why}"):
        space.mount(target)
    (space.root / "link").symlink_to(target)
    with pytest.raises(SandboxError, match=f"at /link, which leads to {target}: {why}"):
        space.mount("/link")
    assert space.made() == {"link"}
    assert space.places == space.stubs == []


@pytest.mark.parametrize("target", ["/dev/shm", "/dev/thing", "/sys", "/procs/x"])
def test_what_is_beside_them_can_be_mounted_at(space, target):
    assert space.mount(target) == target


def test_what_lies_in_a_mount_over_the_kernels_is_the_mounts(space):
    inner = space.directory("inner")
    space.mount("/sys", inner)
    assert space.mount("/sys/kernel") == "/sys/kernel"
    assert (inner / "kernel").is_dir()


def test_nothing_is_mounted_below_a_file(space):
    file = space.top / "file"
    file.touch()
    space.mount("/f", file)
    with pytest.raises(SandboxError, match="mounting at /f/x: a file is mounted at /f already"):
        space.mount("/f/x")
    (space.root / "plain").touch()
    with pytest.raises(PathError, match="/plain is in the way"):
        space.mount("/plain/x")


def test_links_that_never_end_are_an_error(space):
    (space.root / "a").symlink_to("b")
    (space.root / "b").symlink_to("a")
    with pytest.raises(PathError, match="too many levels"):
        space.mount("/a/x")
