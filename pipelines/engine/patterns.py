"""Path patterns: which paths of a tree are kept, and which directories need not be entered.

Theory of operation
    A rule list is cut into *runs* of equal sign: positive patterns, then `!` patterns, and so
    on. A pattern that matches a path matches all that is below it, so every run is one test
    "does a pattern match the path or a parent". The last run that matches decides; nothing
    matched decides "no". A directory that is decided against can still hold something that
    is decided for only if a later run of the other sign can match *below* it: that is a second
    test, on the directory parts of the run's patterns. It may say yes in vain, never no.

Source: moby `patternmatcher` and `fsutil` (include first, exclude wins, parents of what is
included are kept). One difference on purpose: a class such as `[^a]` never matches "/".
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pipelines.engine.errors import QueryError

__all__ = ["Matcher", "Rules", "Verdict", "glob", "is_pattern"]

Verdict = Literal["keep", "skip", "descend"]

_META = frozenset("*?[\\")
_GLOBSTAR, _SLASH = "**", "/"


def is_pattern(text: str) -> bool:
    """Tell whether a path has characters that a pattern gives a meaning to."""
    return not _META.isdisjoint(text)


class Matcher:
    """Include and exclude patterns, compiled once; `verdict` is a pure function of a path."""

    __slots__ = ("_exclude", "_include", "everything")

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = Rules(include) if include else None
        self._exclude = Rules(exclude) if exclude else None
        self.everything = not include and not exclude

    def verdict(self, path: str, is_dir: bool) -> Verdict:
        """Decide a path: keep it; skip it and what is below; or only look below.

        A directory answered with "descend" is kept only as the parent of something kept.
        """
        include, exclude = self._include, self._exclude
        included = include.decide(path) if include else _YES
        excluded = exclude.decide(path) if exclude else _NO
        if included[0] and not excluded[0]:
            return "keep"
        if not is_dir:
            return "skip"
        if include and not included[0] and not include.may_flip(path, included[1]):
            return "skip"
        if exclude and excluded[0] and not exclude.may_flip(path, excluded[1]):
            return "skip"
        return "descend"

    def keeps(self, path: str) -> bool:
        """Tell whether a path is kept in its own right."""
        return self.verdict(path, is_dir=False) == "keep"


_YES, _NO = (True, -1), (False, -1)


class Rules:
    """An ordered list of patterns with `!` negation; the last match wins."""

    __slots__ = ("_runs",)

    def __init__(self, patterns: Sequence[str]) -> None:
        runs: list[tuple[bool, list[str]]] = []
        for pattern in patterns:
            cleaned = _clean(pattern)
            if cleaned is None:
                continue
            sign, text = cleaned
            if not runs or runs[-1][0] != sign:
                runs.append((sign, []))
            runs[-1][1].append(text)
        self._runs = tuple((sign, _Run(texts)) for sign, texts in runs)

    def decide(self, path: str) -> tuple[bool, int]:
        """Give the decision and the place of the run that made it (-1: none did)."""
        runs = self._runs
        for at in range(len(runs) - 1, -1, -1):
            sign, run = runs[at]
            if run.matches(path):
                return sign, at
        return _NO

    def may_flip(self, directory: str, decided_at: int) -> bool:
        """Tell whether something below a directory can be decided the other way."""
        against = self._runs[decided_at][0] if decided_at >= 0 else False
        later = self._runs[decided_at + 1 :]
        return any(sign is not against and run.reaches(directory) for sign, run in later)


class _Run:
    """Patterns of one sign, with the common shapes in sets and the rest in one expression."""

    __slots__ = ("_above", "_endings", "_heads", "_literals", "_names", "_reach", "_rest")

    def __init__(self, patterns: Sequence[str]) -> None:
        literals, names, endings, rest = set(), set(), [], []
        for pattern in patterns:
            tail = pattern[3:] if pattern.startswith("**/") else None
            if not is_pattern(pattern):
                literals.add(pattern)
            elif tail and _SLASH not in tail and not is_pattern(tail):
                names.add(tail)
            elif tail and tail[0] == "*" and _SLASH not in tail and not is_pattern(tail[1:]):
                endings.append(tail[1:])
            else:
                rest.append(pattern)
        self._literals, self._names, self._endings = literals, names, tuple(endings)
        self._heads = {literal.partition(_SLASH)[0] for literal in literals}
        self._rest = _compile([_moby(p) + "(?:/.*)?" for p in rest])
        self._above = {above for literal in literals for above in _upward(literal)}
        self._reach = _compile([_reach(p) for p in patterns if p not in literals])

    def matches(self, path: str) -> bool:
        """Tell whether a pattern matches the path or a directory above it."""
        if self._heads and path.partition(_SLASH)[0] in self._heads:
            for at in _upward(path):
                if at in self._literals:
                    return True
        if self._names or self._endings:
            parts = path.split(_SLASH)
            if not self._names.isdisjoint(parts):
                return True
            if self._endings:
                for part in parts:
                    if part.endswith(self._endings):
                        return True
        return self._rest is not None and self._rest(path) is not None

    def reaches(self, directory: str) -> bool:
        """Tell whether a pattern can match something below a directory."""
        if directory in self._above:
            return True
        if self._heads and any(at in self._literals for at in _upward(directory)):
            return True
        return self._reach is not None and self._reach(directory) is not None


def _upward(path: str) -> Iterator[str]:
    """Yield a path and the directories above it, innermost first."""
    yield path
    at = path.rfind(_SLASH)
    while at > 0:
        yield path[:at]
        at = path.rfind(_SLASH, 0, at)


def _clean(pattern: str) -> tuple[bool, str] | None:
    """Split off the sign and normalise as `filepath.Clean`; None for an empty pattern.

    A leading "/" means the root of the tree. What leaves the root stays as it is: no path
    of a tree matches it.
    """
    text = pattern.strip()
    sign = not text.startswith("!")
    if not sign:
        text = text[1:]
        if not text:
            raise QueryError(f"bad pattern {pattern!r}: nothing follows the '!'")
    parts: list[str] = []
    for part in text.split(_SLASH):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if parts:
        return sign, _SLASH.join(parts)
    return (sign, "**") if text else None


def _compile(expressions: Sequence[str]) -> Callable[[str], object] | None:
    if not expressions:
        return None
    return re.compile("|".join(f"(?:{e})" for e in expressions), re.DOTALL).fullmatch


# --- one pattern -> expression -------------------------------------------------------------


def _tokens(pattern: str) -> Iterator[str]:
    """Cut a pattern into "/", "**" and expressions of one path part's pieces.

    Raises:
        QueryError: a class is not closed or is not one.
    """
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at]
        if pattern.startswith(_GLOBSTAR, at):
            yield _GLOBSTAR
            at += 1
        elif char == "*":
            yield "[^/]*"
        elif char == "?":
            yield "[^/]"
        elif char == "[":
            start, at = at, _class_end(pattern, at)
            yield _class(pattern, pattern[start + 1 : at])
        elif char == "\\":
            at += 1
            yield re.escape(pattern[at : at + 1] or char)
        else:
            yield char if char == _SLASH else re.escape(char)
        at += 1


def _class_end(pattern: str, start: int) -> int:
    at = start + 1
    if pattern[at : at + 1] == "^":
        at += 1
    at += 1  # a first "]" stands for itself
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    if at >= len(pattern):
        raise QueryError(f"bad pattern {pattern!r}: '[' without ']'; write '\\[' for a bracket")
    return at


def _class(pattern: str, text: str) -> str:
    """Translate what stands between the brackets."""
    body = text.replace("[", r"\[")
    for doubled in ("--", "&&", "||", "~~"):  # set operations to come, says `re`
        body = body.replace(doubled, doubled[0] + "\\" + doubled[1])
    expression = f"(?!/)[{body}]"
    try:
        re.compile(expression)
    except re.error as exc:
        raise QueryError(f"bad pattern {pattern!r}: {text!r} is not a class: {exc}") from exc
    return expression


def _moby(pattern: str) -> str:
    """Translate to an expression of the whole path.

    `**` and a "/" after it match any number of directories, none too; at the end, anything.
    """
    made: list[str] = []
    tokens = list(_tokens(pattern))
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token == _GLOBSTAR:
            if at + 1 < len(tokens) and tokens[at + 1] == _SLASH:
                at += 1
            token = ".*" if at + 1 >= len(tokens) else "(?:.*/)?"
        made.append(token)
        at += 1
    return "".join(made)


def _reach(pattern: str) -> str:
    """Translate to an expression of the directories that a match can be below of.

    `a/b*/c` gives `a(/b[^/]*)?`; from the first `**` on everything is possible. The last part
    is there too: what matches covers what is below it.
    """
    made, closing = "", ""
    for token in _tokens(pattern):
        if token == _GLOBSTAR:
            return made + ".*" + closing
        if token == _SLASH:
            made, closing = made + "(?:/", closing + ")?"
        else:
            made += token
    return made + "(?:/.*)?" + closing


# --- glob --------------------------------------------------------------------------------


def glob(pattern: str) -> Callable[[str], bool]:
    """Compile one pattern to a test of whole paths: nothing below a match is implied.

    Source: dagger `core/directory.go`, `Glob`: one moby pattern, matched against every path.
    """
    cleaned = _clean(pattern)
    if cleaned is None:
        return lambda _path: False
    sign, text = cleaned
    compiled = re.compile(_moby(text), re.DOTALL).fullmatch
    return lambda path: (compiled(path) is not None) is sign
