"""Secrets are taken out: every spelling, however the bytes are cut, all of what overlaps."""

import base64
import itertools
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.scrub import MASK, Hidden, Scrubber, patterns

VALUE = b'p"ss w\xc3\xb6rd/+<&>='


def hide(hidden, *chunks):
    scrubber = Scrubber(hidden)
    return b"".join(map(scrubber.feed, chunks)) + scrubber.close()


def by_hand(hidden, text):
    """What a scrubber should show: every occurrence of every spelling, merged."""
    spans = sorted(
        (match.start(), match.start() + len(one))
        for one in hidden
        for match in re.finditer(b"(?=" + re.escape(one) + b")", text)
    )
    shown, at = b"", 0
    for start, end in spans:
        if start >= at:
            shown += text[at:start] + MASK
        at = max(at, end)
    return shown + text[at:]


few = st.binary(min_size=1, max_size=6).map(lambda b: bytes(x % 3 + 97 for x in b))


@given(
    st.lists(few.filter(lambda b: len(b) >= 4), min_size=1, max_size=5),
    st.lists(few, max_size=30),
    st.data(),
)
def test_what_is_shown_does_not_depend_on_the_cuts(secrets, pieces, data):
    hidden = tuple(sorted(set(secrets), key=len, reverse=True))
    text = b"".join(itertools.chain.from_iterable(zip(pieces, itertools.cycle(secrets))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    chunks = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert hide(hidden, *chunks) == by_hand(hidden, text)


@pytest.mark.parametrize(
    "spell",
    [
        lambda v: v,
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda v: base64.b64encode(b"u:" + v),
        lambda v: base64.urlsafe_b64encode(b"u" + v + b"\n"),
        lambda v: quote(v, safe="").encode(),
        lambda v: quote(v).encode(),
        lambda v: quote_plus(v).encode(),
        lambda v: re.sub("%..", lambda m: m[0].lower(), quote(v, safe="")).encode(),
        lambda v: json.dumps(v.decode()).encode(),
        lambda v: json.dumps(v.decode(), ensure_ascii=False).encode(),
        lambda v: json.dumps(v.decode()).replace("<", "\\u003c").replace("&", "\\u0026")
        .replace(">", "\\u003e").encode(),
        lambda v: json.dumps(v.decode()).replace("/", "\\/").encode(),
    ],
)  # fmt: skip
def test_every_spelling_is_hidden(spell):
    shown = hide(patterns([VALUE]), b"it is [" + spell(VALUE) + b"] here")
    left = shown.removeprefix(b"it is [").removesuffix(b"] here")
    assert MASK in left
    # At most the digits that a spelling shares with its neighbours, and quotes, are left.
    assert len(left.replace(MASK, b"")) <= 8


@pytest.mark.parametrize("width", [64, 76])
def test_base64_in_lines_is_hidden(width):
    value = bytes(range(33, 127)) * 2
    text = base64.b64encode(value)
    lines = b"\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert set(hide(patterns([value]), lines)) <= set(b"*\n=")


def test_every_line_of_a_key_is_hidden():
    key = b"-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n  indented-line\nab\n-----END KEY-----\n"
    shown = hide(patterns([key]), b"> MIIEpAIBAAKCAQEA\n> indented-line\n> ab\n")
    assert shown == b"> ***\n> ***\n> ab\n"


def test_secrets_that_overlap_are_hidden_as_one():
    assert hide(patterns([b"abcdef", b"defghi"]), b"<abcd", b"efgh", b"i>") == b"<***>"
    assert hide(patterns([b"abcdef", b"cdef"]), b"<abcdef>") == b"<***>"


def test_what_only_begins_like_a_secret_is_shown():
    assert hide(patterns([b"secret-value"]), b"secret-", b"vault secret-valu") == (
        b"secret-vault secret-valu"
    )


def test_what_can_be_shown_is_not_held_back():
    scrubber = Scrubber(patterns([b"secret-value"]))
    assert scrubber.feed(b"a line\nsec") == b"a line\n"
    assert scrubber.feed(b"ond\n") == b"second\n"


def test_no_more_than_a_spelling_is_held():
    scrubber = Scrubber((b"aaaa",))
    for _ in range(50):
        scrubber.feed(b"a" * 1000)
        assert len(scrubber._held) < 4


@pytest.mark.parametrize("value", [b"", b"abc", b" ab\n", b"a\nb\n"])
def test_tiny_values_are_not_looked_for(value):
    assert patterns([value]) == () or len(value) >= 4


def test_messages_are_rid_of_what_a_session_knows():
    hidden = Hidden()
    assert hidden.text("hunter2") == "hunter2"
    hidden.add(b"hunter2")
    told = {"message": "it is hunter2", "data": ["hunter2", 5, None], "hunter2": True}
    assert hidden.within(told) == {
        "message": "it is ***",
        "data": ["***", 5, None],
        "hunter2": True,
    }
    hidden.add(b"other-one")
    assert hidden.text("other-one \ud800") == "*** \ud800"
