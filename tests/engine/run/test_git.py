"""Git sources: fetched by commit, kept in mirrors, given as trees."""

import hashlib
import itertools
import os
import shutil

import anyio
import pytest

from pipelines.engine.errors import SourceError, SourceUnreachable
from pipelines.engine.names.remote import parse
from pipelines.engine.op import GitAccess, GitTree, SecretRef
from pipelines.engine.run.git import GitSources
from pipelines.engine.sources import host
from pipelines.engine.sources.gitremote import Remotes, kept
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.mirrors import Mirrors
from tests.gitserver import Repository, basic, serving, tidy
from tests.webserver import Reply, web

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def layout(tmp_path):
    return Layout.open(tmp_path / "store")


@pytest.fixture
def files(layout):
    return Files(layout, owners=False)


class Look:
    """The sources of one session; pauses take no time and are counted."""

    def __init__(self, room, layout, files, environ):
        self.memory, self.pauses, self.files = room / "memory", [], files
        self.memory.mkdir(parents=True)

        async def pause(seconds):
            self.pauses.append(seconds)

        self.remotes = Remotes(self.memory, tidy(**environ), pause=pause)
        self.sources = GitSources(self.remotes, Mirrors(layout), files, room / "scratch")
        self.refs, self.ancestor = self.sources.refs, self.sources.ancestor

    async def tree(self, reach, commit, **more):
        op = GitTree(commit, access=reach, **more)
        return await self.sources.tree(op, None, anyio.Semaphore(1))

    def text(self, tree, path):
        return self.files.read(tree[path]).decode()


@pytest.fixture
def look(tmp_path, layout, files):
    count = itertools.count()

    def make(**environ):
        return Look(tmp_path / f"session{next(count)}", layout, files, environ)

    return make


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "served/one")
    made.first = made.commit(a="1")
    made.second = made.commit(a="2", sub__b="b")
    made.git("tag", "-a", "v1.0.0", "-m", "t")
    return made


def access(url, **more):
    return GitAccess(parse(str(url), "/").remote, **more)


async def test_a_tree_has_the_files_of_its_commit(look, repository):
    (repository.path / "run").write_text("x")
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("a")
    commit = repository.commit()
    here = look()
    tree = await here.tree(access(repository.path), commit)
    assert sorted(tree) == ["a", "link", "run", "sub", "sub/b"]
    assert (tree["run"].mode, tree["a"].mode, tree["link"].target) == (0o755, 0o644, "a")
    assert here.text(tree, "a") == "2"
    older = await here.tree(access(repository.path), repository.first)
    assert here.text(older, "a") == "1"


