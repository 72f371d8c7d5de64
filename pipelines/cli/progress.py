"""Choose how a run is shown, and what stands at its end. All of it on stderr."""

import os
import time
from collections.abc import Mapping
from typing import TextIO

from pipelines.cli.failures import describe
from pipelines.report.annotations import annotations, github
from pipelines.report.plain import Plain
from pipelines.report.run import Display, Run
from pipelines.report.summary import table
from pipelines.report.travelled import travelled

__all__ = ["display", "finish", "is_live"]


def is_live(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether somebody watches `stream` who can see lines being redrawn."""
    return stream.isatty() and environ.get("TERM") != "dumb" and not environ.get("CI")


def display(progress: str, stream: TextIO) -> Display:
    """Give the display for `--progress`."""
    if progress == "json":
        from pipelines.report.stream import Json

        return Json(stream)
    if progress == "auto" and is_live(stream, os.environ):
        from rich.console import Console

        from pipelines.report.live import Live

        return Live(Console(file=stream))
    return Plain(stream)


def finish(
    run: Run, progress: str, code: int, failure: BaseException | None, stream: TextIO
) -> None:
    """Write the summary, then what failed: the last lines are what people read first."""
    now = time.monotonic()
    if progress == "json":
        from pipelines.report.stream import Json, stage_fields

        rows = [stage_fields(row, now) for row in run.rows()]
        error = describe(failure) if failure else ""
        caches = [{k: v for k, v in e.items() if k not in {"event", "span"}} for e in run.caches]
        Json(stream).write("summary", exit_code=code, error=error, stages=rows, caches=caches)
        return
    if text := table(run.rows(), now):
        stream.write(f"\n{text}")
    if text := travelled(run.caches):
        stream.write(f"{text}\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        stream.writelines(f"{line}\n" for line in github(annotations(run.rows())))
    if failure:
        stream.write(f"\n{describe(failure)}\n")
    stream.flush()
