"""The cost model: restore what is worth its time, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.caches.policy import NEAR, SURE, Link, Offer, decide, learn, level, seconds, worth

MB = 10**6
CRANE = Offer(182 * MB, 741 * MB, 9517, 30, worth=130.0)
FAST = Link(0.01, 100 * MB, SURE)
SLOW = Link(0.01, 1 * MB, SURE)


def test_a_restore_takes_its_rounds_its_bytes_and_its_unpacking():
    offer = Offer(100 * MB, 0, 0, 16, None)
    assert seconds(offer, Link(0.5, 50 * MB, SURE)) == pytest.approx(2 * 0.5 + 2.0)
    assert seconds(Offer(0, 0, 16_000, 0, None), FAST) == pytest.approx(2.0)


def test_what_wins_is_restored_and_what_loses_is_not():
    assert decide("auto", CRANE, FAST, 30).restore
    refused = decide("auto", CRANE, SLOW, 30)
    assert not refused.restore
    assert "would be lost: the work takes 130.0 s" in refused.why


def test_what_goes_over_a_slow_link_is_compressed_harder():
    assert level(Link(bandwidth=NEAR)) < level(Link(bandwidth=NEAR / 2))


def test_a_link_of_which_little_is_known_is_tried():
    assert decide("auto", CRANE, Link(0.01, 1 * MB, seen=100_000), 30).restore
    assert not decide("auto", CRANE, Link(0.01, 0.2 * MB, seen=100_000), 30).restore


def test_what_is_worth_an_unknown_time_is_restored_within_the_budget():
    offer = Offer(182 * MB, 741 * MB, 9517, 30, worth=None)
    assert decide("auto", offer, FAST, 30).restore
    assert not decide("auto", offer, FAST, 2).restore


@pytest.mark.parametrize(("mode", "restored"), [("always", True), ("never", False)])
@pytest.mark.parametrize("link", [FAST, SLOW])
def test_a_mode_overrules_the_model(mode, restored, link):
    assert decide(mode, CRANE, link, 30).restore is restored


@given(st.floats(1e4, 1e10), st.floats(0, 1), st.integers(0, 10**10), st.floats(0.01, 1e4))
def test_a_decision_on_a_link_that_is_known_is_the_cheaper_of_the_two(speed, latency, size, saved):
    offer, link = Offer(size, 0, 0, 10, saved), Link(latency, speed, SURE)
    assert decide("auto", offer, link, 30).restore == (seconds(offer, link) < saved)


def test_the_work_is_learnt_with_and_without_a_restore():
    meta = learn({"kind": "x"}, 100.0, restored=False)
    assert worth(meta) == 100.0
    meta = learn(meta, 10.0, restored=True)
    assert worth(meta) == 90.0
    assert meta["kind"] == "x"


def test_the_newest_counts_for_a_part():
    meta = learn(learn({}, 100.0, restored=False), 200.0, restored=False)
    assert 100 < worth(meta) < 150


@pytest.mark.parametrize("cold", ["", "x", "nan", "-1", "inf"])
def test_meta_that_makes_no_sense_is_not_known(cold):
    assert worth({"cold": cold}) is None
    assert worth(learn({"cold": cold}, 3.0, restored=False)) == 3.0


def test_a_restore_after_which_the_work_takes_as_long_is_worth_nothing():
    assert worth({"cold": "10", "warm": "12"}) == 0.0


def test_a_link_moves_with_what_is_measured():
    known = Link(0.1, 10 * MB, SURE).after(Link(0.2, 20 * MB, 100))
    assert 10 * MB < known.bandwidth < 20 * MB
    assert 0.1 < known.latency < 0.2
    assert Link().after(FAST) == FAST
    assert FAST.after(Link()) == FAST
