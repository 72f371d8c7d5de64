"""`pipelines cache report`: what travelling caches saved and cost, from the store's ledger."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pipelines.caches.ledger import Entry, Ledger, Line, report, total
from pipelines.report.words import seconds

__all__ = ["main", "table"]

HEAD = ("cache", "did", "saved", "spent", "net", "down", "up")
RIGHT = range(2, len(HEAD))


def main(options: argparse.Namespace) -> int:
    """Print the report; the exit code is 0 even if there is nothing to tell."""
    from pipelines.engine.store.layout import default_root

    ledger = Ledger(default_root(os.environ))
    entries = ledger.entries() if options.all else ledger.last()
    lines = report(entries)
    if options.json:
        sys.stdout.write(_json(entries, lines))
    elif not lines:
        sys.stdout.write(
            "no run with a travelling cache has ended here yet; [tool.pipelines.cache] "
            "switches them on\n"
        )
    else:
        sys.stdout.write(table(lines))
    return 0


def table(lines: Sequence[Line]) -> str:
    """Lay a report out in columns, with its sum and with what lost time or did not come."""
    rows = [HEAD, *(_row(line) for line in (*lines, total(lines)))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    text = "\n".join(
        "  ".join(
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    reasons = [f"{line.cache}: {line.why}" for line in lines if line.why]
    return "\n".join([text, *reasons]) + "\n"


def _row(line: Line) -> tuple[str, ...]:
    from pipelines.cli.cache import size

    did = ", ".join(f"{count} {what}" for what, count in sorted(line.did.items()))
    net = f"{'-' if line.net < 0 else '+'}{seconds(abs(line.net))}"
    spent = seconds(line.spent)
    return line.cache, did, seconds(line.saved), spent, net, size(line.received), size(line.sent)


def _json(entries: Sequence[Entry], lines: Sequence[Line]) -> str:
    document = {
        "v": 1,
        "runs": len({entry.run for entry in entries}),
        "caches": [{**asdict(line), "net": line.net} for line in lines],
        "total": {**asdict(whole := total(lines)), "net": whole.net},
    }
    return json.dumps(document, indent=1) + "\n"
