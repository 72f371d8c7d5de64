"""`pipelines cache gc` and `verify --remote`: what goes, what stays, what is damaged."""

import json
import os
import time

import pytest

from pipelines.caches.collecting import DAY
from pipelines.caches.heads import Standing
from pipelines.caches.trust import Claim
from pipelines.cli.cache import main
from pipelines.cli.tending import plan
from tests.cli.test_cli_byhand import here, tree

assert here  # the fixture: a project, a backend, a store, no CI

NOW = 1_000 * DAY


def head(name, scope="trusted", made=NOW, expires=NOW + DAY, generation="g"):
    claim = Claim(scope, "key", generation, 1, made, expires)
    return Standing(name, made, (claim,))


@pytest.mark.parametrize(
    ("standing", "goes"),
    [
        (head("fresh"), False),
        (head("expired", expires=NOW - 1), True),
        (head("unused", made=NOW - 15 * DAY), True),
        (head("used", made=NOW - 13 * DAY), False),
        (head("pull", scope="pr/7", made=NOW - 8 * DAY), True),
        (head("new pull", scope="pr/7", made=NOW - 6 * DAY), False),
        (Standing("senseless", NOW, ()), False),
        (Standing("old and senseless", NOW - 20 * DAY, ()), True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_head_goes_when_it_is_old(standing, goes):
    assert bool(plan([standing], NOW, 14 * DAY).remove) is goes


def test_generations_of_heads_that_go_stay_once_more():
    assert plan([head("a", expires=0), head("b", generation="h")], NOW, DAY).keep == {"g", "h"}


def age(backend, seconds):
    for path in backend.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - seconds,) * 2)


def test_what_no_head_needs_goes_and_the_rest_can_be_restored(here, capsys):
    for number in range(3):
        main(["save", str(tree(here / f"made{number}", a=f"{number}" * 9000)), "--key", "k"])
    age(here / "backend", 5 * DAY)
    main(["gc", "--dry-run", "--json"])
    main(["gc", "--json"])
    would, did = (json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:])
    assert would["removed"] == did["removed"] != []
    assert did["heads"] == []
    main(["restore", str(here / "back"), "--key", "k"])
    assert (here / "back" / "a").read_text() == "2" * 9000


def test_a_backend_that_is_whole_is_verified(here, capsys):
    main(["save", str(tree(here / "made", a="x" * 1000)), "--key", "k"])
    assert main(["verify", "--remote"]) == 0
    assert "1 generations read: everything" in capsys.readouterr().out


def test_a_flipped_bit_is_found_and_named(here, capsys):
    main(["save", str(tree(here / "made", a=os.urandom(5000).hex())), "--key", "k"])
    (pack,) = [path for path in (here / "backend" / "packs").rglob("*") if path.is_file()]
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    assert main(["verify", "--remote", "--json"]) == 7
    (fault,) = json.loads(capsys.readouterr().out.splitlines()[-1])["faults"]
    assert fault.startswith("packs/")
