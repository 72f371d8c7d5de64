"""`pipelines run --shard` and `pipelines merge`: together they do everything once."""

import json
from pathlib import Path

import pytest

from pipelines import Shard, UsageError
from pipelines.cli.discover import Stage
from pipelines.cli.flags import flags
from pipelines.cli.merge import lost, main, missing, verdict
from pipelines.cli.part import NAME, Part, load
from pipelines.cli.run import dealt, parse
from tests.cli.test_cli_run import pipelines, repository  # noqa: F401 - a fixture

CI = '''
from dagger import Directory
from pipelines import Shard, StageFailed

async def cells(source: Directory, shard: Shard = Shard()) -> str:
    """Run some cells."""
    return " ".join(shard.pick("abcdef"))

async def one() -> str:
    return "one"

async def two() -> str:
    return "two"

async def bad(shard: Shard) -> str:
    if shard.index == 2:
        raise StageFailed("this part is bad")
    return "good"
'''


def part(index, of=2, exit_code=0, stages=()):
    return Part(Path(f"p{index}"), Shard(index, of), exit_code, "", tuple(stages))


def ran_tests(every, mine):
    return [{"label": "test", "tests": [{"every": list(every), "mine": list(mine)}]}]


@pytest.mark.parametrize(
    ("codes", "whole"), [((0, 0), 0), ((0, 1), 1), ((4, 1), 1), ((0, 4), 4), ((3, 6), 6)]
)
def test_the_verdict_is_the_worst_of_the_parts(codes, whole):
    assert verdict([part(n, exit_code=code) for n, code in enumerate(codes, 1)]) == whole


def test_a_part_that_is_not_there_fails_the_whole():
    assert missing([part(1, 3), part(3, 3)]) == ["2/3"]
    assert verdict([part(1, 3), part(3, 3)]) == 1


def test_tests_that_no_part_ran_fail_the_whole():
    parts = [part(1, stages=ran_tests("ab", "a")), part(2, stages=ran_tests("abc", "b"))]
    assert lost(parts) == ["test: c"]
    assert verdict(parts) == 1
    assert lost([part(1, stages=ran_tests("ab", "a")), part(2, stages=ran_tests("ab", "ab"))]) == []


async def takes(shard: Shard) -> None: ...
async def whole() -> None: ...


@pytest.mark.parametrize("of", [1, 2, 5])
def test_a_stage_that_takes_no_shard_runs_in_exactly_one(of):
    chosen = [Stage("takes", takes, ""), *(Stage(n, whole, "") for n in "abcd")]
    wanted = {stage.name: flags(stage.name, stage.call) for stage in chosen}
    runs = [[s.name for s in dealt(chosen, wanted, Shard(i, of))] for i in range(1, of + 1)]
    assert all("takes" in names for names in runs)
    assert sorted(n for names in runs for n in names if n != "takes") == list("abcd")


def test_a_shard_is_a_value_of_run():
    assert parse(["x", "--shard", "2/3"]).shard == Shard(2, 3)
    with pytest.raises(UsageError, match="such as 2/3"):
        parse(["x", "--shard", "2"])


@pytest.fixture
def shared(repository):  # noqa: F811
    (repository / "ci.py").write_text(CI)
    return repository


def test_the_shards_of_a_run_do_everything_once_and_merge(shared, capsys):
    said = []
    for index in (1, 2, 3):
        ran = pipelines(
            shared,
            "run",
            "cells",
            "one",
            "two",
            "--shard",
            f"{index}/3",
            "--export",
            f"out/{index}",
        )
        assert ran.returncode == 0, ran.stderr
        said += ran.stdout.split()
    assert sorted(said) == ["a", "b", "c", "d", "e", "f", "one", "two"]
    out = shared / "out"
    assert main([*(str(out / str(n)) for n in (3, 1, 2)), "--export", str(out / "all")]) == 0
    assert "2/3   cells" in capsys.readouterr().err


def test_what_failed_in_a_part_is_told_by_the_whole(shared, capsys):
    for index in (1, 2):
        pipelines(shared, "run", "bad", "--shard", f"{index}/2", "--export", f"out/{index}")
    out = shared / "out"
    assert main([str(out / "1"), str(out / "2"), "--export", str(out / "all")]) == 1
    told = capsys.readouterr().err
    assert "in part 2/2:\nerror" in told
    assert "this part is bad" in told


def test_a_stage_says_in_its_help_that_it_takes_a_shard(shared):
    ran = pipelines(shared, "run", "cells", "--help")
    assert "usage: pipelines run cells [--source DIR] [--shard I/N]" in ran.stdout


def left(directory, shard):
    directory.mkdir()
    text = json.dumps({"v": 1, "shard": shard, "exit_code": 0, "error": "", "stages": []})
    (directory / NAME).write_text(text)
    return str(directory)


@pytest.mark.parametrize(
    ("shards", "message"),
    [(("1/2", "1/2"), "are both 1/2"), (("1/2", "2/3"), "are of different runs")],
)
def test_what_can_not_be_one_run_is_refused(tmp_path, shards, message):
    parts = [left(tmp_path / str(n), shard) for n, shard in enumerate(shards)]
    with pytest.raises(UsageError, match=message):
        main([*parts, "--export", str(tmp_path / "all")])


def test_the_whole_does_not_go_into_a_part(tmp_path):
    with pytest.raises(UsageError, match="is one of the parts"):
        main([left(tmp_path / "1", "1/1"), "--export", str(tmp_path / "1")])


@pytest.mark.parametrize("text", ["", "[]", '{"v": 1}', '{"v": 9}'])
def test_a_directory_that_is_no_part_is_said(tmp_path, text):
    with pytest.raises(UsageError, match="holds no part of a run"):
        load(tmp_path)
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UsageError, match=r"part of a run|another version"):
        load(tmp_path)
