"""Lines that steer Go, in files that a build passes over. Pure functions.

`go vet`, which `go test` runs too, looks into a package's files for other targets, but only for
lines that look like constraints or `//go:debug`, and keeps a "nothing found" by what is compiled:
what these files say is not in its key. So where one of them has a line that could be refused, who
runs Go must see to it that it looks again (`_overlay`). In doubt a line could be.

Source: the analyzers `buildtag` and `directive` of golang.org/x/tools, the only ones of Go 1.26
that read `IgnoredFiles`; `cmd/go/internal/work` (`Builder.vet`) for the key.
"""

import re
from collections.abc import Sequence

from pipelines.go._constraints import well_formed

__all__ = ["DIRECTIVES", "doubtful"]

# Constraints of both kinds wherever they stand, //go:debug, and white space that is none for Go.
DIRECTIVES = (r"//go:(build|debug)", r"\+build", r"//go:\S*[^\S \t]")
_DIRECTIVE = re.compile("|".join(DIRECTIVES))
_PLAIN = re.compile(r"//go:build[ \t]+(.*)")


def doubtful(texts: Sequence[str], clause: int | None, *, go: bool) -> bool:
    r"""Tell whether `go vet` may refuse a line of a file.

    Args:
        texts: The file's lines that were found, in order: directives, starts of comments (`/*`)
            and the package clause among them.
        clause: Which of them is the package clause.
        go: Whether it is a Go file; of others Go sees a carriage return at a line's end.
    """
    ends = "\r\n" if go else "\n"
    found = [at for at, text in enumerate(texts) if _DIRECTIVE.search(text.rstrip(ends))]
    if not found:
        return False
    first = found[0]
    plain = _PLAIN.fullmatch(texts[first].rstrip(ends))
    if len(found) > 1 or plain is None or not well_formed(plain[1]):
        return True
    if go and (clause is None or first > clause):
        return True
    return any(text.lstrip().startswith("/*") for text in texts[:first])
