"""`pipelines.lock`: equal pins are equal bytes, and what is wrong with a file is said."""

import pytest

from pipelines.engine.errors import LockError
from pipelines.engine.names.pins import Pins, emit, parse

ROWS = (("git", "https://h/r#main", "abc"), ("image", "golang:1.26", "sha256:1"))


def test_rows_are_sorted_one_a_line_and_read_back():
    text = emit(reversed(ROWS))
    assert text == emit((*ROWS, ROWS[0]))
    assert text.splitlines()[2:4] == [
        '["git", "https://h/r#main", "abc"],',
        '["image", "golang:1.26", "sha256:1"]',
    ]
    assert parse(text, "x") == ROWS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "keep the rows of both sides"),
        ("<<<<<<< HEAD", "keep the rows of both sides"),
        ('[["version", "pipelines.lock", "1"], ["a", "b"]]', "keep the rows"),
        ('[["version", "pipelines.lock", "1"], ["a", "b", 3]]', "three texts"),
        ('[["version", "pipelines.lock", "2"]]', "of '2'.*upgrade pipelines"),
        ("[]", "no version"),
        (emit([("a", "b", "1"), ("a", "b", "2")]), "a b has two rows"),
    ],
)
def test_a_wrong_file_is_told(text, words):
    with pytest.raises(LockError, match=words):
        parse(text, "pipelines.lock")


def test_a_file_that_is_not_there_locks_nothing(tmp_path):
    pins = Pins(tmp_path / "pipelines.lock", "use", print)
    assert pins.find("image", "a") is None
    pins.demand("image", "a")


def test_a_file_is_read_only_when_something_is_pinned(tmp_path):
    path = tmp_path / "pipelines.lock"
    path.write_text("damaged")
    pins = Pins(path, "use", print)
    with pytest.raises(LockError):
        pins.find("image", "a")
    assert Pins(path, "update", print).find("image", "a") is None


def test_a_pin_is_told_once():
    told = []
    pins = Pins(None, "use", told.append)
    for _ in range(2):
        pins.made("image", "a", "1")
    assert told == [("image", "a", "1")]
