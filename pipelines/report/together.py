"""Putting the files that the parts of a run made into one directory.

A file of one part is taken as it is, one that several parts made with the same bytes once. Of the
others some are merged by what they are: JUnit (all suites in one), coverage profiles (as their mode
says), timings (of each name that of the part which measured it), events (one after the other). A
summary of coverage is written anew. Two files that differ and can not be merged are an error that
names both: none is dropped without a word.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from pipelines._errors import UsageError
from pipelines.report import profiles, timings

__all__ = ["Counted", "counted", "put_together"]

TOTALS = ("tests", "failures", "errors")
EVENTS, COVERAGE, SUMMARY, TIMINGS = "tests.json", "coverage.out", "coverage.txt", "timings.json"


def put_together(
    parts: Mapping[str, Path], target: Path, leave_out: Iterable[str] = ()
) -> list[str]:
    """Write what all parts hold into `target`; give the files' paths in it.

    Raises:
        UsageError: parts differ in what can not be merged. Nothing is written then.
    """
    found: dict[str, dict[str, Path]] = {}
    for name, root in parts.items():
        for path in _files(root):
            inside = path.relative_to(root).as_posix()
            if inside not in set(leave_out):
                found.setdefault(inside, {})[name] = path
    _check_kinds(found)
    writers = {inside: _writer(inside, sources) for inside, sources in found.items()}
    for inside, write in writers.items():
        (target / inside).parent.mkdir(parents=True, exist_ok=True)
        write(target / inside)
    for inside, sources in found.items():
        if inside.endswith(COVERAGE) and len(sources) > 1:
            text = (target / inside).read_text()
            summary = (target / inside).with_name(SUMMARY)
            summary.write_text(profiles.summary(profiles.read(text, inside)))
    return sorted(found)


def _files(root: Path) -> Iterator[Path]:
    """Walk a directory; links are not followed, they are results like files."""
    for above, directories, names in os.walk(root):
        directories.sort()
        links = [name for name in directories if (Path(above) / name).is_symlink()]
        yield from (Path(above) / name for name in sorted([*names, *links]))


def _check_kinds(found: Mapping[str, Mapping[str, Path]]) -> None:
    """Refuse a file of one part where another has a directory."""
    for inside, sources in found.items():
        for above in Path(inside).parents:
            if (other := above.as_posix()) in found:
                raise UsageError(
                    f"{other} is a directory in {next(iter(sources))} and none in "
                    f"{next(iter(found[other]))}"
                )


def _writer(inside: str, sources: Mapping[str, Path]) -> Callable[[Path], None]:
    """Say how a file comes about."""
    paths = list(sources.values())
    if len(paths) == 1 or all(_same(paths[0], path) for path in paths[1:]):
        return lambda to: _copy(paths[0], to)
    if any(not _is_file(path) for path in paths):
        raise _conflict(inside, sources)
    name = Path(inside).name
    if name == EVENTS:
        return lambda to: _chain(paths, to)
    texts = [path.read_text(encoding="utf-8", errors="surrogateescape") for path in paths]
    if name == SUMMARY and all(path.with_name(COVERAGE).exists() for path in paths):
        return lambda to: _write(to, "")  # written anew, when the profile is there
    if all(text.startswith("mode: ") for text in texts):
        read = [profiles.read(text, str(path)) for text, path in zip(texts, paths, strict=True)]
        merged = profiles.write(profiles.merge(read))
    elif name == TIMINGS:
        merged = timings.write(timings.merge(timings.read(text) for text in texts))
    elif (suites := _suites(texts)) is not None:
        merged = suites
    else:
        raise _conflict(inside, sources)
    return lambda to: _write(to, merged)


def _write(to: Path, text: str) -> None:
    to.write_text(text, encoding="utf-8", errors="surrogateescape")


def _conflict(inside: str, sources: Mapping[str, Path]) -> UsageError:
    return UsageError(
        f"{inside} is not the same in {' and '.join(sources)}, and it is not known how to merge it"
    )


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(1 << 20):
            if block != second.read(1 << 20):
                return False
    return True


def _copy(source: Path, to: Path) -> None:
    to.unlink(missing_ok=True)
    shutil.copy2(source, to, follow_symlinks=False)


def _chain(paths: Iterable[Path], to: Path) -> None:
    with to.open("wb") as whole:
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)


def _suites(texts: Iterable[str]) -> str | None:
    """Join JUnit documents; None if one of them is something else."""
    suites: list[ET.Element] = []
    for text in texts:
        try:
            root = ET.fromstring(text)  # noqa: S314 - written by ourselves, and expat bounds entities
        except (ET.ParseError, ValueError):
            return None
        if root.tag not in {"testsuite", "testsuites"}:
            return None
        suites += [root] if root.tag == "testsuite" else root
    whole = ET.Element("testsuites")
    for name in TOTALS:
        whole.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    whole.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")
    whole.extend(suites)
    ET.indent(whole)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(whole, "unicode") + "\n"


@dataclass(frozen=True, slots=True)
class Counted:
    """Tests of all JUnit documents, and the share of statements of all coverage profiles."""

    tests: int = 0
    failed: int = 0
    flaky: int = 0
    coverage: float | None = None

    def lines(self) -> Iterator[str]:
        """Say it in a line each; nothing where nothing was tested."""
        if self.tests:
            flaky = f", {self.flaky} flaky" if self.flaky else ""
            yield f"tests: {self.tests}, {self.failed} failed{flaky}"
        if self.coverage is not None:
            yield f"coverage: {self.coverage:.1f} %"


def counted(target: Path, files: Iterable[str]) -> Counted:
    """Count what the files of a merged directory say."""
    tests = failed = flaky = 0
    blocks: list[tuple[int, int]] = []
    for inside in files:
        path = target / inside
        if path.name == COVERAGE and _is_file(path) and path.stat().st_size:
            text = path.read_text(encoding="utf-8", errors="replace")
            blocks += profiles.read(text, inside).blocks.values()
        if path.suffix != ".xml" or not _is_file(path):
            continue
        if (text := _suites([path.read_text(encoding="utf-8", errors="replace")]) or "") == "":
            continue
        root = ET.fromstring(text)  # noqa: S314 - what `_suites` has just written
        tests += int(root.get("tests", "0"))
        failed += int(root.get("failures", "0")) + int(root.get("errors", "0"))
        flaky += sum(1 for case in root.iter("testcase") if case.find("flakyFailure") is not None)
    return Counted(tests, failed, flaky, profiles.percent(blocks) if blocks else None)
