"""Images whose links lead to the host, through every door that takes a path."""

import dagger
import pytest

from tests.escapes.guard import SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


def hostile(directory: dagger.Directory, guard: str) -> dagger.Directory:
    """Put links to the host into a directory, one of each kind."""
    for name, target in {
        "l-in": guard,
        "l-up": "../" * 30 + guard,
        "l-root": f"/proc/self/root{guard}",
        "l-old": f"/proc/self/root/oldroot{guard}",
        "l-cwd": f"/proc/self/cwd{guard}",
        "l-file": f"{guard}/canary",
    }.items():
        directory = directory.with_symlink(target, name)
    return directory


WAYS = ["l-in", "l-up", "l-root", "l-old", "l-cwd"]


@pytest.fixture(params=["image", "tree"])
def root(request, dag, guard) -> dagger.Directory:
    """Give a directory with hostile links: of an image, and of files alone."""
    if request.param == "tree":
        return hostile(dag.directory(), str(guard))
    box = dag.container().from_("busybox").with_exec(["true"])
    return hostile(box.rootfs(), str(guard))


async def outcome(asked) -> str:
    """What is answered, or said instead; never what the host keeps to itself."""
    try:
        found = str(await asked)
    except dagger.QueryError as exc:
        found = f"error: {exc}"
    assert SECRET not in found
    return found


async def test_nothing_of_the_host_is_read(root):
    for way in WAYS:
        for asked in (
            root.file(f"{way}/canary").contents(),
            root.file("l-file").contents(),
            root.directory(way).entries(),
            root.directory(f"{way}/dir").glob("**"),
            root.file(f"{way}/canary").digest(),
            root.stat(f"{way}/canary").size(),
        ):
            assert (await outcome(asked)).startswith("error: "), asked
        assert await root.exists(f"{way}/canary") is False
        assert await root.exists(f"{way}/dir") is False
        assert "canary" not in " ".join(await root.glob("**/canary*"))


async def test_nothing_of_the_host_is_written(dag, root, guard):
    for way in WAYS:
        source = dag.directory().with_new_file("new", "new")
        for changed in (
            root.with_new_file(f"{way}/new", "new"),
            root.with_file(f"{way}/new", source.file("new")),
            root.with_files(f"{way}", [source.file("new")]),
            root.with_directory(way, source),
        ):
            assert await outcome(changed.file(f"{way}/new").contents()) == "new"
            guard.check()
        assert await outcome(root.with_new_directory(f"{way}/made").exists(f"{way}/made")) == "True"
        assert await outcome(root.with_symlink("x", f"{way}/l").exists(f"{way}/l")) in {
            "False",
            "True",
        }
        for removed in (
            root.without_file(f"{way}/canary"),
            root.without_directory(f"{way}/dir"),
            root.without_files([f"{way}/canary", f"{way}/*"]),
        ):
            await outcome(removed.sync())
            guard.check()
        assert not await root.without_file("l-in").exists("l-in", do_not_follow_symlinks=True)


async def test_a_file_over_a_link_replaces_the_link_or_what_it_names_inside(root, guard):
    changed = root.with_new_file("l-file", "new")
    assert await outcome(changed.file("l-file").contents()) == "new"
    guard.check()


@pytest.fixture
def box(dag, guard) -> dagger.Container:
    shell = dag.container().from_("busybox")
    return shell.with_rootfs(hostile(shell.rootfs(), str(guard)))


async def test_a_command_finds_its_mounts_inside(dag, box, guard):
    for way in WAYS:
        source = dag.directory().with_new_file("mounted", "mounted")
        secret = dag.set_secret("s", "hidden")
        for mounted in (
            box.with_mounted_directory(f"/{way}/made", source),
            box.with_mounted_file(f"/{way}/made/mounted", source.file("mounted")),
            box.with_mounted_cache(f"/{way}/made", dag.cache_volume("c"), source=source),
            box.with_mounted_temp(f"/{way}/made"),
            box.with_mounted_secret(f"/{way}/made/mounted", secret),
        ):
            run = mounted.with_exec(["sh", "-c", f"ls /{way}/made; echo x > /{way}/made/x; ls /"])
            said = await outcome(run.stdout())
            if way in {"l-root", "l-old", "l-cwd"}:
                assert "/proc is the kernel's" in said
            guard.check()


async def test_a_command_works_and_writes_inside(box, guard):
    for way in WAYS:
        for run in (
            box.with_exec(["sh", "-c", f"mkdir -p /{way}; echo x > /{way}/new; cat /{way}/canary"]),
            box.with_workdir(f"/{way}/made").with_exec(["sh", "-c", "echo x > y; ls"]),
            box.with_exec(["echo", "x"], redirect_stdout=f"/{way}/out"),
            box.with_exec(["cat"], redirect_stdin=f"/{way}/canary"),
            box.with_exec(["cat"], redirect_stdin="/l-file"),
        ):
            await outcome(run.stdout())
            guard.check()


CONTROL = {
    "/etc/resolv.conf": "canary",
    "/etc/hosts": "canary",
    "/etc/passwd": "passwd",
    "/etc/group": "group",
    "/etc/ssl/certs/ca-certificates.crt": "canary",
}


PREFIXES = ["", "/proc/self/root", "/proc/self/root/oldroot", "/proc/1/cwd"]


@pytest.mark.parametrize("path", CONTROL)
async def test_files_that_the_engine_reads_or_lends_are_the_images(dag, guard, path):
    """An image's own links never decide what is read from the host, or where a file is put."""
    shell = dag.container().from_("busybox").without_file(path)
    for target in (f"{prefix}{guard}/{n}" for prefix in PREFIXES for n in (CONTROL[path], "made")):
        base = shell.with_symlink(target, path)
        await outcome(base.with_exec(["sh", "-c", f"cat {path}; echo x >> {path}"]).stdout())
        guard.check()
        named = base.with_user("guarded").with_exec(["id", "-u"])
        assert "4321" not in await outcome(named.stdout())
        guard.check()


async def test_a_root_whose_system_directories_are_links_runs_nothing(dag, guard):
    shell = dag.container().from_("busybox")
    for path in ("/proc", "/sys", "/dev"):
        base = shell.without_directory(path).with_symlink(str(guard), path)
        assert "not a directory" in await outcome(base.with_exec(["ls", "/"]).stdout())


async def test_a_command_can_not_swap_a_directory_for_a_link_before_the_next(dag, box, guard):
    swapped = box.with_exec(["sh", "-c", f"rm -rf /etc; ln -s {guard} /etc; ln -s {guard} /w"])
    for run in (
        swapped.with_exec(["ls", "/etc/"]),
        swapped.with_workdir("/w/x").with_exec(["touch", "new"]),
        swapped.with_new_file("/etc/new", "x").with_exec(["cat", "/etc/new"]),
        swapped.with_user("guarded").with_exec(["id"]),
    ):
        await outcome(run.stdout())
        guard.check()


KEYS = ["../../../x", "/etc", "..", ".", "a/../../b", "a\nb", "x" * 5000, "\u202e/.."]


async def test_the_name_of_a_cache_volume_is_never_a_path(dag, store):
    box = dag.container().from_("busybox")
    for number, key in enumerate(KEYS):
        mounted = box.with_mounted_cache("/c", dag.cache_volume(key))
        assert await outcome(mounted.with_exec(["touch", f"/c/made{number}"]).stdout()) == ""
    made = [path.relative_to(store).parts for path in store.rglob("made?")]
    assert {(parts[0], parts[2], parts[3]) for parts in made} == {
        ("volumes", "data", f"made{number}") for number in range(len(KEYS))
    }
