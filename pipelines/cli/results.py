"""What becomes of the value that a stage returns.

Directory, File    --export DEST: written there; several stages: DEST/<stage>
Container          --export DEST.tar: an OCI archive
{cell: any of these}    DEST/<cell>
str                printed on stdout, as are numbers; other values as JSON
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines._outputs import folder

__all__ = ["Delivery"]

EXPORTED = ("Directory", "File", "Container")


class Delivery:
    """Writes results: files under `export`, text to stdout. `notes` is for people, on stderr."""

    def __init__(self, export: Path | None, *, several: bool = False) -> None:
        self._export = export
        self._several = several
        self.notes: list[str] = []

    async def take(self, stage: str, value: Any) -> None:
        """Deliver the value of one stage."""
        if _is_exported(value) or (isinstance(value, Mapping) and value and _all_exported(value)):
            if self._export is None:
                self.notes.append(f"{stage}: made {_kind(value)}; --export DEST writes it there")
                return
            target = self._export / folder(stage) if self._several else self._export
            await self._write(stage, value, target)
        elif value is not None:
            _print(value)

    async def _write(self, stage: str, value: Any, target: Path) -> None:
        if isinstance(value, Mapping):
            for cell, part in value.items():
                await self._write(stage, part, target / folder(cell))
            return
        if _kind(value) == "Container" and not target.name.endswith(".tar"):
            target = target.with_name(target.name + ".tar")
        if _kind(value) == "File":
            await value.export(str(target), allow_parent_dir_path=True)
        else:
            await value.export(str(target))
        self.notes.append(f"{stage}: wrote {target}")


def _kind(value: Any) -> str:
    return "directories" if isinstance(value, Mapping) else type(value).__name__


def _is_exported(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "dagger" and _kind(value) in EXPORTED


def _all_exported(value: Mapping[Any, Any]) -> bool:
    return all(_is_exported(part) for part in value.values())


def _print(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()
