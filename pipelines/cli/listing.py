"""`pipelines list`: the stages, their help, their flags."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli.discover import Stage, find, load, stages
from pipelines.cli.flags import flags

__all__ = ["main", "text"]


def main(argv: Sequence[str]) -> int:
    """List the stages of this directory."""
    parser = argparse.ArgumentParser("pipelines list", description="Show stages and their flags.")
    parser.add_argument(
        "-f", dest="file", metavar="FILE", default="", help="the Python file with the stages"
    )
    options = parser.parse_args(argv)
    where, module = find(Path.cwd(), options.file)
    sys.stdout.write(text(list(stages(load(where, module)).values())))
    return 0


def text(found: Sequence[Stage]) -> str:
    """Lay stages out in columns."""
    if not found:
        return "no stages: a stage is a public `async def`\n"
    names = max(len(stage.name) for stage in found)
    helps = max(len(stage.help) for stage in found)
    return "".join(
        f"{stage.name:{names}}  {stage.help:{helps}}  "
        f"{' '.join(flag.usage for flag in flags(stage.name, stage.call))}".rstrip()
        + "\n"
        for stage in found
    )
