"""What runs again, and what does not. Executions are counted by the session's own events."""

import os
import shutil

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

FILES = {"a.txt": "a", "sub/b.txt": "b", "README.md": "read"}


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "here" / "source"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "link").symlink_to("a.txt")
    return root


@pytest.fixture
def twice(session):
    """Run two spellings, each in a session of its own; give how many commands each ran."""

    async def count(*builds):
        ran = []
        for build in builds:
            async with session() as (dag, heard):
                await build(dag).sync()
            ran.append(len(heard.ran))
        return ran

    return count


def listing(source, **options):
    """A command that reads a host directory."""

    def build(dag):
        read = dag.host().directory(str(source), **options)
        box = dag.container().from_("busybox").with_directory("/src", read)
        return box.with_exec(["find", "/src"])

    return build


# --- what must not run again ----------------------------------------------------------------


async def test_a_second_session_runs_nothing(twice, source):
    assert await twice(listing(source), listing(source)) == [1, 0]


async def test_touched_files_run_nothing(twice, session, source):
    assert await twice(listing(source)) == [1]
    for path in source.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    assert await twice(listing(source)) == [0]


async def test_a_checkout_elsewhere_runs_nothing(twice, source, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(source, elsewhere, symlinks=True)
    assert await twice(listing(source), listing(elsewhere)) == [1, 0]


async def test_an_edit_outside_of_what_is_included_runs_nothing(twice, source):
    chosen = listing(source, include=["**/*.txt"])
    assert await twice(chosen) == [1]
    (source / "README.md").write_text("edited")
    assert await twice(chosen) == [0]

    def copied(dag):
        read = dag.host().directory(str(source))
        box = dag.container().from_("busybox")
        return box.with_directory("/src", read, include=["*.txt"]).with_exec(["ls", "/src"])

    assert await twice(copied) == [1]
    (source / "README.md").write_text("edited again")
    assert await twice(copied) == [0]


def box(dag):
    return dag.container().from_("busybox")


SAME = {
    "variables in another order": (
        lambda dag: box(dag).with_env_variable("A", "1").with_env_variable("B", "2"),
        lambda dag: box(dag).with_env_variable("B", "2").with_env_variable("A", "1"),
    ),
    "a variable that was set and changed": (
        lambda dag: box(dag).with_env_variable("A", "0").with_env_variable("A", "1"),
        lambda dag: box(dag).with_env_variable("A", "1"),
    ),
    "labels, entrypoints, ports, default arguments": (
        box,
        lambda dag: (
            box(dag)
            .with_label("l", "v")
            .with_annotation("a", "v")
            .with_entrypoint(["false"])
            .with_default_args(["none"])
            .with_exposed_port(80)
        ),
    ),
    "mounts in another order": (
        lambda dag: box(dag).with_mounted_temp("/a").with_mounted_temp("/b"),
        lambda dag: box(dag).with_mounted_temp("/b").with_mounted_temp("/a"),
    ),
    "a path spelled otherwise": (
        lambda dag: box(dag).with_workdir("/a/b").with_mounted_temp("/t"),
        lambda dag: box(dag).with_workdir("/a").with_workdir("./x/../b").with_mounted_temp("//t/"),
    ),
    "a cache volume spelled otherwise": (
        lambda dag: box(dag).with_mounted_cache(
            "/c", dag.cache_volume("k", sharing=dagger.CacheSharingMode.LOCKED)
        ),
        lambda dag: box(dag).with_mounted_cache(
            "/c", dag.cache_volume("k"), sharing=dagger.CacheSharingMode.LOCKED
        ),
    ),
    "explicit defaults": (
        lambda dag: (
            box(dag).with_new_file("/f", "1").with_mounted_cache("/c", dag.cache_volume("k"))
        ),
        lambda dag: (
            box(dag)
            .with_new_file("/f", "1", permissions=0o644, owner="", expand=False)
            .with_mounted_cache(
                "/c",
                dag.cache_volume("k", sharing=dagger.CacheSharingMode.SHARED),
                sharing=dagger.CacheSharingMode.SHARED,
                owner="",
            )
        ),
    ),
    "the platform by another name": (
        box,
        lambda dag: dag.container(platform=dagger.Platform(NATIVE)).from_("busybox:latest"),
    ),
}
NATIVE = "linux/aarch64" if os.uname().machine == "aarch64" else "linux/x86_64"


@pytest.mark.parametrize("name", SAME)
async def test_what_a_command_can_not_see_runs_nothing(twice, name):
    one, two = SAME[name]
    assert await twice(
        lambda dag: one(dag).with_exec(["true"]), lambda dag: two(dag).with_exec(["true"])
    ) == [1, 0]


async def test_explicit_defaults_of_a_command_run_nothing(twice):
    assert await twice(
        lambda dag: box(dag).with_exec(["true"]),
        lambda dag: box(dag).with_exec(
            ["true"],
            use_entrypoint=False,
            stdin="",
            redirect_stdout="",
            expect=dagger.ReturnType.SUCCESS,
            expand=False,
            no_init=False,
        ),
    ) == [1, 0]


async def test_default_arguments_given_or_not_are_one_command(twice):
    assert await twice(
        lambda dag: box(dag).with_exec(["echo", "hello"]),
        lambda dag: (
            box(dag)
            .with_entrypoint(["echo"])
            .with_default_args(["hello"])
            .with_exec([], use_entrypoint=True)
        ),
    ) == [1, 0]


# --- what must run again --------------------------------------------------------------------

OTHER = {
    "an argument": lambda dag: box(dag).with_exec(["true", "x"]),
    "a value": lambda dag: box(dag).with_env_variable("A", "1").with_exec(["true"]),
    "another value": lambda dag: box(dag).with_env_variable("A", "2").with_exec(["true"]),
    "the working directory": lambda dag: box(dag).with_workdir("/tmp").with_exec(["true"]),
    "the user": lambda dag: box(dag).with_user("0:0").with_exec(["true"]),
    "standard input": lambda dag: box(dag).with_exec(["true"], stdin="x"),
    "a file": lambda dag: box(dag).with_new_file("/f", "1").with_exec(["true"]),
    "its content": lambda dag: box(dag).with_new_file("/f", "2").with_exec(["true"]),
    "its mode": lambda dag: (
        box(dag).with_new_file("/f", "1", permissions=0o600).with_exec(["true"])
    ),
    "a link": lambda dag: box(dag).with_symlink("f", "/l").with_exec(["true"]),
    "its target": lambda dag: box(dag).with_symlink("g", "/l").with_exec(["true"]),
    "a mount": lambda dag: box(dag).with_mounted_temp("/t").with_exec(["true"]),
    "its place": lambda dag: box(dag).with_mounted_temp("/u").with_exec(["true"]),
    "a cache volume": lambda dag: (
        box(dag).with_mounted_cache("/c", dag.cache_volume("k")).with_exec(["true"])
    ),
    "its key": lambda dag: (
        box(dag).with_mounted_cache("/c", dag.cache_volume("l")).with_exec(["true"])
    ),
    "a secret": lambda dag: (
        box(dag).with_secret_variable("S", dag.set_secret("s", "v")).with_exec(["true"])
    ),
    "its name": lambda dag: (
        box(dag).with_secret_variable("S", dag.set_secret("t", "v")).with_exec(["true"])
    ),
    "a volatile name": lambda dag: box(dag).with_volatile_variable("V", "v").with_exec(["true"]),
}


async def test_everything_that_a_command_sees_runs_it_again(session):
    """One session: were two of them one key, fewer commands would run."""
    async with session() as (dag, heard):
        await box(dag).with_exec(["true"]).sync()
        for build in OTHER.values():
            before = len(heard.ran)
            await build(dag).sync()
            assert len(heard.ran) == before + 1, build


async def test_platforms_have_keys_of_their_own(session):
    async with session() as (dag, heard):
        for variant in ("linux/amd64/v2", "linux/amd64"):
            other = dag.container(platform=dagger.Platform(variant)).with_rootfs(box(dag).rootfs())
            await other.with_exec(["/bin/busybox", "true"]).sync()
        assert len(heard.ran) == 2


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: (root / "sub/b.txt").write_text("other"),
        lambda root: (root / "sub/b.txt").chmod(0o755),
        lambda root: (root / "sub/b.txt").rename(root / "sub/c.txt"),
        lambda root: [(root / "link").unlink(), (root / "link").symlink_to("sub/b.txt")],
        lambda root: (root / "empty").mkdir(),
    ],
    ids=["content", "mode", "name", "target", "empty directory"],
)
async def test_an_edited_source_runs_again(twice, source, edit):
    assert await twice(listing(source)) == [1]
    edit(source)
    assert await twice(listing(source), listing(source)) == [1, 0]