async def test_a_commit_is_fetched_once_and_then_needs_nobody(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        reach = access(f"{server.url}/one")
        first = await look().tree(reach, repository.first)
        asked = server.asked.total()
        assert asked > 0
        assert await look().tree(reach, repository.first) == first
        assert server.asked.total() == asked
    assert await look().tree(reach, repository.first) == first


async def test_refs_are_looked_at_once_a_session(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        here, reach = look(), access(f"{server.url}/one")
        assert (await here.refs(reach)).find("main").commit == repository.second
        repository.commit(a="3")
        assert (await here.refs(reach)).find("main").commit == repository.second
        assert (await look().refs(reach)).find("v1.0.0").commit == repository.second
        assert (await look().refs(reach)).find("main").commit != repository.second


async def test_git_dir_is_kept_with_history_branch_and_origin(look, repository, files, tmp_path):
    here, reach = look(), access(repository.path)
    tree = await here.tree(
        reach,
        repository.second,
        keep_git_dir=True,
        origin="https://host/x",
        ref="refs/heads/main",
        depth=0,
        tags=(("refs/tags/v1.0.0", repository.git("rev-parse", "v1.0.0")),),
    )
    out = tmp_path / "out"
    out.mkdir()
    files.materialise(tree, out)
    made = Repository.__new__(Repository)
    made.path = out
    assert made.git("log", "--format=%H").split() == [repository.second, repository.first]
    assert made.git("status", "--porcelain", "--branch") == "## main"
    assert made.git("describe") == "v1.0.0"
    assert made.git("remote", "get-url", "origin") == "https://host/x"


async def test_git_dir_is_as_shallow_as_asked_for(look, repository, files, tmp_path):
    third = repository.commit(a="3")
    for depth in (1, 2):
        tree = await look().tree(access(repository.path), third, keep_git_dir=True, depth=depth)
        out = tmp_path / f"out{depth}"
        out.mkdir()
        files.materialise(tree, out)
        made = Repository.__new__(Repository)
        made.path = out
        assert len(made.git("log", "--format=%H").split()) == depth
        assert made.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


async def test_submodules_are_in_their_places(look, repository, tmp_path):
    inner = Repository(tmp_path / "served/inner")
    inner.commit(deep="deep")
    repository.git("submodule", "--quiet", "add", "../inner", "mods/inner")
    commit = repository.commit()
    outer = Repository(tmp_path / "served/outer")
    with serving(tmp_path / "served") as server:
        outer.git("submodule", "--quiet", "add", str(repository.path), "one")
        (outer.path / ".gitmodules").write_text(
            f'[submodule "one"]\n\tpath = one\n\turl = {server.url}/one\n'
        )
        tree = await look().tree(access(f"{server.url}/outer"), outer.commit())
    assert "one/mods/inner/deep" in tree
    assert tree["one/a"].content
    assert commit


async def test_a_remote_repository_can_not_pull_in_a_path_of_this_machine(look, tmp_path):
    evil = Repository(tmp_path / "served/evil")
    inner = Repository(tmp_path / "inner")
    inner.commit(private="x")
    evil.git("submodule", "--quiet", "add", str(inner.path), "in")
    with serving(tmp_path / "served") as server:
        with pytest.raises(Exception, match="may not name"):
            await look().tree(access(f"{server.url}/evil"), evil.commit())


async def test_a_token_is_sent_as_a_basic_header_and_found_nowhere(look, repository, tmp_path):
    with serving(tmp_path / "served", basic("x-access-token", "hunter2hunter2")) as server:
        here = look()
        reach = access(f"{server.url}/one", token=SecretRef("t", lambda: b"hunter2hunter2\n"))
        assert (await here.refs(reach)).find("main").commit == repository.second
        await here.tree(reach, repository.second, keep_git_dir=True, origin=reach.remote.url)
    assert list(here.memory.iterdir()) == []
    found = [p for p in (tmp_path / "store").rglob("*") if p.is_file()]
    assert not [p for p in found if b"hunter2hunter2" in p.read_bytes()]


async def test_a_header_is_sent_as_it_is(look, repository, tmp_path):
    with serving(tmp_path / "served", "Bearer abcdefgh") as server:
        reach = access(f"{server.url}/one", header=SecretRef("t", lambda: b"Bearer abcdefgh"))
        assert (await look().refs(reach)).find("main").commit == repository.second


async def test_wrong_credentials_are_an_error_that_does_not_say_them(look, repository, tmp_path):
    with serving(tmp_path / "served", "Bearer right") as server:
        reach = access(f"{server.url}/one", header=SecretRef("t", lambda: b"Bearer wrong-one"))
        with pytest.raises(SourceError, match="httpAuthToken or httpAuthHeader") as caught:
            await look().refs(reach)
        assert server.asked.total() <= 2
    assert "wrong-one" not in str(caught.value)
    assert f"{server.url}/one" in str(caught.value)


async def test_faults_of_transport_are_tried_again(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        here = look()
        server.fail = [503, 502]
        assert (await here.refs(access(f"{server.url}/one"))).head == "refs/heads/main"
        assert here.pauses == [0.5, 1.5]


async def test_a_server_that_stays_down_is_an_error(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        here = look()
        server.fail = [503] * 9
        with pytest.raises(SourceUnreachable, match=r"503.*tried again without success"):
            await here.refs(access(f"{server.url}/one"))
        assert server.asked.total() == 3


async def test_what_is_not_there_is_not_tried_again(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        here = look()
        with pytest.raises(SourceError, match="check the address"):
            await here.refs(access(f"{server.url}/none"))
        assert here.pauses == []


async def test_a_commit_that_is_not_there_is_named(look, repository):
    with pytest.raises(SourceError, match=rf"commit {'a' * 40} is not in file://.*force-pushed"):
        await look().tree(access(repository.path), "a" * 40)


async def test_a_ref_that_was_force_pushed_meanwhile_is_said(look, repository):
    reach, here = access(repository.path), look()
    found = (await here.refs(reach)).find("main")
    repository.git("commit", "-q", "--amend", "-m", "other")
    repository.git("tag", "-d", "v1.0.0")
    repository.git("reflog", "expire", "--all", "--expire=now")
    repository.git("gc", "-q", "--prune=now")
    with pytest.raises(
        SourceError, match=r"refs/heads/main of .* force-pushed meanwhile: run again"
    ):
        await here.tree(reach, found.commit, wanted=found.name)


async def test_lock_files_of_a_killed_git_are_in_nobodys_way(look, repository, layout):
    reach = access(repository.path)
    await look().tree(reach, repository.first)
    (home,) = layout.git.iterdir()
    for name in ("shallow.lock", f"{kept(repository.second)}.lock", "objects/pack/tmp_pack_x"):
        (home / "shallow.git" / name).touch()
    assert await look().tree(reach, repository.second)
    assert not (home / "shallow.git/objects/pack/tmp_pack_x").exists()


async def test_a_damaged_mirror_is_made_anew(look, repository, layout):
    reach, here = access(repository.path), look()
    whole = await here.tree(reach, repository.second)
    for pack in layout.git.glob("*/shallow.git/objects/pack/*.pack"):
        pack.chmod(0o600)
        os.truncate(pack, 40)
    assert await look().tree(reach, repository.second) == whole


async def test_what_a_repository_configures_does_nothing(look, repository, tmp_path):
    (repository.path / ".gitattributes").write_text("a filter=evil\n*.txt text eol=crlf\n")
    repository.git("config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    commit = repository.commit(**{"b.txt": "x\n"})
    repository.git("config", "core.fsmonitor", f"touch {tmp_path}/ran")
    here = look()
    tree = await here.tree(access(repository.path), commit)
    assert (here.text(tree, "a"), here.text(tree, "b.txt")) == ("2", "x\r\n")
    assert not (tmp_path / "ran").exists()


async def test_the_hosts_configuration_reaches_servers_and_does_nothing_else(
    look, repository, tmp_path
):
    served = tmp_path / "served"
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "file://{served}/"]\n\tinsteadOf = https://host.invalid/\n'
        "[core]\n\tautocrlf = true\n"
    )
    here = look(GIT_CONFIG_GLOBAL=str(config))
    commit = repository.commit(text="x\n")
    tree = await here.tree(access("https://host.invalid/one"), commit)
    assert here.text(tree, "text") == "x\n"


async def test_without_git_it_is_said_how_to_get_it(look, repository):
    with pytest.raises(SourceError, match="apt-get install git"):
        await look(PATH="/nonexistent").refs(access(repository.path))


async def test_the_common_ancestor_of_two_branches(look, repository):
    repository.git("checkout", "-q", "-b", "side", repository.first)
    side = repository.commit(c="c")
    pair = (side, repository.second)
    assert await look().ancestor(access(repository.path), None, pair) == repository.first


async def test_a_cancelled_fetch_leaves_no_process_and_no_lock(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        reach = access(f"{server.url}/one")
        with anyio.move_on_after(0.05):
            await look().tree(reach, repository.second)
        assert await look().tree(reach, repository.second)


async def test_two_sessions_at_once_share_a_mirror(look, repository, tmp_path):
    with serving(tmp_path / "served") as server:
        reach, trees = access(f"{server.url}/one"), []

        async def one(here, commit):
            trees.append(await here.tree(reach, commit))

        async with anyio.create_task_group() as group:
            for commit in (repository.first, repository.second) * 2:
                group.start_soon(one, look(), commit)
    assert len({tree.digest for tree in trees}) == 2


async def test_a_server_of_plain_files_is_fetched_from_whole(look, repository, tmp_path):
    repository.git("update-server-info")
    with web() as site:
        root = repository.path / ".git"
        for path in root.rglob("*"):
            if path.is_file():
                site.pages[f"/x/{path.relative_to(root)}"] = Reply(body=path.read_bytes())
        site.pages["/x/info/refs?service=git-upload-pack"] = site.pages["/x/info/refs"]
        here, reach = look(), access(f"{site.url}/x")
        assert (await here.refs(reach)).find("main").commit == repository.second
        tree = await here.tree(reach, repository.first)
        assert here.text(tree, "a") == "1"


@pytest.fixture
def modern(tmp_path):
    """A repository whose ids are sha-256."""
    made = Repository.__new__(Repository)
    made.path = tmp_path / "served/modern"
    made.path.mkdir(parents=True)
    made.git("init", "-q", "-b", "main", "--object-format=sha256")
    made.first = made.commit(a="1")
    return made


def in_tree(look, path):
    """Read a directory as the engine does."""
    reading = host.read(str(path))
    for content, origin in reading.origins.items():
        look.files.origin(content, origin)
    return reading.tree


async def test_ids_of_sha256_are_commits_too(look, modern):
    here, reach = look(), access(modern.path)
    assert len(modern.first) == 64
    assert here.text(await here.tree(reach, modern.first), "a") == "1"
    kept = await here.tree(reach, modern.first, keep_git_dir=True, ref="refs/heads/main")
    assert ".git/HEAD" in kept
    local = in_tree(here, modern.path)
    assert (await here.sources.refs_in(local)).find("main").commit == modern.first
    modern.git("pack-refs", "--all")
    assert (await here.sources.refs_in(in_tree(here, modern.path))).find("main").commit


async def test_a_repository_that_borrows_objects_is_told_so(look, repository, tmp_path):
    shared = Repository(tmp_path / "shared")
    alternates = shared.path / ".git/objects/info/alternates"
    alternates.write_text(f"{repository.path}/.git/objects\n")
    here = look()
    with pytest.raises(SourceError, match="git repack -a -d"):
        await here.sources.refs_in(in_tree(here, shared.path))


@pytest.fixture
def lfs(monkeypatch):
    """Have git-lfs on PATH, or skip; `PIPELINES_TEST_LFS` may say where it is."""
    if place := os.environ.get("PIPELINES_TEST_LFS"):
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed (package git-lfs)")


async def test_pointers_become_files_if_asked_for(look, repository, tmp_path, lfs):
    data = b"of-the-lfs-server"
    oid = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
    attributes = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    commit = repository.commit(**attributes, **{"x.bin": pointer})
    with serving(tmp_path / "served", basic("x-access-token", "hunter2")) as git, web() as site:
        site.pages["/object"] = Reply(body=data)
        link = {"download": {"href": f"{site.url}/object"}}
        git.batch = {"objects": [{"oid": oid, "size": len(data), "actions": link}]}
        reach = access(f"{git.url}/one", token=SecretRef("t", lambda: b"hunter2"))
        here = look()
        tree = await here.tree(reach, commit, smudged=True)
        assert here.text(tree, "x.bin").encode() == data
        kept = await here.tree(reach, commit, keep_git_dir=True, smudged=True)
        assert here.text(kept, "x.bin").encode() == data
        plain = await here.tree(reach, commit)
        assert here.text(plain, "x.bin") == pointer
        assert site.paths == ["/object"]


async def test_a_pointer_to_nothing_is_an_error(look, repository, tmp_path, lfs):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 3\n"
    commit = repository.commit(**{".gitattributes": "*.bin filter=lfs -text\n", "x.bin": pointer})
    with serving(tmp_path / "served") as git:
        git.batch = {"objects": [{"oid": "a" * 64, "size": 3, "error": {"code": 404}}]}
        with pytest.raises(SourceError, match="without git-lfs on PATH, pointers stay"):
            await look().tree(access(f"{git.url}/one"), commit, smudged=True)
