import pytest

from pipelines.engine.errors import QueryError
from pipelines.engine.text.search import Search, compiled, hits, translated

TEXT = b"alpha beta\ngamma\n\nALPHA alpha\nomega"


def found(pattern, data=TEXT, **options):
    search = Search(pattern, **options)
    return list(hits(compiled(search), "f", data, multiline=search.multiline))


def test_a_hit_says_where_its_line_is_and_what_in_it_matched():
    first, second = found("alpha")
    assert (first.line, first.offset, first.text) == (1, 0, "alpha beta\n")
    assert (second.line, second.offset, second.text) == (4, 18, "ALPHA alpha\n")
    assert [(p.text, p.start, p.end) for p in second.parts] == [("alpha", 6, 11)]


def test_offsets_are_bytes():
    (hit,) = found("x", "ä\näx\n".encode())
    assert (hit.offset, [(p.start, p.end) for p in hit.parts]) == (3, [(2, 3)])


def test_the_ends_of_a_line_are_its_own():
    assert [hit.line for hit in found("^a")] == [1]
    assert [hit.line for hit in found("a$")] == [1, 2, 4, 5]
    assert [hit.line for hit in found("^$")] == [3]
    assert found(r"beta\s") == []


def test_case_and_literals():
    assert [len(hit.parts) for hit in found("ALPHA", insensitive=True)] == [1, 2]
    assert found("a.p", literal=True) == []


def test_across_lines_a_hit_is_all_lines_of_its_matches():
    (hit,) = found(r"beta\ngamma", multiline=True)
    assert (hit.line, hit.text, hit.parts[0].text) == (1, "alpha beta\ngamma\n", "beta\ngamma")
    (both,) = found("beta|gamma", multiline=True)
    assert (both.text, [p.start for p in both.parts]) == ("alpha beta\ngamma\n", [6, 11])
    apart = found("beta|omega", multiline=True)
    assert [(hit.line, hit.offset) for hit in apart] == [(1, 0), (5, 30)]


def test_a_dot_matches_line_breaks_only_when_told():
    assert found("beta.gamma", multiline=True) == []
    assert len(found("beta.gamma", multiline=True, dotall=True)) == 1
    assert found("beta.gamma", dotall=True) == []


def test_lines_that_are_not_utf8_are_passed_over():
    assert [hit.line for hit in found("a", b"a\n\xffa\na\n")] == [1, 3]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"(?<y>\d+)\z", "in 2026", "2026 a"),
        (r"^[[:alpha:]_]+$", "ab_", "a1"),
        (r"[]x]", "]", "y"),
        (r"\x{e4}", "ä", "a"),
        (r"(?i)AB", "ab", "b"),
        (r"a{2}", "aa", "a"),
        (r"\<in\>", "is in", "inner"),
    ],
)
def test_patterns_are_rusts(pattern, matching, other):
    assert found(pattern, matching.encode())
    assert not found(pattern, other.encode())


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "back-references"),
        (r"\p{Greek}", "Unicode classes"),
        ("[a-z&&[^b]]", "sets in sets"),
        ("[a", "not closed"),
        ("(a", "unterminated"),
        (r"a\Z", r"write \\z"),
    ],
)
def test_what_one_engine_does_not_know_is_refused_by_name(pattern, why):
    with pytest.raises(QueryError, match=why):
        compiled(Search(pattern))


def test_a_literal_line_break_needs_multiline():
    with pytest.raises(QueryError, match="multiline"):
        compiled(Search("a\nb", literal=True))


def test_plain_patterns_stay_as_they_are():
    assert translated(r"a(?:b|c)[^\d.]*\.go$") == r"a(?:b|c)[^\d.]*\.go$"
