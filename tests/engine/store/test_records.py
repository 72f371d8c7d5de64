import sqlite3
import threading
import time
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import ContentMissing
from pipelines.engine.result import Ran, Snapshot
from pipelines.engine.store.records import Records
from pipelines.engine.tree import Entry, Tree

KEY, OTHER = digest_bytes(b"key"), digest_bytes(b"other")
A, B = "a" * 64, "b" * 64
stacks = st.lists(st.sampled_from([A, B])).map(lambda found: Snapshot(tuple(found)))
entries = st.builds(
    Entry,
    kind=st.just("link"),
    mode=st.just(0o777),
    target=st.text(min_size=1),
    uid=st.integers(0, 9),
    mtime=st.none() | st.integers(0, 9),
)
trees = st.dictionaries(st.text("ab\udc80\n", min_size=1), entries).map(Tree)


def ran(blobs, **fields):
    stream = blobs.put(b"out")
    return Ran({"": Snapshot((A, B)), "/src": Snapshot(())}, 3, stream, stream, stream, **fields)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees | stacks)
def test_what_was_recorded_is_found_under_every_key(records, result):
    records.put([KEY, OTHER], result)
    assert records.get(KEY) == records.get(OTHER) == result


def test_an_exec_is_found_as_it_was(records, blobs):
    result = ran(blobs)
    records.put([KEY], result, "Exec", 1.5)
    assert records.get(KEY) == result
    row = next(records.rows())
    assert (row.note, row.seconds, row.layers) == ("Exec", 1.5, (A, B))


def test_a_tree_s_digest_is_known_without_its_entries(records, blobs):
    tree = Tree({"f": Entry("link", 0o777, target="x")})
    records.put([KEY], tree)
    found = records.get(KEY)
    blobs.path(tree.digest).chmod(0o600)
    blobs.path(tree.digest).write_bytes(b"damaged")
    assert found.digest == tree.digest
    with pytest.raises(ContentMissing):
        len(found)


def test_a_record_whose_layer_is_gone_is_a_miss_and_goes(records, layers):
    records.put([KEY], Snapshot((A, B)))
    layers.remove(B)
    assert records.get(KEY) is None
    assert list(records.rows()) == []


def test_a_record_whose_blob_is_gone_is_a_miss(records, blobs):
    result = ran(blobs)
    records.put([KEY], result)
    blobs.remove(result.stdout)
    assert records.get(KEY) is None


def test_a_tree_whose_blob_is_gone_is_a_miss(records, blobs):
    records.put([KEY], Tree())
    blobs.remove(Tree().digest)
    assert records.get(KEY) is None


def test_what_was_forgotten_is_a_miss(records):
    records.put([KEY, OTHER], Snapshot())
    records.forget(KEY)
    assert records.get(KEY) is None
    assert records.get(OTHER) == Snapshot()


def test_a_use_by_one_key_counts_for_the_others_of_a_result(records):
    records.put([KEY, OTHER], Snapshot((A,)))
    made = records.last_used([KEY])[KEY]
    time.sleep(0.01)
    records.get(OTHER)
    assert records.last_used([KEY, "gone"]) == {KEY: records.last_used([OTHER])[OTHER]}
    assert records.last_used([KEY])[KEY] > made
    assert records.last_used([]) == {}


def test_a_use_makes_a_record_younger(records):
    records.put([KEY], Snapshot())
    made = next(records.rows()).used
    while time.time() == made:
        pass
    records.get(KEY)
    assert next(records.rows()).used > made


@pytest.mark.parametrize("junk", [b"", b"not a database" * 500, b"SQLite format 3\0" + bytes(9000)])
def test_a_damaged_database_is_begun_anew(layout, layers, junk):
    first = Records(layout, layers.__contains__)
    first.put([KEY], Snapshot())
    first.close()
    layout.records.write_bytes(junk)
    again = Records(layout, layers.__contains__)
    assert again.get(KEY) is None
    again.put([KEY], Snapshot())
    assert again.get(KEY) == Snapshot()
    again.close()


def test_a_database_damaged_while_it_is_open_is_a_miss(records, layout):
    records.put([KEY], Snapshot())
    with closing(sqlite3.connect(layout.records)) as vandal:
        vandal.execute("DROP TABLE records")
    assert records.get(KEY) is None
    records.put([KEY], Snapshot())
    assert records.get(KEY) == Snapshot()


def test_a_row_that_makes_no_sense_is_a_miss(records):
    records.put([KEY], Snapshot())
    for text in ("", "[]", "{}", '{"ran": 3}', '{"tree": "sha256:zz"}', '{"snapshot": [[]]}'):
        records._db.execute("UPDATE records SET result = ?", (text,))
        assert records.get(KEY) is None
        records.put([KEY], Snapshot())


def test_after_another_boot_only_what_was_durable_counts(layout, layers):
    first = Records(layout, layers.__contains__, boot="first")
    first.put([KEY], Snapshot((A,)))
    first.flush()
    first._db.execute("UPDATE records SET made = made - 10")
    assert first.mark_durable()
    assert not first.mark_durable()
    first.put([OTHER], Snapshot((B,)))
    first.close()
    second = Records(layout, layers.__contains__, boot="second")
    assert second.get(KEY) == Snapshot((A,))
    assert second.get(OTHER) is None
    second.close()


def test_in_the_same_boot_everything_counts(layout, layers):
    for _ in range(2):
        opened = Records(layout, layers.__contains__, boot="same")
        opened.put([OTHER], Snapshot())
        opened.close()
    again = Records(layout, layers.__contains__, boot="same")
    assert again.get(OTHER) == Snapshot()
    again.close()


def test_threads_share_one_connection(records):
    def work(n):
        for i in range(50):
            key = digest_bytes(b"%d %d" % (n, i))
            records.put([key], Snapshot((A,) * n))
            seen.append(records.get(key) == Snapshot((A,) * n))

    seen = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert seen == [True] * 200


def test_two_processes_record_side_by_side(records, other):
    code = """
        records = Records(layout, lambda layer: True)
        for n in range(200):
            key = digest_bytes(b"%d" % n)
            records.put([key], Snapshot(("a" * 64,)))
            assert records.get(key) == Snapshot(("a" * 64,))
    """
    both = [other(code), other(code)]
    assert [p.wait() for p in both] == [0, 0]
    assert sum(1 for _ in records.rows()) == 200
