"""`.dockerignore`: patterns of what a build does not see.

The patterns' own meaning is that of `engine.patterns` (moby's); only the file is read here.
"""

import posixpath

__all__ = ["ignore_patterns"]


def ignore_patterns(text: str) -> tuple[str, ...]:
    """Read the patterns, with `!` in front of exceptions.

    A `#` in the first column begins a comment. A `/` in front means nothing: all is relative
    to the root of the build.

    Source: moby `patternmatcher/ignorefile`.
    """
    patterns: list[str] = []
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.startswith("#"):
            continue
        pattern = line.strip()
        sign = "!" if pattern.startswith("!") else ""
        pattern = pattern.removeprefix("!").strip()
        if not pattern:
            continue
        clean = posixpath.normpath(pattern)
        if len(clean) > 1 and clean.startswith("/"):
            clean = clean.lstrip("/")
        patterns.append(sign + clean)
    return tuple(patterns)
