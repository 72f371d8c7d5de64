"""`pipelines doctor go [PATH]`: what in a project keeps Go from using its caches."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines._errors import SourceError
from pipelines.cli.golang.findings import Finding, find, goflags, kind

__all__ = ["main"]

PASSED_OVER = {".git", "vendor", "node_modules", ".venv", "testdata", "dist"}
LARGEST = 1 << 20  # bytes: what is larger was not written by hand


def main(argv: Sequence[str]) -> int:
    """Look at a project; 0 if nothing was found, 1 if something was."""
    parser = argparse.ArgumentParser(
        "pipelines doctor go",
        description="Find what keeps Go from using its caches: in makefiles, scripts, Dockerfiles, "
        "CI configurations and tests.",
    )
    parser.add_argument("path", nargs="?", default=".", help="the project's directory")
    root = Path(parser.parse_args(argv).path)
    if not root.is_dir():
        raise SourceError(f"doctor go looks at a directory; {root} is none")
    files = list(_files(root))
    found = sorted({*goflags(files), *(one for file in files for one in find(*file))})
    sys.stdout.writelines(map(_paragraph, found))
    if not found:
        sys.stdout.write(f"{root}: nothing found in {len(files)} files\n")
    return 1 if found else 0


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that are looked at, in the order of their paths."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in PASSED_OVER)
        for name in sorted(files):
            path = Path(directory, name)
            spelled = path.relative_to(root).as_posix()
            if kind(spelled) and path.is_file() and path.stat().st_size <= LARGEST:
                yield spelled, path.read_text(encoding="utf-8", errors="replace")


def _paragraph(one: Finding) -> str:
    return (
        f"{one.file}:{one.line}: {one.what} [{one.rule}]\n"
        f"    costs: {one.costs}\n    do: {one.do}\n"
    )
