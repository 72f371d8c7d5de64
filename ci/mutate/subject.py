"""Ours: `pipelines run` on a store that lives as long as the suite, and `pipelines explain`."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.bench.engines import embedded
from ci.bench.inputs import go_version
from ci.mutate.outcome import Exec, Outcome, binaries, verdicts
from ci.mutate.projects import Project
from ci.mutate.site import Options
from ci.mutate.trees import clear

__all__ = ["Subject", "SubjectFailed"]

PIPELINE = Path(__file__).parent / "pipeline"


class SubjectFailed(Exception):
    """Ours did not come to an answer at all."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Runs a project's stages with the caches in `place`."""

    project: Project
    place: Path

    def judge(self, source: Path, options: Options) -> Outcome:
        """Test and build a source as a user would, and ask why."""
        out = self.place / "out"
        clear(out)
        words = ["run", "check", "--source", str(source), "--version", go_version()]
        words += ["--targets", ",".join(self.project.targets), "--packages", self.project.packages]
        for name, value in (
            ("tags", options.tags),
            ("stamp", options.stamp),
            ("private", options.private),
        ):
            words += [f"--{name}", value] if value else []
        ran = self._call([*words, "--export", str(out), "--progress", "plain"])
        if ran.returncode != 0:
            raise SubjectFailed(f"exit {ran.returncode}\n{ran.stdout}{ran.stderr}")
        said, _, code = (out / "tests.txt").read_text().rstrip().rpartition("exit ")
        explained = self._call(["explain", "--json"])
        execs = tuple(_execs(json.loads(explained.stdout)))
        found = verdicts(said, int(code))
        return Outcome(found, binaries(out, self.project.targets), execs, said + ran.stderr)

    def _call(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        engine = embedded(self.place / "store")
        env: Mapping[str, str] = {k: v for k, v in engine.env.items() if k != "PIPELINES_CACHE_DIR"}
        return subprocess.run(
            [engine.env["_EXPERIMENTAL_DAGGER_CLI_BIN"], *words], cwd=PIPELINE, env=env,
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


def _execs(stages: list[dict[str, Any]]) -> Iterator[Exec]:
    for stage in stages:
        label = stage["label"]
        target = label[label.index("[") + 1 : -1] if "[" in label else stage["stage"]
        for command in stage["commands"]:
            ran = command.get("state") != "cached"
            reasons = tuple(command.get("reasons", ()))
            yield Exec(target, command.get("name", ""), ran, reasons, command.get("count", 0))
