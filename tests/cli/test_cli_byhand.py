"""`pipelines cache save|restore|inspect`: by hand, through a directory, as the CI allows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.caches.ledger import Ledger
from pipelines.cli.cache import main
from pipelines.engine.op import CacheVolume
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.volumes import identity

CIS = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "TF_BUILD")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIPELINES_CACHE")] + list(CIS):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("PIPELINES_CACHE_URL", str(tmp_path / "backend"))
    machine(monkeypatch, tmp_path, 1)
    return tmp_path


def machine(monkeypatch, tmp_path, number):
    """Be another machine: a store of its own."""
    monkeypatch.setenv("PIPELINES_CACHE_DIR", str(tmp_path / f"store{number}"))
    return tmp_path / f"store{number}"


def tree(top, **files):
    top.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (top / name).write_text(text)
        os.utime(top / name, ns=(10**18, 10**18))
    return top


def test_what_one_machine_saves_another_restores(here, monkeypatch, capsys):
    tree(here / "made", a="one", b="two")
    (here / "made" / "link").symlink_to("a")
    assert main(["save", str(here / "made"), "--key", "things"]) == 0
    store = machine(monkeypatch, here, 2)
    assert main(["restore", str(here / "back"), "--key", "things"]) == 0
    assert (here / "back" / "b").read_text() == "two"
    assert (here / "back" / "b").stat().st_mtime_ns == 10**18
    assert os.readlink(here / "back" / "link") == "a"
    assert "restored 2 files" in capsys.readouterr().out.splitlines()[-1]
    assert [entry.did for entry in Ledger(store).entries()] == ["restored"]


def test_a_second_save_sends_what_is_new(here, capsys):
    top = tree(here / "made", big=os.urandom(200_000).hex())
    main(["save", str(top), "--key", "k", "--json"])
    tree(top, small="new")
    main(["save", str(top), "--key", "k", "--json"])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["bytes"] > 200_000
    assert second["bytes"] < 5_000


def test_a_miss_is_no_error_unless_it_must_be_there(here, capsys):
    assert main(["restore", str(here / "x"), "--key", "none"]) == 0
    assert "nothing is filed under none in local, trusted" in capsys.readouterr().out
    assert main(["restore", str(here / "x"), "--key", "none", "--must"]) == 1


def test_a_directory_that_is_not_empty_is_not_touched(here, capsys):
    from pipelines.cli.main import main as command

    top = tree(here / "made", a="one")
    main(["save", str(top), "--key", "k"])
    assert command(["cache", "restore", str(top), "--key", "k"]) == 2
    assert "not empty" in capsys.readouterr().err
    assert (top / "a").read_text() == "one"


def test_a_volume_of_the_store_travels_by_its_name(here, monkeypatch):
    layout = Layout.open(Path(os.environ["PIPELINES_CACHE_DIR"]))
    tree(layout.volumes / identity(CacheVolume("npm")) / "data", left="pad")
    assert main(["save", "--volume", "npm"]) == 0
    store = machine(monkeypatch, here, 2)
    assert main(["restore", "--volume", "npm"]) == 0
    there = store / "volumes" / identity(CacheVolume("npm"))
    assert (there / "data" / "left").read_text() == "pad"
    assert json.loads((there / "meta.json").read_text())["key"] == "npm"


def test_a_run_that_may_write_nothing_saves_nothing_and_says_why(here, monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request_target")
    assert main(["save", str(tree(here / "made", a="x")), "--key", "k"]) == 0
    assert "pull_request_target" in capsys.readouterr().out
    assert not (here / "backend").exists() or not list((here / "backend").rglob("*heads*/*"))


def test_a_pull_request_reads_what_is_trusted_and_others_do_not_read_it(here, monkeypatch, capsys):
    monkeypatch.setenv("PIPELINES_CACHE_SCOPE", "trusted")
    main(["save", str(tree(here / "good", a="good")), "--key", "k"])
    monkeypatch.setenv("PIPELINES_CACHE_SCOPE", "pr/7")
    main(["restore", str(here / "pr"), "--key", "k"])
    assert (here / "pr" / "a").read_text() == "good"
    main(["save", str(tree(here / "evil", a="evil")), "--key", "k"])
    monkeypatch.setenv("PIPELINES_CACHE_SCOPE", "trusted")
    main(["restore", str(here / "again"), "--key", "k"])
    assert (here / "again" / "a").read_text() == "good"


def test_inspect_shows_heads_and_sizes(here, capsys):
    main(["save", str(tree(here / "made", a="x" * 1000)), "--key", "k"])
    main(["inspect", "--json"])
    found = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    (head,) = found["heads"]
    assert (head["scope"], head["key"], head["kind"], head["packs"]) == (
        "local",
        "hand/k",
        "build",
        1,
    )
    assert found["packs"] == 1
    main(["inspect"])
    assert "local  hand/k  #1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["save"], 2, "takes a PATH or --volume"),
        (["save", "x"], 2, "needs --key"),
        (["save", "nowhere", "--key", "k"], 2, "is not a directory"),
        (["save", "--volume", "nowhere"], 2, "has no volume 'nowhere'"),
        (["inspect", "--url", "gopher://x/y"], 2, "no caches are kept by gopher"),
    ],
)
def test_a_mistake_is_named(words, code, says, capsys):
    from pipelines.cli.main import main as command

    assert command(["cache", *words]) == code
    assert says in capsys.readouterr().err


def test_nothing_configured_says_how(monkeypatch, capsys):
    from pipelines.cli.main import main as command

    monkeypatch.delenv("PIPELINES_CACHE_URL")
    assert command(["cache", "inspect"]) == 2
    assert "--url" in capsys.readouterr().err


def test_a_damaged_backend_is_exit_code_7(here, capsys):
    from pipelines.cli.main import main as command

    main(["save", str(tree(here / "made", a="x" * 1000)), "--key", "k"])
    for path in (here / "backend" / "packs").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * path.stat().st_size)
    assert command(["cache", "restore", str(here / "back"), "--key", "k"]) == 7
    assert not list((here / "back").iterdir())


def test_six_jobs_that_save_at_once_lose_nothing(here):
    jobs = []
    for number in range(6):
        top = tree(here / f"job{number}", **{f"module{number}": "x" * number, "shared": "same"})
        words = ["cache", "save", str(top), "--key", "modules", "--kind", "download"]
        env = {**os.environ, "PIPELINES_CACHE_DIR": str(here / f"machine{number}")}
        command = [sys.executable, "-m", "pipelines.cli.main", *words]
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        jobs.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL))
    assert [job.wait() for job in jobs] == [0] * 6
    assert main(["restore", str(here / "all"), "--key", "modules"]) == 0
    assert sorted(os.listdir(here / "all")) == [*(f"module{n}" for n in range(6)), "shared"]
