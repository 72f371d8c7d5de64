"""Searching text in directories and files."""

from dataclasses import dataclass
from typing import ClassVar

from pipelines.engine.api.directory import Directory, inside
from pipelines.engine.api.file import File
from pipelines.engine.api.session import Session
from pipelines.engine.api.values import fields_of
from pipelines.engine.errors import QueryError
from pipelines.engine.text.search import Hit, Search

__all__ = ["RESULT", "SUBMATCH", "SearchResult", "SearchSubmatch", "search"]


@dataclass(frozen=True, slots=True)
class SearchSubmatch:
    """A match; offsets are bytes from the beginning of its lines."""

    TYPE: ClassVar[str] = "SearchSubmatch"

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Lines that match; with `filesOnly` only the path says something."""

    TYPE: ClassVar[str] = "SearchResult"

    file_path: str
    line_number: int
    absolute_offset: int
    matched_lines: str
    submatches: tuple[SearchSubmatch, ...]


async def search(  # as many as the field has
    session: Session,
    it: Directory | File,
    *,
    pattern: str,
    literal: bool,
    multiline: bool,
    dotall: bool,
    insensitive: bool,
    skip_ignored: bool,
    skip_hidden: bool,
    files_only: bool,
    limit: int | None,
    paths: tuple[str, ...],
    globs: tuple[str, ...],
) -> tuple[SearchResult, ...]:
    """Look for a pattern.

    Raises:
        QueryError: the pattern is none, or the limit is below 0.
    """
    if limit is not None and limit < 0:
        raise QueryError(f"search: limit is {limit}; give how many results to return at most")
    wanted = Search(
        pattern,
        literal=literal,
        multiline=multiline,
        dotall=dotall,
        insensitive=insensitive,
        skip_ignored=skip_ignored,
        skip_hidden=skip_hidden,
        files_only=files_only,
        limit=limit,
        paths=tuple(inside(path) for path in paths),
        globs=globs,
    )
    found = await session.engine.search(await session.engine.tree(it.edge), wanted)
    return tuple(map(_result, found))


def _result(hit: Hit) -> SearchResult:
    parts = tuple(SearchSubmatch(part.text, part.start, part.end) for part in hit.parts)
    return SearchResult(hit.path, hit.line, hit.offset, hit.text, parts)


RESULT = fields_of(
    ("absoluteOffset", "absolute_offset"),
    ("filePath", "file_path"),
    ("lineNumber", "line_number"),
    ("matchedLines", "matched_lines"),
    ("submatches", "submatches"),
)
SUBMATCH = fields_of(("end", "end"), ("start", "start"), ("text", "text"))
