"""`pipelines lock`: write what moving names stand for to `pipelines.lock`.

With stages, they are run, and whatever they resolved is written: new rows are added, those of
the same names replaced. Without, every name of the file is asked for anew, and nothing is run.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines._errors import InfrastructureError, UsageError
from pipelines._session import command, environment
from pipelines.cli import run
from pipelines.engine.errors import LockError
from pipelines.engine.names.pins import NAME, Row, emit, parse

__all__ = ["main"]

USAGE = """\
usage: pipelines lock [STAGE… [--flag value…] [options of run]]

Write what tags stand for now to pipelines.lock, in the current directory. With stages, run
them, and add or replace what they resolved. Without, ask anew for every name of the file.
"""


def main(argv: Sequence[str]) -> int:
    """Lock; give the exit code."""
    if list(argv) in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    path = Path(NAME)
    known = _read(path)
    if not argv:
        return _refresh(path, known)
    found: list[Row] = []

    def hear(event: dict[str, Any]) -> None:
        if event.get("event") == "pin":
            found.append((event["kind"], event["name"], event["value"]))

    code = run.perform(replace(run.parse(argv), lock="update"), hear)
    if code == 0:
        _write(path, known, found)
    return code


def _refresh(path: Path, known: Sequence[Row]) -> int:
    """Ask for every row's name anew, in the engine's own process."""
    if not known:
        raise UsageError(
            f"there is no {path} here, or nothing in it; name stages to lock what they use: "
            "`pipelines lock STAGE…`"
        )
    done = subprocess.run(
        command("--pin"),
        input="".join(json.dumps(row) + "\n" for row in known).encode(),
        stdout=subprocess.PIPE,
        env=environment(os.environ),
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if len(rows) != len(known):
        raise InfrastructureError(f"{path} is as it was: the engine did not answer for every row")
    _write(path, known, [(kind, name, value) for kind, name, value in rows])
    return done.returncode


def _read(path: Path) -> tuple[Row, ...]:
    try:
        return parse(path.read_text(), str(path))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, LockError) as exc:
        raise UsageError(str(exc)) from exc


def _write(path: Path, known: Sequence[Row], found: Sequence[Row]) -> None:
    """Write the file whole, by rename, and say what is new."""
    before = {(kind, name): value for kind, name, value in known}
    after = before | {(kind, name): value for kind, name, value in found}
    for (kind, name), value in sorted(after.items()):
        if before.get((kind, name)) != value:
            sys.stderr.write(f"locked {kind} {name} to {value}\n")
    if after == before:
        sys.stderr.write(f"{path} is up to date\n")
        return
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(emit((kind, name, value) for (kind, name), value in after.items()))
    os.chmod(draft, 0o644)
    os.rename(draft, path)