# --- early cutoff ---------------------------------------------------------------------------


async def test_an_equal_result_stops_the_rebuild(session, source):
    def chain(dag):
        read = dag.host().directory(str(source))
        first = (
            box(dag)
            .with_directory("/src", read)
            .with_exec(["sh", "-c", "mkdir /out; grep -v '^#' /src/a.txt > /out/stripped"])
        )
        second = box(dag).with_directory("/in", first.directory("/out"))
        return second.with_exec(["cat", "/in/stripped"])

    counts = []
    for text in ("code\n", "code\n# a comment\n", "other\n"):
        (source / "a.txt").write_text(text)
        async with session() as (dag, heard):
            assert await chain(dag).stdout() == text.split("#")[0]
        counts.append(len(heard.ran))
    assert counts == [2, 1, 2]


async def test_a_command_that_changes_nothing_stops_the_rebuild(session):
    counts = []
    for text in ("1", "2"):
        async with session() as (dag, heard):
            checked = box(dag).with_exec(["true", text])
            await dag.container().with_rootfs(checked.rootfs()).with_exec(["/bin/busybox"]).sync()
        counts.append(len(heard.ran))
    assert counts == [2, 1]


async def test_failures_are_not_kept(session):
    async with session() as (dag, heard):
        for _ in range(2):
            with pytest.raises(dagger.ExecError):
                await box(dag).with_exec(["false"]).sync()
        await box(dag).with_exec(["false"], expect=dagger.ReturnType.ANY).sync()
        await box(dag).with_exec(["false"], expect=dagger.ReturnType.ANY).sync()
        assert len(heard.ran) == 3


async def test_what_two_ask_for_at_once_runs_once(session):
    import anyio

    async with session() as (dag, heard):
        async with anyio.create_task_group() as group:
            for n in range(5):
                it = box(dag).with_label("n", str(n)).with_exec(["sleep", "0.3"])
                group.start_soon(it.sync)
        assert len(heard.ran) == 1
