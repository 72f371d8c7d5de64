"""The ledger: what caches cost and saved, whatever happens to its file."""

import pytest

from pipelines.caches.ledger import Entry, Ledger, report, total
from pipelines.caches.policy import SURE, Link

URL = "s3://bucket/shop"


def entry(cache="results", did="hit", run="1", **more):
    return Entry(run, URL, cache, did, at=1.0, **more)


def test_entries_come_back_as_they_went_in(tmp_path):
    entries = [entry(saved=3.5, why="because"), entry("volume go", "saved", size=7, link=Link())]
    Ledger(tmp_path).add(*entries)
    assert Ledger(tmp_path).entries() == entries


def test_no_ledger_is_an_empty_one(tmp_path):
    assert Ledger(tmp_path).entries() == []
    assert Ledger(tmp_path).last() == []
    Ledger(tmp_path / "nowhere").add(entry())


def test_lines_that_make_no_sense_are_left_out(tmp_path):
    Ledger(tmp_path).add(entry())
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write(
            '{"v": 2}\n[]\n{"v": 1, "did": "danced"}\n{"v": 1, "did": "hit", "x": 1}\n{"v": 1'
        )
    assert Ledger(tmp_path).entries() == [entry()]


def test_the_last_run_is_the_one_that_wrote_last(tmp_path):
    Ledger(tmp_path).add(entry(run="1"), entry(run="2"), entry("volume go", run="2"))
    assert [found.cache for found in Ledger(tmp_path).last()] == ["results", "volume go"]


def test_a_ledger_stays_small(tmp_path):
    for number in range(50):
        Ledger(tmp_path, largest=1000).add(entry(run=str(number), why="x" * 40))
    assert (tmp_path / "ledger.jsonl").stat().st_size < 1500
    assert Ledger(tmp_path).entries()[-1].run == "49"


def test_a_report_adds_up_by_cache_the_best_first():
    lines = report(
        [
            entry("volume go", "restored", seconds=4, saved=10, size=100, requests=3),
            entry("volume go", "saved", seconds=1, size=7, requests=2),
            entry("results", "hit", seconds=0.5, saved=20),
            entry("results", "hit", saved=5),
            entry("volume npm", "gave up", seconds=2, why="too slow"),
        ]
    )
    assert [(line.cache, line.net) for line in lines] == [
        ("results", 24.5),
        ("volume go", 5),
        ("volume npm", -2),
    ]
    assert (lines[1].received, lines[1].sent, lines[1].requests) == (100, 7, 5)
    assert lines[0].did == {"hit": 2}
    assert lines[2].why == "too slow"
    assert (total(lines).net, total(lines).did["hit"]) == (27.5, 2)


def test_a_link_is_remembered_by_its_backend(tmp_path):
    Ledger(tmp_path).add(entry(link=Link(0.5, 1e6, SURE)))
    assert Ledger(tmp_path).link(URL).bandwidth == pytest.approx(1e6)
    assert Ledger(tmp_path).link("s3://other") == Link()
