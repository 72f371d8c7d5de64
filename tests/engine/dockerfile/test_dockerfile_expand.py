"""Variables, quotes and escapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.dockerfile.expand import Expansion, ExpansionError

VARIABLES = {"x": "one", "empty": "", "path": "a/b/c.tar.gz", "sp": "p  q", "star": "a*c"}
HOW = Expansion(VARIABLES)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("$x", "one"), ("${x}", "one"), ("a${x}b$x", "aonebone"), ("$none", ""), ("$", "$"),
        ("\\$x", "$x"), ("'$x'", "$x"), ('"$x"', "one"), ('"\\$x"', "$x"), ('"a\\b"', "a\\b"),
        ('"\\""', '"'), ("a\\ b", "a b"), ("a\\", "a"), ("'a'\"b\"c", "abc"),
        ("${x:-d}", "one"), ("${empty:-d}", "d"), ("${empty-d}", ""), ("${none-d}", "d"),
        ("${x:+d}", "d"), ("${empty:+d}", ""), ("${empty+d}", "d"), ("${none+d}", ""),
        ("${none:-${x}}", "one"), ("${none:-'a b'}", "a b"), ("${x:?no}", "one"),
        ("${empty?no}", ""), ("${path#*/}", "b/c.tar.gz"), ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "a/b/c.tar"), ("${path%%.*}", "a/b/c"), ("${path%/*}", "a/b"),
        ("${path#x}", "a/b/c.tar.gz"), ("${path/b/d}", "a/d/c.tar.gz"),
        ("${path//a/-}", "-/b/c.t-r.gz"),
        ("${path/\\/b/-}", "a-/c.tar.gz"), ("${path//?\\//}", "c.tar.gz"), ("${star#a\\*}", "c"),
        ("${path//\\//\\/-}", "a/-b/-c.tar.gz"),
    ],
)  # fmt: skip
def test_a_word_is_expanded_as_in_a_shell(word, text):
    assert HOW.text(word) == text


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("${x", "'}' is missing"), ("${", "no name follows"), ("${}", "no name follows"),
        ("${:x}", "no name follows"), ("'a", "not closed"), ('"a', "not closed"),
        ("${none:?give it}", "none: give it"), ("${empty:?}", "empty: it must not be empty"),
        ("${none?}", "none: it must not be unset"), ("${x:#a}", "is not known"),
        ("${x!}", "is not known"), ("${x#\\a}", "no escape in a pattern"), ("${x/a}", "is missing"),
    ],
)  # fmt: skip
def test_what_can_not_be_expanded_is_said(word, said):
    with pytest.raises(ExpansionError) as caught:
        HOW.text(word)
    assert said in str(caught.value)


def test_words_are_cut_after_expansion_but_not_in_quotes():
    assert HOW.words("$sp \"$sp\" a\\ b '' c") == ["p", "q", "p  q", "a b", "c"]


def test_the_escape_can_be_another_character():
    assert Expansion(VARIABLES, "`").text("c:\\$x`$x") == "c:\\one$x"


def test_quotes_are_text_where_they_mean_nothing():
    assert Expansion(VARIABLES, quotes=False).text("'$x' \"$x\" \\$x") == "'one' \"one\" $x"


@given(st.text(alphabet=st.characters(exclude_characters="$'\"\\")))
def test_text_without_special_characters_stays(text):
    assert HOW.text(text) == text


@given(st.text(), st.text())
def test_single_quotes_keep_everything(text, value):
    quoted = "'" + text.replace("'", "") + "'"
    assert Expansion({"x": value}).text(quoted) == text.replace("'", "")


@given(st.text(alphabet=st.sampled_from("ab*?/")), st.text(alphabet="ab/"))
def test_a_shortest_match_is_never_longer_than_the_longest(pattern, value):
    how = Expansion({"x": value})
    escaped = pattern.replace("/", "\\/")
    for operator in "#%":
        short = how.text(f"${{x{operator}{escaped}}}")
        if pattern[:1] != operator:
            assert len(how.text(f"${{x{operator}{operator}{escaped}}}")) <= len(short)
        assert value.endswith(short) if operator == "#" else value.startswith(short)


@given(st.text())
def test_any_word_is_expanded_or_refused(word):
    try:
        HOW.text(word)
    except ExpansionError as exc:
        assert str(exc)
