"""Names of objects: nothing climbs, nothing collides."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.caches.errors import Damaged
from pipelines.caches.names import check, encode

HOSTILE = ["..", "../trusted", "trusted", "Trusted", "branch/trusted", "branch_2ftrusted", "a/b",
           "a_b", "a", "A", "é", "e\u0301", "\u212a", "k", "K", ".git", "con", "x" * 300, "\0",
           "x" * 301, "x" * 80, "a__b", "\udcff", "pr/1", "pr/10", "pr_2f1"]  # fmt: skip


def test_hostile_texts_do_not_meet_even_where_case_and_accents_are_folded():
    folded = [unicodedata.normalize("NFKC", encode(text)).casefold() for text in HOSTILE]
    assert len(set(folded)) == len(HOSTILE)


@given(st.text(min_size=1), st.text(min_size=1))
@example("x" * 119 + "é", "x" * 119 + "è")
def test_different_texts_are_written_differently(one, other):
    assert (encode(one) == encode(other)) == (one == other)


@given(st.text(min_size=1))
def test_what_is_written_is_one_part_of_a_name(text):
    written = encode(text)
    assert re.fullmatch(r"[a-z0-9_-]{1,120}", written)
    assert check(f"heads/{written}") == f"heads/{written}"


def test_long_texts_that_begin_alike_differ():
    assert encode("b" * 500 + "1") != encode("b" * 500 + "2")


def test_a_text_that_looks_like_what_is_written_for_a_long_one_does_not_meet_it():
    assert encode(encode("b" * 500)) != encode("b" * 500)


@pytest.mark.parametrize("name", ["", "/a", "a/", "a/../b", "a/./b", ".a", "a b", "ä", "a\0"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(Damaged, match="is not the name"):
        check(name)
