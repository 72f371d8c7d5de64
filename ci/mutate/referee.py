"""The referee: the host's own Go, without any cache of ours, and without one of the project's.

Each round gets a new build cache with the standard library and what other modules provide, nothing
of the project itself, and a new copy of the source: so every package of the project is compiled,
vetted and linked anew, every test is run (`-count=1`), and no result of an earlier round can be
seen. Only of a state that it has judged, the same in every file and option, it says again what it
found. It reads no index of packages (`goindex=0`): with one, Go refuses a second `//go:build` line
in a file for another platform if that file is older than two seconds, and else passes it over, so
that the verdict would depend on how long a round takes. The prepared cache is made once. Of its
files those named for their content are linked, which Go never writes other bytes into; the index,
which it may, is copied.
"""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.mutate.outcome import Outcome, binaries, folder, verdicts
from ci.mutate.projects import Project
from ci.mutate.site import Options, State
from ci.mutate.trees import Node, clear, write

__all__ = ["Referee"]

_HERE = "linux/amd64"  # what tests run on

_FILES = (
    "GoFiles", "CgoFiles", "CFiles", "HFiles", "SFiles", "SysoFiles", "EmbedFiles",
)  # fmt: skip
_TESTS = ("TestGoFiles", "XTestGoFiles", "TestEmbedFiles", "XTestEmbedFiles", "IgnoredGoFiles")


