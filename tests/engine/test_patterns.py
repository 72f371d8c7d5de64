import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.errors import QueryError
from pipelines.engine.patterns import Matcher, Rules, glob


def decided(patterns: list[str], path: str) -> bool:
    return Rules(patterns).decide(path)[0]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "ab", False),
        ("a", "b/a", False),
        ("/a", "a", True),
        ("./a/", "a", True),
        ("../a", "a", False),
        ("*.go", "x.go", True),
        ("*.go", "d/x.go", False),
        ("*.go", "d.go/x", True),
        ("**/*.go", "x.go", True),
        ("**/*.go", "a/b/x.go", True),
        ("**/node_modules", "a/node_modules/b", True),
        ("a/**", "a", False),
        ("a/**", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/x/y/c", True),
        ("**", "anything/at/all", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("a[^b]c", "a/c", False),
        ("[]]", "]", True),
        ("a.b", "axb", False),
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        ("a{b}", "a{b}", True),
        ("x\ny*", "x\nyz", True),
    ],
)
def test_a_pattern_matches_what_moby_says(pattern: str, path: str, expected: bool) -> None:
    assert decided([pattern], path) is expected


def test_the_last_match_wins() -> None:
    rules = ["*", "!keep", "keep/not"]
    assert [decided(rules, p) for p in ("x", "keep", "keep/yes", "keep/not")] == [
        True,
        False,
        False,
        True,
    ]


def test_exclude_wins_over_include() -> None:
    matcher = Matcher(("src",), ("**/*.log",))
    assert matcher.verdict("src/a.go", is_dir=False) == "keep"
    assert matcher.verdict("src/a.log", is_dir=False) == "skip"
    assert matcher.verdict("doc", is_dir=True) == "skip"


def test_an_excluded_directory_is_not_entered() -> None:
    assert Matcher((), ("**/node_modules",)).verdict("a/node_modules", is_dir=True) == "skip"
    assert Matcher((), ("**", "!x")).verdict("node_modules", is_dir=True) == "skip"


def test_an_excluded_directory_is_entered_for_a_later_negation_below_it() -> None:
    matcher = Matcher((), ("vendor", "!vendor/*/keep"))
    assert matcher.verdict("vendor", is_dir=True) == "descend"
    assert matcher.verdict("vendor/a", is_dir=True) == "descend"
    assert matcher.verdict("vendor/a/b", is_dir=True) == "skip"
    assert Matcher((), ("!vendor/keep", "vendor")).verdict("vendor", is_dir=True) == "skip"


def test_include_looks_only_where_a_match_can_be() -> None:
    matcher = Matcher(("a/b/*.go",))
    verdicts = [matcher.verdict(p, is_dir=True) for p in ("a", "a/b", "a/b/c", "b")]
    assert verdicts == ["descend", "descend", "skip", "skip"]


@pytest.mark.parametrize("pattern", ["[", "a[b", "!", "[z-a]"])
def test_a_broken_pattern_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(QueryError, match="bad pattern"):
        Matcher((pattern,))


def test_a_glob_implies_nothing_below_a_match() -> None:
    assert glob("a*")("ab")
    assert not glob("a*")("ab/c")
    assert glob("**/*.go")("x/y.go")


NAMES = st.sampled_from(["a", "b", "ab", "c.go", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(["a", "b", "*", "**", "?", "a*", "*.go", "[a-b]", "[^a]", "d", "a**"])
PATTERNS = st.lists(PIECES, min_size=1, max_size=4).map("/".join)
RULES = st.lists(
    st.tuples(st.booleans(), PATTERNS).map(lambda p: "!" + p[1] if p[0] else p[1]), max_size=4
).map(tuple)


def walked(paths: set[str], matcher: Matcher, at: str = "") -> set[str]:
    """Keep paths as a walk does: entering only directories that are not skipped."""
    kept: set[str] = set()
    for path in {p for p in paths if p.rpartition("/")[0] == at}:
        is_dir = any(p.startswith(path + "/") for p in paths)
        verdict = matcher.verdict(path, is_dir)
        below = walked(paths, matcher, path) if is_dir and verdict != "skip" else set()
        if verdict == "keep" or below:
            kept |= below | {path}
    return kept


@given(st.sets(PATHS, max_size=12), RULES, RULES)
def test_pruning_keeps_what_filtering_everything_keeps(
    leaves: set[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    paths = {"/".join(p.split("/")[: n + 1]) for p in leaves for n in range(p.count("/") + 1)}
    matcher = Matcher(include, exclude)
    kept = {p for p in paths if matcher.keeps(p)}
    with_parents = {p for p in paths if p in kept or any(k.startswith(p + "/") for k in kept)}
    assert walked(paths, matcher) == with_parents


@given(PATTERNS, PATHS)
def test_what_matches_a_parent_matches_below(pattern: str, path: str) -> None:
    assert not decided([pattern], path) or decided([pattern], path + "/z")


def test_plain_paths_are_looked_for_where_they_are_and_nowhere_else() -> None:
    matcher = Matcher(["a/b/c.go", "d"])
    verdicts = {p: matcher.verdict(p, is_dir=True) for p in ("a", "a/b", "a/x", "b", "d", "d/e")}
    assert verdicts == {
        "a": "descend", "a/b": "descend", "a/x": "skip", "b": "skip", "d": "keep", "d/e": "keep",
    }  # fmt: skip
