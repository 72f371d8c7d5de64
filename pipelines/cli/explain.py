"""`pipelines explain [STAGE]`: what the last run here ran, and why.

It reads what `pipelines run` kept in the cache directory, so nothing is run and no engine started.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines._errors import UsageError
from pipelines.cli.words import did_you_mean
from pipelines.engine.store.layout import default_root
from pipelines.report.history import load
from pipelines.report.why import phrase
from pipelines.report.words import seconds

__all__ = ["lines", "main"]


def main(argv: Sequence[str]) -> int:
    """Explain the last run; give the exit code."""
    options = _parser().parse_args(list(argv))
    stages = load(default_root(os.environ), Path.cwd())
    if stages is None:
        raise UsageError("no run is known in this directory; `pipelines run STAGE` makes one")
    if options.stage:
        stages = _named(stages, options.stage)
    if options.json:
        sys.stdout.write(json.dumps(stages, indent=2) + "\n")
        return 0
    for stage in stages:
        sys.stdout.writelines(f"{line}\n" for line in lines(stage, inputs=options.inputs))
    return 0


def lines(stage: dict[str, Any], *, inputs: bool = False) -> Iterator[str]:
    """Say what a stage of a run did, and why; with `inputs`, from which files."""
    yield f"{stage['label']}: {stage['result']}, {seconds(stage['seconds'])}"
    for command in stage["commands"]:
        if command.get("state") == "cached":
            yield f"  cached  {command.get('name', '')}"
            continue
        took = f" ({seconds(command['seconds'])})" if "seconds" in command else ""
        yield f"  ran     {command.get('name', '')}{took}"
        yield from (f"            because {phrase(why)}" for why in command.get("reasons", ()))
        if (more := command.get("count", 0) - len(command.get("reasons", ()))) > 0:
            yield f"            and {more} more"
    if inputs:
        yield from _inputs(stage["notes"])


def _inputs(notes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say which files keyed what a stage ran."""
    for note in notes:
        if "inputs" not in note:
            continue
        if note.get("whole"):
            yield f"  inputs of {note['inputs']}: the whole source, because {note['whole']}"
            continue
        yield f"  inputs of {note['inputs']}: {len(note['paths'])} files"
        yield from (f"            {path}" for path in note["paths"])


def _named(stages: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    found = [stage for stage in stages if name in {stage["stage"], stage["label"]}]
    if not found:
        known = dict.fromkeys(stage["stage"] for stage in stages)
        raise UsageError(
            f"the last run here had no stage {name!r}{did_you_mean(name, known)}; "
            f"it had: {', '.join(known) or 'none'}"
        )
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "pipelines explain",
        description="Say what the last `pipelines run` in this directory ran, and why.",
        allow_abbrev=False,
    )
    parser.add_argument("stage", nargs="?", help="a stage, or a cell such as build[linux/arm64]")
    parser.add_argument("--inputs", action="store_true", help="list the files that keyed it, too")
    parser.add_argument("--json", action="store_true", help="the stages as JSON")
    return parser
