"""The rows of a layer: all that its id digests, written beside it, to be read without a walk.

    [path, letter, mode, uid, gid, text, size?, extra?]

    letter  "w" whiteout, "d" directory, "o" opaque directory, "f" file, "l" symbolic link,
            "p" fifo, "c" and "b" devices; the path "." is the root, if it is not the usual one
    text    a file's sha-256 in hex, a link's target, a device's number
    size    of a file
    extra   attributes in hex by name; "link": the path that has the same file;
            "mtime": the pinned modification time in seconds

So what an image's layer holds is a function of its id: no time, no inode and no order of a
directory's entries can get in.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.errors import ContentMissing
from pipelines.engine.snapshots.layer import LINK, MTIME, Row

__all__ = ["LayerRow", "parsed", "plain", "read_rows"]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One path of a layer; `path` and `text` may hold surrogates for bytes that are no UTF-8."""

    path: str
    letter: str
    mode: int
    uid: int
    gid: int
    text: str = ""
    size: int = 0
    attributes: Mapping[str, bytes] | None = None
    link: str = ""
    mtime: int | None = None


def read_rows(root: Path, layer: str) -> list[LayerRow]:
    """Read the rows of a layer below `root`.

    Raises:
        ContentMissing: the layer is gone.
    """
    try:
        text = Path(root, layer, "rows").read_text()
    except FileNotFoundError as exc:
        raise ContentMissing(f"layer {layer} is not in {root}") from exc
    return [_row(row) for row in parsed(text)]


def parsed(text: str) -> list[Row]:
    """Parse the file of a layer's rows."""
    rows: list[Row] = json.loads("[" + text.replace("\n", ",") + "]")
    return rows


def plain(home: Path) -> bytes:
    """Give a layer's rows without what only they know: links between names, pinned times.

    Raises:
        FileNotFoundError: it has none.
    """
    rows = parsed((home / "rows").read_text())
    for row in rows:
        if isinstance(extra := row[-1], dict):
            row.pop()
            if kept := {n: value for n, value in extra.items() if n not in {LINK, MTIME}}:
                row.append(kept)
    return "\n".join(map(json.dumps, rows)).encode()


def _row(row: Row) -> LayerRow:
    path, letter, mode, uid, gid, text, *rest = row
    size = int(str(rest.pop(0))) if letter == "f" else 0
    extra = dict(rest[0]) if rest and isinstance(rest[0], dict) else {}
    link, mtime = extra.pop(LINK, ""), extra.pop(MTIME, None)
    return LayerRow(
        str(path),
        str(letter),
        int(str(mode)),
        int(str(uid)),
        int(str(gid)),
        str(text),
        size,
        {name: bytes.fromhex(value) for name, value in extra.items()} or None,
        link,
        None if mtime is None else int(mtime),
    )
