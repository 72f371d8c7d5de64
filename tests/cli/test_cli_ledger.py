"""`pipelines cache report`: what the ledger holds, for people and for programs."""

import json

import pytest

from pipelines.caches.ledger import Entry, Ledger
from pipelines.cli.cache import main

URL = "s3://bucket/shop"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PIPELINES_CACHE_DIR", str(tmp_path))
    return Ledger(tmp_path)


def entry(run, cache, did, **more):
    return Entry(run, URL, cache, did, **more)


def test_nothing_to_tell_says_how_to_begin(store, capsys):
    assert main(["report"]) == 0
    assert "[tool.pipelines.cache]" in capsys.readouterr().out


def test_a_report_shows_the_last_run_with_its_sum_and_its_reasons(store, capsys):
    store.add(
        entry("1", "volume old", "hit", saved=999),
        entry("2", "results", "hit", saved=130.0, seconds=0.5, size=3 << 20),
        entry("2", "volume npm", "skipped", why="9.0 s would be lost: the work takes 2.0 s"),
    )
    main(["report"])
    head, results, npm, total, why = capsys.readouterr().out.splitlines()
    assert head.split() == ["cache", "did", "saved", "spent", "net", "down", "up"]
    assert "2m10s" in results
    assert "+2m10s" in total
    assert "1 hit, 1 skipped" in total
    assert "3.0 MiB" in results
    assert "1 skipped" in npm
    assert why == "volume npm: 9.0 s would be lost: the work takes 2.0 s"
    main(["report", "--all"])
    assert "volume old" in capsys.readouterr().out


def test_programs_get_numbers(store, capsys):
    store.add(entry("2", "results", "hit", saved=130.0, seconds=0.5, size=7, requests=2))
    main(["report", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["runs"] == 1
    assert found["caches"][0]["cache"] == "results"
    assert found["total"]["net"] == 129.5
