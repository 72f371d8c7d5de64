"""`pipelines doctor dockerfile [PATH]`: what is slow or wrong, and the better file."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines._errors import SourceError, UsageError
from pipelines.cli.dockerfile.better import IGNORE, better
from pipelines.cli.dockerfile.findings import Finding, find
from pipelines.engine.dockerfile import parse
from pipelines.engine.errors import DockerfileError

__all__ = ["main", "report"]


def main(argv: Sequence[str]) -> int:
    """Check a Dockerfile; 0 if nothing was found, 1 if something was."""
    parser = argparse.ArgumentParser(
        "pipelines doctor dockerfile",
        description="Find what makes a Go project's Dockerfile slow or wrong, say what it costs, "
        "and print the better file.",
    )
    parser.add_argument("path", nargs="?", default=".", help="the Dockerfile or its directory")
    parser.add_argument("--fix", action="store_true", help="write the better file")
    given = parser.parse_args(argv)
    path = _file(Path(given.path))
    text = _text(path)
    try:
        parsed = parse(text, str(path))
    except DockerfileError as exc:
        raise UsageError(str(exc)) from exc
    ignores = [path.with_name(f"{path.name}.dockerignore"), path.parent / ".dockerignore"]
    findings = find(parsed, ignored=any(one.is_file() for one in ignores))
    made = better(text, findings)
    sys.stdout.write(report(str(path), findings))
    if not findings:
        return 0
    missing = any(one.rule == "no-dockerignore" for one in findings)
    if given.fix:
        path.write_text(made, encoding="utf-8")
        if missing:
            ignores[1].write_text(IGNORE, encoding="utf-8")
        sys.stdout.write(f"\nwritten: {path}{f', {ignores[1]}' if missing else ''}\n")
    else:
        sys.stdout.write(_shown(path, text, made, ignores[1] if missing else None))
    return 1


def report(name: str, findings: Sequence[Finding]) -> str:
    """Write the findings, one paragraph each."""
    if not findings:
        return f"{name}: nothing found\n"
    lines = []
    for finding in findings:
        place = f"{name}:{finding.line}" if finding.line else name
        lines += [f"{place}: {finding.what} [{finding.rule}]", f"    costs: {finding.costs}"]
    return "\n".join(lines) + "\n"


def _shown(path: Path, text: str, made: str, ignore: Path | None) -> str:
    parts = []
    if made != text:
        parts.append(f"\n--- the better {path.name} (--fix writes it)\n{made.rstrip()}\n")
    if ignore is not None:
        parts.append(f"\n--- a {ignore.name} to begin with\n{IGNORE}")
    return "".join(parts)


def _file(path: Path) -> Path:
    return path / "Dockerfile" if path.is_dir() else path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise SourceError(
            f"doctor dockerfile {path}: {why}; give the path of a Dockerfile"
        ) from exc
