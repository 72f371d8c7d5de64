"""Times of files that other machines had first."""

import time
from concurrent.futures import Future

import pytest

from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.travel.times import MOST, NAME, Times, decode, encode


@pytest.fixture
def files(tmp_path):
    return Files(Layout.open(tmp_path / "store"), owners=False)


def come(content):
    future = Future()
    future.set_result(content)
    return future


def saved(files, entry, tmp_path):
    """Give what a machine saves that gave one file to a command."""
    times = Times(files)
    times.met(entry)
    home = tmp_path / "times"
    home.mkdir()
    assert times.save(home)
    return (home / NAME).read_bytes()


def test_a_file_gets_the_time_that_it_had_where_it_was_first(files, tmp_path):
    one = files.write(b"one")
    times = Times(files)
    times.coming(come(saved(files, one, tmp_path)))
    assert times.of(one) == files.path(one).stat().st_mtime_ns
    assert times.of(files.write(b"two")) is None
    assert times.of(files.write(b"one", mode=0o755)) is None, "a mode is content too"


def test_the_future_is_not_believed(files, tmp_path):
    one = files.write(b"one")
    short = next(iter(decode(saved(files, one, tmp_path))))
    times = Times(files)
    times.coming(come(encode({short: time.time_ns() + 10**12})))
    assert times.of(one) is None


@pytest.mark.parametrize("content", [b"", b"x" * 25])
def test_times_that_do_not_come_are_not_known(files, content):
    times = Times(files)
    times.coming(come(content))
    assert times.of(files.write(b"one")) is None


def test_nothing_is_saved_if_all_is_known(files, tmp_path):
    one = files.write(b"one")
    times = Times(files)
    times.coming(come(saved(files, one, tmp_path)))
    times.met(one)
    assert not times.save(tmp_path)


def test_the_oldest_are_left_out():
    many = {number.to_bytes(16): number for number in range(MOST + 5)}
    assert min(decode(encode(many)).values()) == 5
