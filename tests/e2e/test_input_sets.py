"""Input sets that were worked out are noted: what has the work done again, and what has not."""

import subprocess
import sys
from typing import NamedTuple

import dagger
import pytest

from pipelines import Platform, connect, go
from pipelines._session import Session
from pipelines.go import _inputs
from tests.test_layers import ROOT, imports

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

FILES = {
    "go.mod": "module example.org/m\n\ngo 1.26\n",
    "cmd/a/main.go": 'package main\n\nimport _ "example.org/m/lib"\n\nfunc main() {}\n',
    "lib/lib.go": "package lib\n",
    "lib/only_windows.go": "//go:build windows\n\npackage lib\n",
    "lib/data.txt": "data\n",
    "README.md": "read me\n",
}
LINUX = Platform("linux", "amd64")


@pytest.fixture
def source(tmp_path, store):
    root = tmp_path / "source"
    write(root, FILES)
    return root


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


class Found(NamedTuple):
    """An input set, and what had to be done for it."""

    inputs: go.Inputs
    searched: bool
    worked: bool


@pytest.fixture
def found(source, monkeypatch):
    """Ask for an input set in a session of its own; tells what was done for it."""
    done = []

    def count(name):
        real = getattr(_inputs, name)

        async def counted(directory):
            done.append(name)
            return await real(directory)

        monkeypatch.setattr(_inputs, name, counted)

    count("seen")
    count("survey")

    async def ask(platform=LINUX, *packages, cache="use", **options):
        done.clear()
        async with connect(session=Session.start(cache=cache), cache=cache):
            directory = dagger.dag.host().directory(str(source))
            inputs = await go.inputs(directory, platform, *(packages or ("./cmd/a",)), **options)
        return Found(inputs, "seen" in done, "survey" in done)

    return ask


async def test_the_second_run_takes_what_the_first_has_noted(found):
    first = await found()
    assert first.searched
    assert first.worked
    assert first.inputs.paths == ("cmd/a/main.go", "go.mod", "lib/lib.go")
    assert await found() == (first.inputs, False, False)


@pytest.mark.parametrize(
    "edit",
    [
        {"lib/lib.go": "//go:build windows\n\npackage lib\n"},
        {"lib/lib.go": 'package lib\n\nimport _ "embed"\n\n//go:embed data.txt\nvar s string\n'},
        {"lib/lib_test.go": "package lib\n"},
        {"lib/other.go": "package lib\n"},
        {"lib/asm.s": "// nothing\n"},
        {"lib/more.txt": "a name that was not there\n"},
        {"go.mod": "module example.org/other\n\ngo 1.26\n"},
        {"go.work": "go 1.26\n\nuse .\n"},
        {"deep/er/go.mod": "module example.org/other\n"},
    ],
    ids=lambda edit: next(iter(edit)),
)
async def test_what_a_set_may_follow_from_has_it_worked_out_again(source, found, edit):
    await found()
    write(source, edit)
    noted = await found()
    assert noted.searched or "/" not in next(iter(edit))
    assert noted.worked
    (source.parent / "cache/pipelines/inputs").rename(source.parent / "gone")
    assert await found() == (noted.inputs, True, True)


@pytest.mark.parametrize(
    "edit",
    [
        {"lib/lib.go": "package lib\n\n// more\n"},
        {"lib/lib.go": "// Package lib says more.\npackage lib\n\nfunc f() int { return 1 }\n"},
        {"go.mod": "module example.org/m\n\ngo 1.25\n"},
    ],
    ids=["a comment", "a function", "a version"],
)
async def test_lines_that_count_for_nothing_are_searched_and_no_more(source, found, edit):
    first = await found()
    write(source, edit)
    assert await found() == (first.inputs, True, False)
    assert await found() == (first.inputs, False, False)


async def test_a_file_that_went_and_one_that_moved_have_it_worked_out_again(source, found):
    await found()
    (source / "lib/data.txt").rename(source / "lib/moved.txt")
    assert (await found()).worked
    (source / "lib/only_windows.go").unlink()
    assert (await found()).worked


