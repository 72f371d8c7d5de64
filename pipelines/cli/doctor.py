"""`pipelines doctor [machine]`: what works here, what is missing for what, and how to get it.

Further subjects (`dockerfile`, `go`) look at a project instead of the machine; each is a module
with a `main(argv)` that gives the exit code.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pipelines.cli.words import did_you_mean

__all__ = ["main"]

NO_ENGINE = 5

SUBJECTS = {
    "machine": ("pipelines.cli.doctor", "What the embedded engine needs and finds here."),
    "dockerfile": (
        "pipelines.cli.dockerfile.command",
        "What makes a Go Dockerfile slow or wrong, and the better file.",
    ),
    "go": ("pipelines.cli.golang.command", "What in a project keeps Go from using its caches."),
}

USAGE = """\
usage: pipelines doctor [SUBJECT] [OPTION…]

Look at something and say what is wrong with it, what that costs, and what to do.

subjects:
{subjects}

The machine is looked at if nothing is named; `--json` gives all that was seen. Exit code 5: no
session can start here.
"""


def main(argv: Sequence[str]) -> int:
    """Look at a subject; give the exit code."""
    subject, *rest = argv if argv and not argv[0].startswith("-") else ["machine", *argv]
    if subject not in SUBJECTS:
        sys.stderr.write(
            f"error: doctor knows no {subject!r}{did_you_mean(subject, SUBJECTS)}; subjects: "
            f"{', '.join(SUBJECTS)}\n"
        )
        return 2
    if subject != "machine":
        code: int = importlib.import_module(SUBJECTS[subject][0]).main(rest)
        return code
    if rest not in ([], ["--json"]):
        lines = (f"  {name:11}{text}" for name, (_, text) in SUBJECTS.items())
        asked = rest[0] in ("-h", "--help")
        stream = sys.stdout if asked else sys.stderr
        stream.write(USAGE.format(subjects="\n".join(lines)))
        return 0 if asked else 2
    return _machine(as_json=bool(rest))


def _machine(*, as_json: bool) -> int:
    from pipelines.engine.checkup import look, remedy, searched

    checks = look(os.environ)
    command = remedy(checks, searched(os.environ))
    if as_json:
        found = {"checks": [asdict(check) for check in checks], "remedy": command}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        for check in checks:
            sys.stdout.write(f"{'ok  ' if check.ok else 'MISS'}  {check.name}: {check.seen}\n")
            if not check.ok and check.without:
                sys.stdout.write(f"      without it: {check.without}\n")
            if not check.ok and check.fix:
                sys.stdout.write(f"      do: {check.fix}\n")
        if command:
            sys.stdout.write(f"\nto get what is missing: {command}\n")
    if any(check.needed and not check.ok for check in checks):
        sys.stderr.write(
            "error: no session of the embedded engine can start on this machine; see above, or "
            "use the Dagger engine: --engine dagger\n"
        )
        return NO_ENGINE
    return 0
