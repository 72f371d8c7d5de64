"""Input sets that were worked out are noted: what has the work done again, and what has not."""

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


@pytest.fixture
def found(source, monkeypatch):
    """Ask for an input set in a session of its own; tells whether the source was surveyed."""
    surveyed = []
    real = _inputs.survey

    async def survey(directory):
        surveyed.append(directory)
        return await real(directory)

    monkeypatch.setattr(_inputs, "survey", survey)

    async def ask(platform=LINUX, *packages, cache="use", **options):
        surveyed.clear()
        async with connect(session=Session.start(cache=cache), cache=cache):
            directory = dagger.dag.host().directory(str(source))
            inputs = await go.inputs(directory, platform, *(packages or ("./cmd/a",)), **options)
        return inputs, bool(surveyed)

    return ask


async def test_the_second_run_takes_what_the_first_has_noted(found):
    first, worked = await found()
    assert worked
    assert first.paths == ("cmd/a/main.go", "go.mod", "lib/lib.go")
    assert await found() == (first, False)


@pytest.mark.parametrize(
    "edit",
    [
        {"lib/lib.go": "package lib\n\n// more\n"},
        {"lib/other.go": "package lib\n"},
        {"lib/asm.s": "// nothing\n"},
        {"lib/more.txt": "a name that was not there\n"},
        {"go.mod": "module example.org/m\n\ngo 1.25\n"},
        {"go.work": "go 1.26\n\nuse .\n"},
        {"deep/er/go.mod": "module example.org/other\n"},
    ],
    ids=lambda edit: next(iter(edit)),
)
async def test_what_a_set_may_follow_from_has_it_worked_out_again(source, found, edit):
    await found()
    write(source, edit)
    noted, worked = await found()
    assert worked
    (source.parent / "cache/pipelines/inputs").rename(source.parent / "gone")
    assert (await found()) == (noted, True)


async def test_a_file_that_went_and_one_that_moved_have_it_worked_out_again(source, found):
    await found()
    (source / "lib/data.txt").rename(source / "lib/moved.txt")
    assert (await found())[1]
    (source / "lib/only_windows.go").unlink()
    assert (await found())[1]


@pytest.mark.parametrize("name", ["README.md", "lib/data.txt"])
async def test_what_other_files_say_does_not(source, found, name):
    await found()
    (source / name).write_text("other words\n")
    assert not (await found())[1]


async def test_modes_and_times_of_files_that_are_not_go_do_not(source, found):
    await found()
    (source / "README.md").chmod(0o755)
    (source / "lib/lib.go").touch()
    assert not (await found())[1]


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
    _, worked = await found(LINUX, *packages, **options)
    assert worked


async def test_another_platform_has_an_answer_of_its_own(found):
    await found()
    other, worked = await found(Platform("windows", "amd64"))
    assert worked
    assert "lib/only_windows.go" in other.paths


async def test_other_code_believes_nothing_that_was_noted(found, monkeypatch):
    await found()
    monkeypatch.setattr(_inputs, "_code", lambda: "other code")
    assert (await found())[1]


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
        assert (await found(cache=cache))[1]


async def test_a_note_that_is_broken_is_made_anew(source, found):
    first, _ = await found()
    [note] = (source.parent / "cache/pipelines/inputs").iterdir()
    whole = note.read_bytes()
    note.write_bytes(whole[: len(whole) // 2])
    assert await found() == (first, True)
    assert note.read_bytes() == whole