@pytest.mark.parametrize("name", ["README.md", "lib/data.txt"])
async def test_what_other_files_say_does_not(source, found, name):
    await found()
    (source / name).write_text("other words\n")
    assert not (await found()).searched


async def test_modes_and_times_of_files_that_are_not_go_do_not(source, found):
    await found()
    (source / "README.md").chmod(0o755)
    (source / "lib/lib.go").touch()
    assert not (await found()).searched


@pytest.mark.parametrize(
    ("packages", "options"),
    [
        (("./lib",), {}),
        (("./cmd/a", "./lib"), {}),
        (("./cmd/a",), {"tests": True}),
        (("./cmd/a",), {"module": "lib"}),
        (("./cmd/a",), {"tags": ["special"]}),
        (("./cmd/a",), {"cgo": True}),
        (("./cmd/a",), {"race": True}),
        (("./cmd/a",), {"version": "1.20"}),
        (("./cmd/a",), {"flags": ["-tags=x"]}),
        (("./cmd/a",), {"more": ["**"], "tests": True}),
    ],
    ids=str,
)
async def test_another_question_has_an_answer_of_its_own(found, packages, options):
    await found()
    assert (await found(LINUX, *packages, **options)).worked


async def test_another_platform_has_an_answer_of_its_own(found):
    await found()
    other = await found(Platform("windows", "amd64"))
    assert other.worked
    assert "lib/only_windows.go" in other.inputs.paths


async def test_other_code_believes_nothing_that_was_noted(found, monkeypatch):
    await found()
    monkeypatch.setattr(_inputs, "_code", lambda: "other code")
    again = await found()
    assert again.searched
    assert again.worked


async def test_code_that_has_no_files_keeps_no_notes(source, found, monkeypatch):
    _inputs._code.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(_inputs, "_DECIDING", ("nowhere.py",))
        for _ in range(2):
            assert (await found()).worked
    _inputs._code.cache_clear()
    assert not (source.parent / "cache/pipelines/inputs").exists()


def test_every_module_that_decides_is_in_the_code():
    seen, left = set(), ["pipelines.go._inputs"]
    while left:
        if (name := left.pop()) not in seen and name.startswith("pipelines.go._"):
            seen.add(name)
            file = ROOT / f"{name.replace('.', '/')}.py"
            left += [found.rpartition(".")[0] for found in imports(file)]
    assert seen == {f"pipelines.go.{name[:-3]}" for name in _inputs._DECIDING if "/" not in name}


async def test_nothing_is_noted_or_believed_where_no_cache_counts(source, found):
    await found()
    for cache in ("off", "verify"):
        assert (await found(cache=cache)).worked


async def test_a_note_that_is_broken_is_made_anew(source, found):
    first = await found()
    kept = {n: n.read_bytes() for n in (source.parent / "cache/pipelines/inputs").iterdir()}
    assert len(kept) == 2
    for note, whole in kept.items():
        note.write_bytes(whole[: len(whole) // 2])
    assert await found() == first
    assert {note: note.read_bytes() for note in kept} == kept


async def test_a_search_that_failed_is_not_noted(source, found, monkeypatch):
    async def fail(directory):
        await directory.file("not there").contents()

    with monkeypatch.context() as patch:
        patch.setattr(_inputs, "seen", fail)
        assert "can not search" in (await found()).inputs.whole
    assert (await found()).inputs.paths


BOTH = """
import anyio, dagger, sys
from pipelines import Platform, connect, go

async def main():
    async with connect("embedded"):
        directory = dagger.dag.host().directory(sys.argv[1])
        for system in ("linux", "windows"):
            print(await go.inputs(directory, Platform(system, "amd64"), "./cmd/a"))

anyio.run(main)
"""


async def test_processes_at_once_have_the_same_answer(source, found):
    line = [sys.executable, "-c", BOTH, str(source)]
    running = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
    assert str((await found()).inputs) == said.pop().split("\n")[0]
