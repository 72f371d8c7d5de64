"""Write the table of implemented fields into the documentation: `python -m ci.compat`."""

import sys
from pathlib import Path

from ci.schema import coverage

__all__ = ["PAGE", "main", "render"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "compatibility.md"
BEGIN, END = "<!-- begin -->\n", "<!-- end -->\n"


def render(page: str) -> str:
    """Return the page with the table as it should be now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = ["| type | fields | not implemented |", "|---|---|---|"]
    for line in coverage():
        head, _, missing = line.partition("not: ")
        name, count = head.split()
        names = ", ".join(f"`{m}`" for m in missing.split(", ") if m != "-")
        rows.append(f"| `{name}` | {count} | {names or 'none'} |")
    return before + BEGIN + "\n".join(rows) + "\n" + END + after


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
