"""Hold input sets of real modules against Go's: `python -m ci.fuzz_inputs [MODULE@VERSION …]`.

For every module, platform and choice of tags, every file that `go list -deps` says a build or the
tests of all packages consist of must be in our input set; one that is not is a defect. What our set
has beyond is the price of knowing less than Go: a share of files that may re-run a build in vain.
"""

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ci.bench.inputs import checkout, go_version
from pipelines import Platform
from pipelines.go._closure import closure
from pipelines.go._constraints import Tags
from pipelines.go._survey import (
    FILES,
    MANIFEST_LINES,
    MANIFESTS,
    Line,
    Survey,
    found_modules,
    pattern,
    read,
)

__all__ = ["MODULES", "Compared", "compare", "main", "survey_of"]

MODULES = (
    "github.com/BurntSushi/toml@v1.6.0",
    "github.com/klauspost/cpuid/v2@v2.4.2",
    "github.com/klauspost/compress@v1.18.0",
    "github.com/pelletier/go-toml/v2@v2.4.3",
    "filippo.io/age@v1.3.2",
    "filippo.io/edwards25519@v1.2.0",
    "github.com/google/go-containerregistry@v0.21.9",
    "github.com/google/go-cmp@v0.7.0",
    "github.com/google/uuid@v1.6.0",
    "github.com/cespare/xxhash/v2@v2.3.0",
    "github.com/golang/snappy@v1.0.0",
    "github.com/spf13/cobra@v1.10.1",
    "github.com/spf13/pflag@v1.0.10",
    "github.com/stretchr/testify@v1.11.1",
    "github.com/rogpeppe/go-internal@v1.16.0",
    "github.com/prometheus/client_golang@v1.23.0",
    "github.com/prometheus/blackbox_exporter@v0.27.0",
    "github.com/mattn/go-isatty@v0.0.20",
    "github.com/mattn/go-sqlite3@v1.14.32",
    "github.com/fsnotify/fsnotify@v1.9.0",
    "github.com/gorilla/websocket@v1.5.3",
    "github.com/yuin/goldmark@v1.7.13",
    "github.com/alecthomas/chroma/v2@v2.20.0",
    "github.com/evanw/esbuild@v0.25.9",
    "github.com/mikefarah/yq/v4@v4.47.1",
    "github.com/nats-io/nats-server/v2@v2.11.8",
    "github.com/tdewolff/minify/v2@v2.24.0",
    "github.com/zeebo/blake3@v0.2.4",
    "go.uber.org/zap@v1.27.0",
    "golang.org/x/crypto@v0.55.0",
    "golang.org/x/net@v0.50.0",
    "golang.org/x/sys@v0.47.0",
    "golang.org/x/text@v0.34.0",
    "golang.org/x/tools@v0.49.0",
    "google.golang.org/protobuf@v1.36.8",
    "gopkg.in/yaml.v3@v3.0.1",
)
TARGETS = ("linux/amd64", "darwin/arm64", "windows/amd64", "linux/arm/v7")
TAGS: tuple[tuple[str, ...], ...] = ((), ("purego", "noasm", "netgo", "appengine", "integration"))
_FILES = (
    "GoFiles", "CgoFiles", "CFiles", "CXXFiles", "MFiles", "HFiles", "FFiles", "SFiles",
    "SwigFiles", "SysoFiles", "EmbedFiles",
)  # fmt: skip
_TESTS = (
    "TestGoFiles", "XTestGoFiles", "TestEmbedFiles", "XTestEmbedFiles", "IgnoredGoFiles",
    "IgnoredOtherFiles",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison: how many files Go names, how many we have beyond, which we lack."""

    module: str
    target: str
    tags: str
    tests: bool
    files: int
    go: int
    ours: int
    missing: tuple[str, ...]
    whole: str = ""


def survey_of(root: Path) -> Survey:
    """Survey a directory as the engine would."""
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    modules = found_modules(_lines(root, names, MANIFEST_LINES, MANIFESTS))
    return read(names, modules, _lines(root, names, pattern(modules), FILES))


def _lines(root: Path, names: Sequence[str], wanted: str, globs: Sequence[str]) -> Iterator[Line]:
    searched = re.compile(wanted)
    ends = tuple(glob.removeprefix("*") for glob in globs)
    for name in names:
        if name.rpartition("/")[2] in globs or name.endswith(ends):
            text = (root / name).read_text(errors="replace")
            for number, line in enumerate(text.split("\n"), 1):
                if searched.search(line):
                    yield Line(name, number, line + "\n")


def compare(root: Path, name: str, target: str, tags: Sequence[str]) -> Iterator[Compared]:
    """Compare the sets of a build and of the tests of all packages."""
    survey = survey_of(root)
    platform = Platform.parse(target)
    known = Tags.of(platform, go_version(), chosen=tuple(tags))
    for tests in (False, True):
        ours = closure(survey, known, ["./..."], tests=tests)
        wanted = listed(root, platform, tags, tests=tests)
        has = set(survey.names) if ours.whole else set(ours.paths)
        yield Compared(
            name, target, ",".join(tags), tests, len(survey.names), len(wanted), len(has),
            tuple(sorted(wanted - has)), ours.whole,
        )  # fmt: skip


def listed(root: Path, platform: Platform, tags: Sequence[str], *, tests: bool) -> set[str]:
    """Ask Go which files of a directory the packages below it consist of."""
    fields = (*_FILES, *(_TESTS if tests else ()))
    words = ["go", "list", "-e", "-deps", *(["-test"] if tests else []), f"-tags={','.join(tags)}"]
    asked = subprocess.run(
        [*words, f"-json=Dir,DepOnly,{','.join(fields)}", "./..."],
        cwd=root,
        env=_env(platform),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if asked.returncode != 0:
        raise LookupError(f"{' '.join(words)}: {asked.stderr}")
    found: set[str] = set()
    for row in _rows(asked.stdout):
        if Path(row.get("Dir") or "/").is_relative_to(root):
            found |= set(_of(row, Path(row["Dir"]).relative_to(root)))
    return found


def _of(row: Mapping[str, Any], at: Path) -> Iterator[str]:
    fields = _FILES if row.get("DepOnly") else (*_FILES, *_TESTS)
    for field in fields:
        yield from ((at / name).as_posix() for name in row.get(field, ()) if name[:1] != "/")


def _rows(printed: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while at < len(printed.rstrip()):
        row, at = decoder.raw_decode(printed, at)
        yield row
        at += len(printed[at:]) - len(printed[at:].lstrip())


def _env(platform: Platform) -> dict[str, str]:
    from pipelines.go import environment

    gone = {"GOFLAGS", "GOOS", "GOARCH", "GOARM"}
    own = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    return kept | own | environment(platform)


@contextmanager
def fetched(module: str) -> Iterator[Path]:
    """Download a module and give a copy of its source."""
    words = ["go", "mod", "download", "-json", module]
    asked = subprocess.run(
        words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    found = json.loads(asked.stdout or "{}")
    if "Dir" not in found:
        raise LookupError(f"{module}: {found.get('Error') or asked.stderr}")
    with tempfile.TemporaryDirectory(prefix="pipelines-inputs-") as place:
        yield checkout(Path(found["Dir"]), Path(place).resolve() / "source")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print a line for every module; 1 if a file is missing anywhere."""
    options = _options(arguments)
    rows: list[Compared] = []
    failed = False
    for module in options.modules or MODULES:
        try:
            own = _all(module)
        except LookupError as exc:
            print(exc, file=sys.stderr)
            failed = True
            continue
        rows += own
        print(_line(module, own), flush=True)
    print(_line(f"{len({row.module for row in rows})} modules", rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 1 if failed or any(row.missing for row in rows) else 0


def _all(module: str) -> list[Compared]:
    with fetched(module) as root:
        cells = itertools.product(TARGETS, TAGS)
        return [each for target, tags in cells for each in compare(root, module, target, tags)]


def _line(name: str, rows: Sequence[Compared]) -> str:
    """Say how many files are missing, and how much we have beyond what Go names."""
    missing = sorted({path for row in rows for path in row.missing})
    text = f"{name}: {len(rows)} sets, {len(missing)} missing"
    for what, tests in (("builds", False), ("tests", True)):
        chosen = [row for row in rows if row.tests is tests]
        go, ours = sum(r.go for r in chosen), sum(r.ours for r in chosen)
        every = sum(r.files for r in chosen)
        whole = [row.whole for row in chosen if row.whole]
        text += f"; {what}: {go} files of {every}, {ours - go} more ({(ours - go) / (go or 1):.0%})"
        text += f", {len(whole)} whole ({whole[0]})" if whole else ""
    return text + "".join(f"\n    missing: {path}" for path in missing[:20])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ci.fuzz_inputs", description=__doc__)
    parser.add_argument("modules", nargs="*", help="module@version; by default a list of them")
    parser.add_argument("--json", type=Path, help="save every comparison")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
