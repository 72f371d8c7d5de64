"""`pipelines session --pin`: find out what the names of `pipelines.lock` stand for now.

Rows come as JSON lines on standard input and go back on standard output, those of kinds that
are not asked for here as they came. A name that can not be pinned is said on standard error,
keeps its row, and makes the exit code 6.
"""

import json
import os
import sys

from pipelines.engine.errors import EngineError
from pipelines.engine.images.local import Images
from pipelines.engine.images.reference import Reference
from pipelines.engine.images.registries import Registries
from pipelines.engine.pins import Row
from pipelines.engine.store.layout import Layout, default_root

__all__ = ["main"]

INFRASTRUCTURE = 6


def main() -> int:
    """Pin every name that is asked; the exit code."""
    images = Images(Layout.open(default_root(os.environ)).images)
    registries = Registries(os.environ, images, _say)
    code = 0
    for line in sys.stdin:
        kind, name, value = json.loads(line)
        row: Row = (kind, name, value)
        if kind == "image":
            try:
                row = (kind, name, registries.ask(Reference.parse(name)))
            except EngineError as exc:
                _say(f"image {name}: {exc}; it stays locked to {value}")
                code = INFRASTRUCTURE
        sys.stdout.write(json.dumps(row) + "\n")
    registries.close()
    return code


def _say(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
