"""From annotations to flags, and from their texts to values."""
# ruff: noqa: PLR0917, B008 - signatures of stages are the subject

import enum
from pathlib import Path
from typing import Literal

import dagger
import pytest

from pipelines import Platform, SourceError, UsageError
from pipelines.cli.flags import assign, flags
from pipelines.cli.values import Reader, excluded


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


def values(call, *arguments, environ=None, export=None):
    found = flags("s", call)
    return Reader(export, environ or {}).values(found, assign(found, arguments))


def test_every_annotation_has_its_flag():
    async def s(
        source: dagger.Directory,
        file: dagger.File,
        platform: Platform,
        key: dagger.Secret,
        level: Level,
        mode: Literal["a", "b"] = "a",
        n: int = 1,
        path: Path | None = None,
        race: bool = False,
        tags: list[str] = [],  # noqa: B006
    ): ...

    assert [flag.usage for flag in flags("s", s)] == [
        "[--source DIR]",
        "--file FILE",
        "--platform OS/ARCH",
        "--key env:NAME|file:PATH|cmd:COMMAND",
        "--level {LOW,HIGH}",
        "[--mode {a,b}]",
        "[--n INT]",
        "[--path PATH]",
        "[--race]",
        "[--tags TEXT]",
    ]


def test_texts_become_values():
    async def s(
        platform: Platform,
        level: Level,
        n: int,
        x: float,
        mode: Literal[1, 2],
        path: Path,
        race: bool = False,
        fast: bool = True,
        tag: tuple[str, ...] = (),
    ): ...  # fmt: skip

    assert values(
        s, "--platform", "linux/arm/v6", "--level=HIGH", "--n", "-3", "--x", "1.5", "--mode", "2",
        "--path", "a/b", "--race", "--no-fast", "--tag", "a", "--tag=b",
    ) == {
        "platform": Platform("linux", "arm", "v6"), "level": Level.HIGH, "n": -3, "x": 1.5,
        "mode": 2, "path": Path("a/b"), "race": True, "fast": False, "tag": ["a", "b"],
    }  # fmt: skip


def test_what_is_not_given_is_left_to_the_default():
    async def s(n: int = 5, t: str = "x", items: list[int] | None = None): ...

    assert values(s) == {}


def test_a_directory_is_here_unless_said_otherwise(tmp_path, monkeypatch):
    async def s(source: dagger.Directory): ...

    monkeypatch.chdir(tmp_path)
    assert isinstance(values(s)["source"], dagger.Directory)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n", "x"], ["--n takes INT", "'x'"]),
        (["--n"], ["--n needs a value: INT"]),
        (["--mode", "c", "--n", "1"], ["--mode takes one of a, b", "'c'"]),
        (["--mod", "a"], ["no flag --mod", "did you mean --mode?"]),
        (["--race=maybe", "--n", "1"], ["--race takes one of true", "'maybe'"]),
        (["--n", "1", "--n", "2"], ["--n is given 2 times"]),
        ([], ["stage s needs --n INT"]),
        (["--n", "1", "build"], ["'build' stands after the flags"]),
        (["--n", "1", "--p", "linux/amd46"], ["--p linux/amd46", "did you mean amd64?"]),
        (["--n", "1", "--d", "/no/such"], ["--d /no/such", "does not exist"]),
        (["--n", "1", "--d", __file__], ["is not a directory"]),
        (["--n", "1", "--k", "env:NOPE"], ["--k", "NOPE is not set"]),
    ],
)
def test_a_wrong_flag_is_named_with_its_value_and_what_is_allowed(arguments, words):
    async def s(
        n: int,
        mode: Literal["a", "b"] = "a",
        race: bool = False,
        p: Platform = Platform("linux", "amd64"),
        d: dagger.Directory = None,
        k: dagger.Secret = None,
    ): ...

    with pytest.raises(UsageError) as caught:
        values(s, *arguments)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_secret_on_the_command_line_is_refused_and_not_repeated():
    async def s(token: dagger.Secret): ...

    with pytest.raises(UsageError) as caught:
        values(s, "--token", "hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_for_a_secret_is_a_source_error():
    async def s(token: dagger.Secret): ...

    with pytest.raises(SourceError):
        values(s, "--token", "file:/no/such")


def test_a_parameter_that_no_flag_can_give_is_named():
    async def bare(x): ...
    async def odd(x: dict[str, int]): ...
    async def taken(jobs: int): ...

    for call, words in ((bare, "has no annotation"), (odd, "no flag can give"), (taken, "rename")):
        with pytest.raises(UsageError, match=words):
            flags("s", call)


def test_where_results_go_and_git_are_no_input(tmp_path):
    assert excluded(tmp_path, None) == [".git"]
    assert excluded(tmp_path, tmp_path / "out" / "dist") == [".git", "out/dist"]
    assert excluded(tmp_path, tmp_path.parent / "elsewhere") == [".git"]
    assert excluded(tmp_path, None, tmp_path / "caches") == [".git", "caches"]