@dataclass(frozen=True, slots=True)
class Referee:
    """Builds and tests a project's states in `place`."""

    project: Project
    place: Path

    def prepare(self, tree: Mapping[str, Node]) -> None:
        """Compile the standard library and other modules' packages, once."""
        ready = self.place / "prepared"
        if (ready / "done").exists():
            return
        clear(ready)
        own = self.place / "source"
        clear(own)
        write(own, tree)
        env = self._env(ready)
        module = self._go(["list", "-m"], own, env).stdout.strip()
        for platform in dict.fromkeys(t.split()[0] for t in self.project.targets):
            self._warm(own, module, {**env, **_platform(platform)})
        (ready / "done").touch()

    def _warm(self, own: Path, module: str, env: Mapping[str, str]) -> None:
        """Compile and vet what the packages of a project import from elsewhere."""
        scratch = self.place / "warm"
        clear(scratch)
        scratch.mkdir(parents=True)
        manifest = (own / "go.mod").read_text()
        (scratch / "go.mod").write_text(manifest.replace(module, "example.invalid/warm", 1))
        if (own / "go.sum").exists():
            shutil.copyfile(own / "go.sum", scratch / "go.sum")
        imports = "".join(f'import _ "{path}"\n' for path in self._others(own, module, env))
        (scratch / "warm.go").write_text(f"package main\n\n{imports}\nfunc main() {{}}\n")
        (scratch / "warm_test.go").write_text('package main\n\nimport _ "testing"\n')
        out = ["-o", os.devnull, "."]
        for words in (["build", "-trimpath"], ["test", "-c"]):
            self._go([*words, *out], scratch, env)
        if _platform(_HERE).items() <= env.items():
            self._go(["test", "."], scratch, env)

    def _others(self, own: Path, module: str, env: Mapping[str, str]) -> list[str]:
        """List the packages that can be imported and are not of the project, and a few more."""
        asked = ["list", "-e", "-deps", "-test", "-f", "{{.ImportPath}} {{.Name}}", "./..."]
        rows = [line.split(" ") for line in self._go(asked, own, env).stdout.splitlines()]
        found = {
            path
            for path, name, *test in rows
            if not test and name != "main" and path not in {"unsafe", "C"}
            if not f"{path}/".startswith(f"{module}/")
            if not re.search(r"(^|/)(internal|vendor)(/|$)", path)
        }
        return sorted({*found, "embed", "os", "testing"})

    def judge(self, state: State) -> tuple[Outcome, dict[str, frozenset[str]]]:
        """Test and build a state with nothing known of it; give what Go says each target reads.

        Of a state that it has judged, file by file and option by option, it says the same again.
        """
        kept = self.place / "judged" / f"{state.digest}.json"
        if kept.exists():
            said = json.loads(kept.read_text())
            read = {target: frozenset(paths) for target, paths in said["read"].items()}
            return Outcome(said["verdicts"], said["binaries"], said=said["said"]), read
        outcome, read = self._judge(state)
        said = {"verdicts": outcome.verdicts, "binaries": outcome.binaries, "said": outcome.said}
        said["read"] = {target: sorted(paths) for target, paths in read.items()}
        kept.parent.mkdir(exist_ok=True)
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps(said))
        draft.replace(kept)
        return outcome, read

    def _judge(self, state: State) -> tuple[Outcome, dict[str, frozenset[str]]]:
        here = self.place / f"round-{uuid.uuid4().hex[:8]}"
        try:
            write(here / "source", state.tree)
            env = self._env(_fresh(self.place / "prepared", here / "cache"))
            return self._judged(here, env, state.options)
        finally:
            clear(here)

    def _judged(
        self, here: Path, env: Mapping[str, str], options: Options
    ) -> tuple[Outcome, dict[str, frozenset[str]]]:
        flags = [
            "-buildvcs=false",
            *([f"-tags={options.tags}"] if options.tags else []),
        ]
        stamps = [f"-ldflags=-X main.version={options.stamp}"] if options.stamp else []
        env = {**env, **({"GOPRIVATE": options.private} if options.private else {})}
        read = {}
        for target in self.project.targets:
            platform, package = target.split()
            out = here / "out" / folder(target)
            out.mkdir(parents=True)
            mine = {**env, **_platform(platform)}
            made = self._go(
                ["build", "-trimpath", *flags, *stamps, "-o", f"{out}/", package],
                here / "source",
                mine,
                check=False,
            )
            if made.returncode != 0:
                clear(out)
            read[target] = self._listed(here / "source", mine, [package], options, tests=False)
        packages = self.project.packages.split()
        tested = self._go(
            ["test", *flags, "-count=1", *packages], here / "source", env, check=False
        )
        read["test"] = self._listed(here / "source", env, packages, options, tests=True)
        found = verdicts(tested.stdout, tested.returncode)
        built = binaries(here / "out", self.project.targets)
        return Outcome(found, built, said=tested.stdout + tested.stderr), read

    def _listed(
        self,
        source: Path,
        env: Mapping[str, str],
        packages: Sequence[str],
        options: Options,
        *,
        tests: bool,
    ) -> frozenset[str]:
        """List the files that Go says belong to packages and what they import."""
        fields = (*_FILES, *(_TESTS if tests else ()))
        asked = ["list", "-e", "-deps", *(["-test"] if tests else []), f"-tags={options.tags}"]
        printed = self._go(
            [*asked, f"-json=Dir,Standard,DepOnly,{','.join(fields)}", *packages],
            source,
            env,
            check=False,
        )
        decoder, at, rows = json.JSONDecoder(), 0, []
        while at < len(printed.stdout.rstrip()):
            row, at = decoder.raw_decode(printed.stdout, at)
            rows.append(row)
            at = len(printed.stdout) - len(printed.stdout[at:].lstrip())
        return frozenset(_paths(rows, source, fields)) | {"go.mod", "go.sum"}

    def _env(self, cache: Path) -> dict[str, str]:
        gone = {"GOFLAGS", "GOOS", "GOARCH", "GOPRIVATE"}
        own = {"CGO_ENABLED": "0", "GOCACHE": str(cache), "GOTOOLCHAIN": "local", "GOFLAGS": ""}
        own["GODEBUG"] = "goindex=0"
        own |= _platform(_HERE)
        return {name: value for name, value in os.environ.items() if name not in gone} | own

    def _go(
        self, words: Sequence[str], at: Path, env: Mapping[str, str], *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["go", *words], cwd=at, env=env, check=check, capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip


def _paths(rows: Sequence[Mapping[str, Any]], source: Path, fields: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for row in rows:
        directory = Path(row.get("Dir") or "/")
        if not directory.is_relative_to(source):
            continue
        at = directory.relative_to(source)
        own = (
            fields
            if not row.get("DepOnly")
            else [f for f in fields if "Test" not in f and f != "IgnoredGoFiles"]
        )
        found |= {(at / name).as_posix() for f in own for name in row.get(f, ()) if name[:1] != "/"}
        if len(fields) > len(_FILES) and not row.get("DepOnly"):
            inside = (source / at / "testdata").rglob("*")
            found |= {
                p.relative_to(source).as_posix() for p in inside if p.is_symlink() or p.is_file()
            }
    return found


def _platform(text: str) -> dict[str, str]:
    system, arch = text.split("/")
    return {"GOOS": system, "GOARCH": arch}


def _fresh(prepared: Path, target: Path) -> Path:
    """Copy the prepared cache: its index for real, the content that it names by links."""
    for directory, _, names in os.walk(prepared):
        place = target / Path(directory).relative_to(prepared)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            put = os.link if name.endswith("-d") else shutil.copyfile
            put(os.path.join(directory, name), place / name)
    return target
