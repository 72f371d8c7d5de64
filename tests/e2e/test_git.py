"""Git repositories as sources, as an SDK client sees them."""

import json
import shutil
import socket
import subprocess
import threading

import dagger
import pytest

from pipelines import connect
from pipelines._session import Session
from tests.conftest import offspring, reaped
from tests.e2e.conftest import ask, upkeep
from tests.gitserver import Repository, basic, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "served/one")
    made.first = made.commit(a="1")
    made.git("tag", "v1.0.0")
    made.second = made.commit(a="2", sub__b="b")
    made.git("branch", "release/1", made.first)
    return made


@pytest.fixture
def server(tmp_path, repository):
    with serving(tmp_path / "served") as made:
        yield made


async def test_a_repository_is_looked_at(dag, server, repository):
    git = dag.git(f"{server.url}/one")
    assert await git.tags() == ["v1.0.0"]
    assert await git.branches(patterns=["release/*"]) == ["release/1"]
    assert await git.url() == f"{server.url}/one"
    assert await git.head().ref() == "refs/heads/main"
    assert await git.head().commit() == repository.second
    assert await git.latest_version().commit() == repository.first
    ancestor = git.branch("main").common_ancestor(git.tag("v1.0.0"))
    assert await ancestor.commit() == repository.first


async def test_every_way_to_a_commit_gives_its_tree(dag, server, repository):
    git = dag.git(f"{server.url}/one")
    old = [
        git.tag("v1.0.0"),
        git.branch("release/1"),
        git.ref("v1.0.0"),
        git.commit(repository.first),
    ]
    for ref in old:
        assert await ref.tree(discard_git_dir=True).file("a").contents() == "1"
    assert await git.head().tree().entries() == [".git/", "a", "sub/"]
    by_address = dag.git(f"{server.url}/one#v1.0.0").head()
    assert await by_address.commit() == repository.first
    assert await dag.git(f"{server.url}/one#main:sub").head().tree().entries() == ["b"]


@pytest.mark.sandbox
async def test_a_command_reads_a_tree_and_an_equal_one_runs_nothing(session, server, repository):
    async def build(dag):
        source = dag.git(f"{server.url}/one").branch("main").tree(discard_git_dir=True)
        box = dag.container().from_("busybox").with_mounted_directory("/src", source)
        return await box.with_exec(["cat", "/src/a"]).stdout()

    async with session() as (dag, heard):
        assert await build(dag) == "2"
        assert heard.ran == ["cat /src/a"]
    repository.commit()  # another commit of the same files
    async with session() as (dag, heard):
        assert await build(dag) == "2"
        assert heard.ran == []


async def test_what_is_pinned_and_cached_needs_no_server(store, repository, tmp_path):
    for served in (True, False):
        with serving(tmp_path / "served") as server:
            url = server.url if served else url  # noqa: F821 - of the first round
            async with connect(engine="embedded") as dag:
                tree = dag.git(f"{url}/one").commit(repository.second).tree()
                assert await tree.file("a").contents() == "2"
            if not served:
                assert not server.asked


async def test_a_moving_ref_is_pinned_once_a_session(session, server, repository):
    async with session() as (dag, _):
        branch = dag.git(f"{server.url}/one").branch("main")
        before = await branch.commit()
        moved = repository.commit(a="3")
        assert await branch.commit() == before
    async with session() as (dag, _):
        assert await dag.git(f"{server.url}/one").branch("main").commit() == moved


async def test_a_private_repository_needs_its_token(dag, repository, tmp_path):
    with serving(tmp_path / "served", basic("me", "s3cret-token")) as server:
        token = dag.set_secret("git-token", "s3cret-token")
        git = dag.git(f"{server.url}/one", http_auth_username="me", http_auth_token=token)
        assert await git.head().tree().file("a").contents() == "2"
        with pytest.raises(dagger.QueryError, match="give httpAuthToken"):
            await dag.git(f"{server.url}/one", http_auth_username="other").head().commit()


