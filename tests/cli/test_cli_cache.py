"""`pipelines cache`: what is asked of the engine, and how its answer is shown."""

import pytest

from pipelines.cli.cache import _parser, arguments, show


@pytest.mark.parametrize(
    ("words", "spelled"),
    [
        (["ls"], ["--cache", "ls"]),
        (["verify", "--repair"], ["--cache", "verify", "--repair"]),
        (["prune", "--all"], ["--cache", "prune", "--all"]),
        (
            ["prune", "--max-bytes", "10GB", "--older-than", "7d"],
            ["--cache", "prune", "--max-bytes", "10GB", "--older-than", "7d"],
        ),
    ],
)
def test_the_engine_is_asked_for_what_the_words_say(words, spelled):
    assert arguments(_parser().parse_args(words)) == spelled


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"kind": "volume", "name": "go", "bytes": 3 << 20, "inodes": 7},
            "volume  go  bytes: 3.0 MiB  inodes: 7",
        ),
        ({"kind": "pruned", "freed_bytes": 12}, "pruned  freed bytes: 12 B"),
        ({"text": "all well"}, "all well"),
    ],
)
def test_an_answer_is_a_line(entry, line):
    assert show(entry) == line
