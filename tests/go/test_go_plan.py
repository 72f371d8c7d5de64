"""Which packages a run has, in which parts."""

import pytest

from pipelines import Shard
from pipelines.go._plan import Listed, dealt
from pipelines.go._testing import Choices
from pipelines.report.timings import Timings

FOUND = tuple(Listed(f"m/{name}", name) for name in "abcdefgh")
UNTESTED = tuple(Listed(f"m/none{n}", f"none{n}", tested=False) for n in range(20))
TIMED = Timings({f"m/{name}": 1.0 for name in "bcdefgh"} | {"m/a": 7.0})


def plan(found=FOUND, timings=TIMED, **options):
    return dealt(found, Choices.of(options), timings, {})


def test_shards_beside_each_other_are_even_and_hold_everything():
    made = plan(shards=2)
    assert [cell.packages for cell in made.cells] == [("m/a",), tuple(f"m/{n}" for n in "bcdefgh")]
    assert made.splits[2]["m/a"] == 0


@pytest.mark.parametrize(
    "timings", [TIMED, Timings(), Timings({"m/gone": 3.0}, shards={3: {"m/a": 9}})]
)
def test_the_shards_of_several_jobs_hold_every_package_once(timings):
    plans = [plan(FOUND + UNTESTED, timings, shard=Shard(i, 3), shards=2) for i in (1, 2, 3)]
    mine = [path for one in plans for path in one.mine]
    assert sorted(mine) == sorted(p.path for p in FOUND + UNTESTED)
    assert all(one.every == plans[0].every for one in plans)
    assert plans[0].splits == plans[1].splits


def test_packages_without_tests_stay_where_they_are():
    more = (*FOUND, Listed("m/new", "new"), *UNTESTED)
    before, after = plan(FOUND + UNTESTED, shards=3), plan(more, shards=3)
    names = [package.path for package in UNTESTED]
    assert [before.splits[3][n] for n in names] == [after.splits[3][n] for n in names]


def test_a_limit_of_its_own_gives_a_package_a_cell():
    made = plan(timeout={"...": 60, "./a": 600})
    assert [(cell.packages, cell.seconds) for cell in made.cells] == [
        (tuple(f"m/{n}" for n in "bcdefgh"), 60),
        (("m/a",), 600),
    ]


def test_a_limit_for_some_leaves_the_others_with_gos_own():
    made = plan(timeout={"./a": 600})
    assert {cell.seconds for cell in made.cells} == {None, 600}


def test_more_shards_than_packages_are_no_empty_runs():
    assert len(plan(FOUND[:2], shards=9).cells) == 2
    assert (
        plan(FOUND[:1], shard=Shard(2, 2)).cells == ()
        or plan(FOUND[:1], shard=Shard(1, 2)).cells == ()
    )
