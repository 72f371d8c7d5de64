"""Looking after the store: what it holds, what can go, whether it is right.

    ls       one JSON object a line: kind, name, bytes, note
    prune    delete what the policy, or what was asked for, says
    verify   read everything again and compare it with its name; `--repair` removes what is wrong

Runs inside the session's namespace, where files that commands left as other users can be read
and deleted, and says everything as JSON lines. `collect` is what a session does at its end.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.engine.accounts import Held, Limits, Wanted
from pipelines.engine.errors import QueryError, StoreError
from pipelines.engine.snapshots.layer import Scan
from pipelines.engine.snapshots.rows import plain
from pipelines.engine.snapshots.shelf import Shelf
from pipelines.engine.store.blobs import Blobs
from pipelines.engine.store.files import Files
from pipelines.engine.store.images import image_blobs
from pipelines.engine.store.layout import Layout, default_root
from pipelines.engine.store.leases import Lease
from pipelines.engine.store.mirrors import Mirrors
from pipelines.engine.store.policy import Disk, Policy, parse_size, share_of
from pipelines.engine.store.records import Records
from pipelines.engine.store.sweep import Parts, due, measured, sweep
from pipelines.engine.store.trash import discard, empty
from pipelines.engine.store.verify import verify
from pipelines.engine.store.volumes import Volumes

__all__ = ["collect", "holdings", "limits", "main", "prune"]

DAMAGED = 7
DAY = 86400.0
AGES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


def main(arguments: Sequence[str], mode: str) -> int:
    """Run one action; the exit code is 7 if `verify` found damage.

    Raises:
        QueryError: an argument cannot be read.
        StoreError: the store cannot be used.
    """
    action, *rest = arguments
    layout = Layout.open(default_root(os.environ))
    Lease.take(layout).release()  # recovery: what dead sessions left is nobody's
    owners = mode != "single"
    if action == "verify":
        return _verify(layout, owners=owners, repair="--repair" in rest)
    if action == "prune":
        return _prune(layout, _wanted(layout, rest), owners=owners, whole="--all" in rest)
    if action != "ls":
        raise QueryError(f"cache {action}: unknown; there are ls, prune and verify")
    for line in _holdings(layout, owners=owners):
        _say(**line)
    return 0


def collect(layout: Layout, *, owners: bool) -> None:
    """Sweep at the end of a session, if it is time to; a failure costs nothing but space."""
    try:
        Volumes(layout).tend()
        policy = policy_of(layout, os.environ)
        if not due(layout, policy):
            return
        sweep(_parts(layout, owners=owners), policy)
    except (OSError, StoreError) as error:
        sys.stderr.write(f"warning: the store was not swept: {error}\n")


def limits(layout: Layout) -> Limits:
    """Give what the store is kept to."""
    policy = policy_of(layout, os.environ)
    return Limits(policy.maximum, policy.reserved, policy.min_free)


def holdings(layout: Layout, *, owners: bool, since: float) -> list[Held]:
    """List what the store holds; what was used after `since` is busy."""
    from pipelines.engine.store.accounting import account

    parts = _parts(layout, owners=owners)
    try:
        return account(parts, since)
    finally:
        parts.records.close()


def prune(layout: Layout, wanted: Wanted, *, owners: bool, lease: Lease | None) -> bool:
    """Delete what is too much; False if other sessions kept this from all but volumes.

    `lease` is that of a session that holds on to nothing; without it, the caller has none.

    Raises:
        StoreError: a size can not be read.
    """
    parts = _parts(layout, owners=owners)
    try:
        return not sweep(parts, _reaching(parts, wanted), lease=lease).partial
    finally:
        parts.records.close()


def _reaching(parts: Parts, wanted: Wanted) -> Policy:
    """Turn what is wanted into a policy."""
    disk = Disk.of(parts.layout.root)
    policy = policy_of(parts.layout, os.environ)
    if wanted.everything:
        policy = replace(policy, reserved=0, maximum=0, grace_seconds=0)
    given = {"reserved": wanted.reserved, "maximum": wanted.maximum, "min_free": wanted.min_free}
    sizes = {name: share_of(name, text, disk.total) for name, text in given.items() if text}
    policy = replace(policy, **sizes)
    maximum = policy.maximum
    if wanted.target:
        held = sum(content.size for content in measured(parts)[0].values())
        target = share_of("target", wanted.target, disk.total)
        maximum = min(target, maximum) if held > maximum else maximum
    # What is to be kept in any case is kept in any case, if it was asked for.
    reserved = policy.reserved if wanted.reserved else min(policy.reserved, maximum)
    return replace(policy, maximum=maximum, reserved=reserved)


def policy_of(layout: Layout, environ: Mapping[str, str]) -> Policy:
    """Read the policy: `PIPELINES_STORE_MAXIMUM=50GiB` and the like override the defaults."""
    prefix = "PIPELINES_STORE_"
    given = {
        name[len(prefix) :].lower(): v for name, v in environ.items() if name.startswith(prefix)
    }
    return Policy.of(Disk.of(layout.root), given)


def _parts(layout: Layout, *, owners: bool) -> Parts:
    shelf = Shelf(layout.snapshots, layout.active)
    return Parts(
        layout,
        Records(layout, shelf.exists),
        Blobs(layout),
        Files(layout, owners=owners),
        Volumes(layout),
        shelf,
    )


def _verify(layout: Layout, *, owners: bool, repair: bool) -> int:
    shelf = Shelf(layout.snapshots, layout.active)
    layers = [layer for layer, _, _ in shelf.layers()]
    problems = verify(
        layout,
        layers,
        lambda layer: _digest(layout.snapshots, layer),
        shelf.remove,
        repair=repair,
        owners=owners,
    )
    for problem in problems:
        _say(kind=problem.kind, name=problem.name, seen=problem.seen)
    if problems and not repair:
        _say(text=f"{len(problems)} problems; `pipelines cache verify --repair` removes them")
    elif problems:
        _say(text=f"{len(problems)} problems, removed; what needs them is run again")
    else:
        _say(text=f"{len(layers)} layers and everything else are what their names say")
    return DAMAGED if problems and not repair else 0


def _digest(root: Path, layer: str) -> str:
    """Compute what a layer's id should be from what it holds."""
    home = root / layer
    scan = Scan(None, linked=False)
    try:
        # Whiteouts that could not be made: only the rows know them.
        if not (home / "unmade").exists():
            scan.run(str(home / "fs"))
            if scan.encode() != plain(home):
                return hashlib.sha256(scan.encode()).hexdigest()
        return hashlib.sha256((home / "rows").read_bytes()).hexdigest()
    except FileNotFoundError:
        return "no rows"


