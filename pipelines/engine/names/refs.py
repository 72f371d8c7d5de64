"""What a git repository has: its refs, as one look at it showed them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cmp_to_key

from pipelines.engine.errors import SourceError

__all__ = [
    "HEADS",
    "NEWEST",
    "TAGS",
    "Pinned",
    "Refs",
    "is_commit",
    "latest",
    "matches",
    "object_format",
]

HEADS, TAGS = "refs/heads/", "refs/tags/"
NEWEST = ":newest"
"""Stands for the tag of the highest version where a name is wanted; no ref can be called so."""

_COMMIT = r"[0-9a-f]{40}|[0-9a-f]{64}"
_VERSION = (
    r"v(0|[1-9]\d*)(?:\.(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?)?(?:-([0-9A-Za-z.-]+))?"
    r"(?:\+[0-9A-Za-z.-]+)?"
)
_NEAR = 5
_SHA256 = 64


@dataclass(frozen=True, slots=True)
class Pinned:
    """A ref and the commit that it stood for; `name` is full, or "" for a bare commit."""

    name: str
    commit: str


@dataclass(frozen=True)
class Refs:
    """The refs of a repository: full name to commit, annotated tags peeled; HEAD's branch.

    `objects` maps a tag's name to the tag object where it is not the commit itself.
    """

    url: str
    commits: Mapping[str, str] = field(default_factory=dict)
    head: str = ""
    objects: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_listing(cls, url: str, text: str) -> "Refs":
        """Read what `git ls-remote --symref` printed."""
        commits: dict[str, str] = {}
        objects: dict[str, str] = {}
        head = ""
        for line in text.splitlines():
            value, tab, name = line.partition("\t")
            if not tab:
                continue
            if value.startswith("ref: "):
                head = value[5:] if name == "HEAD" else head
            elif name.endswith("^{}"):
                plain = name[:-3]
                objects[plain], commits[plain] = commits.get(plain, value), value
            else:
                commits[name] = value
        return cls(url, commits, head, objects)

    def named(self, prefix: str, patterns: Sequence[str]) -> tuple[str, ...]:
        """List the short names below a prefix that match any pattern, or all of them."""
        return tuple(
            name[len(prefix) :]
            for name in self.commits
            if name.startswith(prefix) and (not patterns or any(matches(p, name) for p in patterns))
        )

    def tags(self) -> tuple[tuple[str, str], ...]:
        """List every tag's full name with its object, sorted."""
        tags = (n for n in self.commits if n.startswith(TAGS))
        return tuple(sorted((n, self.objects.get(n, self.commits[n])) for n in tags))

    def find(self, name: str) -> Pinned:
        """Find a ref as `git checkout` does: HEAD, a full name, a branch, a tag; or `NEWEST`.

        Raises:
            SourceError: there is none; says what there is.
        """
        if name in {"", "HEAD"}:
            return self._head()
        if name == NEWEST:
            return self.newest()
        if is_commit(name):
            return Pinned("", name)
        bare = name.removeprefix("refs/")
        for full in (name, HEADS + name, TAGS + name, f"refs/{bare}"):
            if full.startswith("refs/") and full in self.commits:
                return Pinned(full, self.commits[full])
        raise SourceError(self._missing(name))

    def newest(self) -> Pinned:
        """Find the tag of the highest semantic version.

        Raises:
            SourceError: no tag is one.
        """
        found = latest(self.named(TAGS, ()))
        if found is None:
            raise SourceError(f"git {self.url}: no tag is a semantic version such as v1.2.3")
        return self.find(TAGS + found)

    def _head(self) -> Pinned:
        commit = self.commits.get("HEAD") or self.commits.get(self.head)
        if commit is None:
            raise SourceError(
                f"git {self.url}: HEAD names no commit; the repository is empty, or its default "
                "branch is gone: name a branch"
            )
        return Pinned(self.head, commit)

    def _missing(self, name: str) -> str:
        pool: tuple[str, ...] = (HEADS, TAGS)
        kind, short = "ref", name
        for what, prefix in (("branch", HEADS), ("tag", TAGS)):
            if name.startswith(prefix):
                kind, short, pool = what, name[len(prefix) :], (prefix,)
        there = [n for prefix in pool for n in self.named(prefix, ())]
        from difflib import get_close_matches

        near = get_close_matches(short, there, n=_NEAR) or there[:_NEAR]
        shown = f"there are {len(there)}, such as {', '.join(near)}" if near else "it has none"
        return (
            f"git {self.url}: there is no {kind} {short!r} ({shown}); it may have been renamed or "
            "deleted: check the name, or pin a commit"
        )


def is_commit(text: str) -> bool:
    """Tell whether a text is a full commit id."""
    return re.fullmatch(_COMMIT, text) is not None


def object_format(commit: str) -> str:
    """Name the hash that a commit's id is."""
    return "sha256" if len(commit) == _SHA256 else "sha1"


def matches(pattern: str, name: str) -> bool:
    """Match as `git ls-remote` does: from the end, `*` and `?` also over slashes."""
    from fnmatch import fnmatchcase

    return fnmatchcase("/" + name, "*/" + pattern)


def latest(tags: Iterable[str]) -> str | None:
    """Choose the highest semantic version (`v1.2.3`) among tags; None if there is none.

    Source: semver.org §11; golang.org/x/mod/semver, which takes `v1` and `v1.2` too.
    """
    versions = [tag for tag in tags if re.fullmatch(_VERSION, tag)]
    return max(versions, key=cmp_to_key(_compare), default=None)


def _compare(one: str, other: str) -> int:
    return _order(one, other) or (one > other) - (one < other)


def _order(one: str, other: str) -> int:
    left, right = re.fullmatch(_VERSION, one), re.fullmatch(_VERSION, other)
    assert left is not None
    assert right is not None
    numbers = [[int(part or 0) for part in found.groups()[:3]] for found in (left, right)]
    if numbers[0] != numbers[1]:
        return 1 if numbers[0] > numbers[1] else -1
    before, after = left[4], right[4]
    if before is None or after is None:
        return (before is None) - (after is None)
    mine, theirs = _identifiers(before), _identifiers(after)
    return (mine > theirs) - (mine < theirs)


def _identifiers(text: str) -> list[tuple[int, int, str]]:
    """Make a pre-release comparable: numbers below words, fewer below more."""
    parts = text.split(".")
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