async def test_credentials_in_the_address_work_and_are_not_shown(dag, repository, tmp_path):
    with serving(tmp_path / "served", basic("me", "s3cret-token")) as server:
        host = server.url.removeprefix("http://")
        git = dag.git(f"http://me:s3cret-token@{host}/one")
        assert await git.head().commit() == repository.second
        assert await git.url() == f"http://{host}/one"
        config = await git.head().tree().file(".git/config").contents()
        assert "s3cret-token" not in config
        with pytest.raises(dagger.QueryError) as caught:
            await dag.git(f"http://me:other-s3cret@{host}/none").head().commit()
        assert "other-s3cret" not in str(caught.value)
    found = subprocess.run(
        ["grep", "-rlaF", "s3cret-token", tmp_path / "cache"], capture_output=True
    )
    assert found.stdout == b""


async def test_a_directory_is_a_repository(dag, repository):
    local = dag.host().directory(str(repository.path)).as_git()
    assert await local.branches() == ["main", "release/1"]
    assert await local.tag("v1.0.0").tree(discard_git_dir=True).file("a").contents() == "1"
    assert await local.head().commit() == repository.second
    assert ".git/" in await local.head().tree(depth=0).entries()
    ancestor = local.branch("main").common_ancestor(local.branch("release/1"))
    assert await ancestor.commit() == repository.first


async def test_a_repository_of_this_machine_is_named_by_its_path(dag, repository):
    assert await dag.git(str(repository.path)).head().commit() == repository.second
    assert await dag.git(f"file://{repository.path}").head().commit() == repository.second


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda git: git.branch("nope").commit(), "no branch 'nope' .* such as"),
        (lambda git: git.tag("v9").tree().entries(), "no tag 'v9'"),
        (lambda git: git.ref("refs/heads/nope").commit(), "no branch 'nope'"),
        (lambda git: git.commit("abc123").commit(), "all 40 digits"),
        (lambda git: git.commit("a" * 40).tree().entries(), "force-pushed away"),
    ],
)
async def test_what_is_not_there_is_named(dag, server, ask, message):
    with pytest.raises(dagger.QueryError, match=message):
        await ask(dag.git(f"{server.url}/one"))


async def test_what_is_not_committed_is_a_changeset(dag, repository):
    (repository.path / "a").write_text("edited")
    (repository.path / "new").write_text("new")
    (repository.path / ".gitignore").write_text("*.log\n")
    (repository.path / "x.log").write_text("log")
    changes = dag.host().directory(str(repository.path)).as_git().uncommitted()
    assert await changes.modified_paths() == ["a"]
    assert await changes.added_paths() == [".gitignore", "new"]
    assert await dag.git(str(repository.path)).uncommitted().is_empty()


async def test_a_directory_that_is_no_repository_says_so(dag, tmp_path):
    with pytest.raises(dagger.QueryError, match=r"it has no \.git"):
        await dag.host().directory(str(tmp_path)).as_git().head().commit()


async def test_a_mirror_is_listed_and_pruned(store, repository):
    async with connect(engine="embedded") as dag:
        await dag.git(str(repository.path)).head().tree().sync()
    listed = [json.loads(line) for line in upkeep("ls").stdout.splitlines()]
    mirrors = [one["name"] for one in listed if one["kind"] == "mirror"]
    assert mirrors == [f"file://{repository.path}"]
    assert upkeep("prune", "--all").returncode == 0
    assert list((store / "git").iterdir()) == []
    async with connect(engine="embedded") as dag:
        assert await dag.git(str(repository.path)).head().tree().file("a").contents() == "2"


async def test_a_session_that_is_killed_leaves_no_git(store):
    """The server never answers, so git waits for it when the session dies."""
    before = offspring()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        session = Session.start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        query = f'{{git(url:"{url}"){{head{{commit}}}}}}'
        asking = threading.Thread(target=ask, args=(session.address(), query))
        asking.start()
        silent.settimeout(30)
        connection, _ = silent.accept()
        session.kill()
        assert reaped(before) == {}
        connection.close()
        asking.join()
        session.close()