def _prune(layout: Layout, policy: Policy, *, owners: bool, whole: bool) -> int:
    swept = sweep(_parts(layout, owners=owners), policy)
    if whole and not swept.partial:
        discard(layout, layout.images)  # pins too: tags are looked up anew
        empty(layout)
    _say(
        kind="pruned",
        records=swept.records,
        volumes=swept.volumes,
        freed_bytes=swept.freed,
        held_bytes=swept.held,
    )
    if swept.partial:
        _say(text="a session is running: only cache volumes that nobody uses were pruned")
    return 0


def _wanted(layout: Layout, arguments: Sequence[str]) -> Policy:
    """Turn the arguments of `prune` into a policy."""
    policy = policy_of(layout, os.environ)
    rest = list(arguments)
    while rest:
        name, joined, value = rest.pop(0).partition("=")
        if name == "--all":
            policy = replace(policy, reserved=0, maximum=0, grace_seconds=0)
            continue
        if name not in {"--max-bytes", "--older-than"}:
            raise QueryError(f"cache prune: unknown argument {name}")
        value = value if joined else (rest.pop(0) if rest else "")
        if name == "--max-bytes":
            size = parse_size(name, value)
            policy = replace(policy, maximum=size, reserved=min(size, policy.reserved))
        else:
            policy = replace(policy, reserved=0, keep_seconds=_age(value))
    return policy


def _age(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in AGES:
        raise QueryError(f"--older-than takes an age such as 12h or 7d, not {text!r}")
    return int(number) * AGES[unit]


def _holdings(layout: Layout, *, owners: bool) -> Iterator[dict[str, Any]]:
    """Tell what takes how much space."""
    parts = _parts(layout, owners=owners)
    for volume in parts.volumes.list(sizes=True):
        name = f"{volume.namespace}/{volume.key}" if volume.namespace else volume.key
        yield {"kind": "volume", "name": name, "bytes": volume.size, "inodes": volume.inodes}
    for mirror in Mirrors(layout).list(sizes=True):
        yield {"kind": "mirror", "name": mirror.url, "bytes": mirror.size, "inodes": mirror.inodes}
    layers = list(parts.layers.layers())
    yield _total("layers", [(size, inodes) for _, size, inodes in layers])
    blobs = [status.st_blocks * 512 for _, status in parts.blobs.entries()]
    yield _total("blobs", [(size, 1) for size in blobs])
    images = [status.st_blocks * 512 for _, status in image_blobs(layout)]
    yield _total("image blobs", [(size, 1) for size in images])
    files = [s for _, s in parts.files.entries() if s.st_nlink == 1]
    yield _total("files", [(s.st_blocks * 512, 1) for s in files])
    yield {"kind": "records", "name": "all", "count": sum(1 for _ in parts.records.rows())}
    parts.records.close()


def _total(kind: str, rows: Sequence[tuple[int, int]]) -> dict[str, Any]:
    size = sum(size for size, _ in rows)
    return {"kind": kind, "name": "all", "count": len(rows), "bytes": size}


def _say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
