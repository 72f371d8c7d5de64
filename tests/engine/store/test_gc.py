from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.store.gc import Content, Holding, decide
from pipelines.engine.store.policy import Disk, Policy

ROOMY = Disk(1000, 1000, 1000, 1000)
LAX = Policy(0, 10**9, 0, 0, keep_seconds=100, grace_seconds=10)
NOW = 1000.0


def record(name, used, *refs):
    return Holding("record", name, used, refs)


def names(decision):
    return [h.id for h in decision.holdings]


def test_a_store_within_its_policy_loses_nothing():
    decision = decide([record("r", NOW, "a")], {"a": Content(5, 1)}, LAX, ROOMY, NOW)
    assert (decision.holdings, decision.content, decision.held) == ((), (), 5)


def test_the_least_recently_used_goes_first():
    policy = Policy(0, 10, 0, 0)
    holdings = [record("new", 9, "a"), record("old", 1, "b"), record("mid", 5, "c")]
    contents = {name: Content(6, 1) for name in "abc"}
    decision = decide(holdings, contents, policy, ROOMY, NOW)
    assert names(decision) == ["old", "mid"]
    assert (decision.content, decision.held) == (("b", "c"), 6)


def test_content_that_another_record_names_stays():
    policy = Policy(0, 10, 0, 0)
    holdings = [record("old", 1, "a", "b"), record("new", 9, "a")]
    decision = decide(holdings, {"a": Content(8, 1), "b": Content(8, 1)}, policy, ROOMY, NOW)
    assert decision.content == ("b",)


def test_what_was_not_used_for_long_goes_when_more_than_reserved_is_held():
    holdings, contents = [record("r", NOW - 101, "a")], {"a": Content(5, 1)}
    assert names(decide(holdings, contents, LAX, ROOMY, NOW)) == ["r"]
    reserved = Policy(5, 10**9, 0, 0, keep_seconds=100)
    assert names(decide(holdings, contents, reserved, ROOMY, NOW)) == []


def test_what_nobody_names_goes_after_its_grace_or_when_room_is_short():
    contents = {"young": Content(5, 1, NOW - 9), "old": Content(5, 1, NOW - 11)}
    assert decide([], contents, LAX, ROOMY, NOW).content == ("old",)
    short = Policy(0, 10**9, 1001, 0)
    assert set(decide([], contents, short, ROOMY, NOW).content) == {"young", "old"}


def test_what_others_keep_stays():
    contents = {"image": Content(5, 1)}
    assert decide([], contents, LAX, ROOMY, NOW, keep=["image"]).content == ()


def test_a_lack_of_inodes_makes_room_too():
    policy = Policy(0, 10**9, 0, 100)
    disk = Disk(1000, 1000, 1000, 50)
    holdings = [record("old", 1, "a"), record("new", 2, "b")]
    decision = decide(holdings, {n: Content(1, 60) for n in "ab"}, policy, disk, NOW)
    assert names(decision) == ["old"]


def test_a_file_system_that_counts_no_inodes_is_not_short_of_them():
    decision = decide([record("r", NOW, "a")], {"a": Content(1, 1)}, LAX, Disk(10, 10, 0, 0), NOW)
    assert names(decision) == []


refs = st.sets(st.sampled_from("abcdef")).map(tuple)
holdings = st.lists(st.tuples(st.floats(0, 1000), refs), max_size=8).map(
    lambda drawn: [record(str(n), used, *r) for n, (used, r) in enumerate(drawn)]
)
contents = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Content, st.integers(0, 50), st.just(1))
)
policies = st.builds(
    Policy,
    st.integers(0, 100),
    st.integers(0, 200),
    st.integers(0, 1200),
    st.just(0),
    st.floats(0, 1000),
)


@given(holdings, contents, policies)
def test_what_is_kept_is_whole_younger_and_within_the_policy(holdings, contents, policy):
    decision = decide(holdings, contents, policy, ROOMY, NOW)
    kept = [h for h in holdings if h not in decision.holdings]
    assert not {r for h in kept for r in h.refs} & set(decision.content)
    gone = [h.used for h in decision.holdings]
    assert max(gone, default=-1) <= min((h.used for h in kept), default=1001)
    assert decision.held == sum(c.size for n, c in contents.items() if n not in decision.content)
    if kept and decision.held > policy.reserved:
        assert decision.held <= policy.maximum
        assert ROOMY.free + decision.freed >= policy.min_free
