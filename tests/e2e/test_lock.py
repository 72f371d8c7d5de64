"""`pipelines lock` and `run --locked`, against a registry on loopback."""

import os
import subprocess
import sys

import pytest

from tests.e2e.test_registry_faults import NAME, layer
from tests.fake_registry import FakeRegistry
from tests.gitserver import Repository, serving
from tests.webserver import Reply, web

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

CI = """
from dagger import dag

async def show(image: str) -> str:
    return await dag.container().from_(image).file("/a").contents()
"""


SOURCES_CI = """
from dagger import dag

async def show(git: str, http: str) -> str:
    text = await dag.git(git).branch("main").tree(discard_git_dir=True).file("a").contents()
    return text + await dag.http(http).contents()
"""


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        running.image(NAME, "1", [layer(a=b"old")])
        yield running


@pytest.fixture
def pipelines(store, tmp_path):
    place = tmp_path / "repository"
    place.mkdir()
    (place / "ci.py").write_text(CI)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pipelines.cli.main", *arguments],
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    run.lock = place / "pipelines.lock"
    return run


def show(registry):
    return "show", "--image", f"{registry.host}/{NAME}:1"


def test_a_locked_tag_stays_until_it_is_locked_anew(pipelines, registry):
    assert pipelines("lock", *show(registry)).returncode == 0
    first = pipelines.lock.read_bytes()
    registry.image(NAME, "1", [layer(a=b"new")])
    assert pipelines("run", *show(registry)).stdout == "old\n"
    assert pipelines("run", *show(registry), "--locked").stdout == "old\n"
    again = pipelines("lock")
    assert (again.returncode, "locked image" in again.stderr) == (0, True)
    assert pipelines.lock.read_bytes() != first
    assert pipelines("run", *show(registry), "--locked").stdout == "new\n"


def test_a_locked_run_names_what_is_missing(pipelines, registry):
    ran = pipelines("run", *show(registry), "--locked")
    assert ran.returncode == 2
    assert f"image {registry.host}/{NAME}:1 is not in" in ran.stderr
    assert not pipelines.lock.exists()


def test_a_locked_tag_needs_no_registry_once_it_is_pulled(pipelines, registry):
    pipelines("lock", *show(registry))
    registry.requests.clear()
    assert pipelines("run", *show(registry)).stdout == "old\n"
    assert registry.requests == []


def test_locking_twice_writes_the_same(pipelines, registry):
    pipelines("lock", *show(registry))
    first = pipelines.lock.read_bytes()
    again = pipelines("lock", *show(registry))
    assert pipelines.lock.read_bytes() == first
    assert "pipelines.lock is up to date" in again.stderr


def test_a_name_that_can_not_be_asked_for_keeps_its_row(pipelines, registry):
    pipelines("lock", *show(registry))
    first = pipelines.lock.read_bytes()
    registry.manifests.clear()
    again = pipelines("lock")
    assert (again.returncode, pipelines.lock.read_bytes()) == (6, first)
    assert "it stays locked to" in again.stderr


def test_a_damaged_lock_file_is_an_error_of_usage(pipelines, registry):
    pipelines.lock.write_text("<<<<<<<")
    for command in ("run", "lock"):
        ran = pipelines(command, *show(registry))
        assert ran.returncode == 2
        assert "pipelines.lock" in ran.stderr


def test_without_a_lock_file_there_is_nothing_to_refresh(pipelines):
    ran = pipelines("lock")
    assert ran.returncode == 2
    assert "name stages" in ran.stderr


def test_refs_and_downloads_are_locked_too(pipelines, tmp_path):
    (pipelines.lock.parent / "ci.py").write_text(SOURCES_CI)
    repository = Repository(tmp_path / "served/one")
    repository.commit(a="old-git ")
    with serving(tmp_path / "served") as git, web() as site:
        site.pages["/f"] = Reply(body=b"old-http")
        asked = "show", "--git", f"{git.url}/one", "--http", f"{site.url}/f"
        assert (
            f"git {git.url}/one refs/heads/main is not"
            in pipelines("run", *asked, "--locked").stderr
        )
        assert pipelines("lock", *asked).returncode == 0
        repository.commit(a="new-git ")
        site.pages["/f"] = Reply(body=b"new-http")
        git.asked.clear()
        site.asked.clear()
        assert pipelines("run", *asked, "--locked").stdout == "old-git old-http\n"
        assert (git.asked.total(), site.asked) == (0, [])
        assert pipelines("lock").returncode == 0
        assert pipelines("run", *asked, "--locked").stdout == "new-git new-http\n"
        repository.path.rename(tmp_path / "gone")
        assert "stays locked" in pipelines("lock").stderr
