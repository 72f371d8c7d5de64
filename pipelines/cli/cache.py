"""`pipelines cache`: the embedded engine's store, and the caches that travel.

`ls`, `prune` and `verify` are about the store. It is read where sessions read it: by the engine's
own program, inside its namespaces, where files that commands left as other users can be read and
deleted. The other actions are about what travels; each has a module of its own.
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from pipelines._errors import EngineUnavailable
from pipelines._session import command, environment

__all__ = ["arguments", "main", "show", "size"]

TRAVELLING = {
    "gc": "pipelines.cli.tending",
    "inspect": "pipelines.cli.inspecting",
    "key": "pipelines.cli.keys",
    "report": "pipelines.cli.ledger",
    "restore": "pipelines.cli.byhand",
    "save": "pipelines.cli.byhand",
    "snippet": "pipelines.cli.snippets",
}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def main(argv: Sequence[str]) -> int:
    """Run the cache command; give the exit code: 7 if `verify` found damage."""
    import os

    options = _parser().parse_args(argv)
    remote = options.action == "verify" and options.remote
    if (action := "gc" if remote else options.action) in TRAVELLING:
        code: int = importlib.import_module(TRAVELLING[action]).main(options)
        return code
    done = subprocess.run(
        command(*arguments(options)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment(os.environ),
        check=False,
    )
    if options.json:
        sys.stdout.write(done.stdout.decode(errors="replace"))
        return done.returncode
    for line in done.stdout.splitlines():
        sys.stdout.write(show(_read(line)) + "\n")
    return done.returncode


def arguments(options: argparse.Namespace) -> list[str]:
    """Spell the engine's arguments: `--cache prune --max-bytes 10GB`."""
    result = ["--cache", str(options.action)]
    for name in ("max_bytes", "older_than"):
        if value := getattr(options, name, None):
            result += [f"--{name.replace('_', '-')}", str(value)]
    result += [f"--{name}" for name in ("all", "repair") if getattr(options, name, False)]
    return result


def show(entry: dict[str, Any]) -> str:
    """Write one object of the engine's answer as a line: text as it is, numbers of bytes short."""
    if "text" in entry:
        return str(entry["text"])
    return "  ".join(
        f"{size(value) if 'bytes' in name else value}"
        if name in ("kind", "name")
        else f"{name.replace('_', ' ')}: {size(value) if 'bytes' in name else value}"
        for name, value in entry.items()
    )


def _read(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError as exc:
        raise EngineUnavailable(
            f"the engine's answer is not JSON: {line.decode(errors='replace')!r}"
        ) from exc
    return entry if isinstance(entry, dict) else {"text": entry}


def size(value: Any) -> str:
    """Write a number of bytes for people."""
    if not isinstance(value, int | float):
        return str(value)
    number, unit = float(value), UNITS[0]
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:  # noqa: PLR2004 - bytes in a KiB
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("pipelines cache", description=__doc__)
    parser.add_argument("--json", action="store_true", help="for programs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        # Not to undo one that stands before the action's name.
        added.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        return added

    action("ls", "show what takes how much space in the store")
    prune = action("prune", "delete what is old or too much in the store")
    prune.add_argument("--max-bytes", metavar="SIZE", help="keep at most this, such as 10GB")
    prune.add_argument("--older-than", metavar="AGE", help="delete what was unused for, such as 7d")
    prune.add_argument("--all", action="store_true", help="delete all that is not in use")
    verify = action("verify", "check that content of the store is what its digest says")
    verify.add_argument("--remote", action="store_true", help="of the backend, not of the store")
    verify.add_argument("--url", default="", help="the backend, instead of the configured one")
    verify.add_argument("--repair", action="store_true", help="delete what is wrong")
    report = action("report", "show what travelling caches saved and cost in the last run")
    report.add_argument("--all", action="store_true", help="in all runs that are remembered")
    for name, text in (("save", "send"), ("restore", "fetch")):
        moved = action(name, f"{text} a directory, or a cache volume, by hand")
        moved.add_argument("path", nargs="?", default="", metavar="PATH")
        moved.add_argument("--volume", default="", metavar="NAME", help="a volume of the store")
        moved.add_argument("--key", default="", help="what it is filed under")
        if name == "save":
            moved.add_argument("--kind", choices=("build", "download"), default="build")
        else:
            moved.add_argument("--must", action="store_true", help="exit with 1 if it is not there")
        moved.add_argument("--url", default="", help="the backend, instead of the configured one")
    collect = action("gc", "delete what is old, and what nothing needs, from a backend")
    collect.add_argument("--dry-run", action="store_true", help="say what would go")
    collect.add_argument("--url", default="", help="the backend, instead of the configured one")
    inspect = action("inspect", "show what a backend of travelling caches holds")
    inspect.add_argument("--key", default="", help="only heads whose keys end in this")
    inspect.add_argument("--url", default="", help="the backend, instead of the configured one")
    action("key", "make a key that signs what travels")
    snippet = action("snippet", "print what a CI's own file needs for travelling caches")
    snippet.add_argument("ci", choices=("github", "gitlab"))
    return parser
