"""Why a command runs: what of it is not as it was when a command like it ran before.

Theory of operation
    A `Portrait` holds what keys an exec, apart, so that two can be compared part by part: the
    command, its variables, the image below, every mount with the content of every file in it.
    The portraits of commands that ran are kept (`store.portraits`). When a command has to run,
    the likest earlier portrait is the one to compare with, and what differs is the reason:

        first run           nothing like it ran before
        command             arguments, working directory, user, input, what is expected of it
        toolchain           another version of golang, python, …: the image that its root began with
        image               another image
        environment         a variable, or which are secret
        root                the root filesystem, by what earlier commands made of it
        file                a file that is mounted: changed, new, gone
        mount               a whole mount: there or not, a cache volume or not
        service             a service that is bound: what it runs, or a file of it
        cache volume        a volume that an earlier run filled is empty
        failed              nothing differs: it failed the last time, and failures are not kept
        evicted             nothing differs: the result is no longer in the store

    Commands of several projects look alike: `go test ./...` in `/src`. A mount whose files have few
    names and fewer contents in common with what was there is another project's, and is compared
    with only if there is nothing nearer; then this is a first run.

    A reason explains, it decides nothing: keys are made elsewhere. Portraits hold no values of
    secrets or volatile variables; there are none in an op's keyed fields.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.engine.digest import Digest, digest_json
from pipelines.engine.op import CacheMount, DirMount, Edge, Exec, HostService, Rootfs, Service
from pipelines.engine.result import Result, Snapshot, content, output
from pipelines.engine.tree import Tree

__all__ = ["Portrait", "Reason", "family", "portrait", "reasons"]

_SHORT = 12
_TOOLCHAINS = frozenset({"eclipse-temurin", "golang", "node", "python", "rust", "ziglang"})
_FEW = 8  # files of a mount, below which two projects can not be told apart
_MANY = 20_000  # files of a mount, above which only the whole is compared

Portrait = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """One difference; `before` and `after` are texts or shortened digests, "" for nothing."""

    kind: str
    what: str = ""
    before: str = ""
    after: str = ""

    def fields(self) -> dict[str, str]:
        """Give the reason as an event tells it."""
        given = {"kind": self.kind, "what": self.what, "before": self.before, "after": self.after}
        return {name: value for name, value in given.items() if value}


def family(op: Exec) -> Digest:
    """Name the commands that are worth comparing: the same program with the same first word."""
    return digest_json(["family", *op.args[:2], op.platform])


def portrait(op: Exec, inputs: Sequence[Result]) -> Portrait:
    """Draw the portrait of an exec over its inputs' results."""
    by_edge = dict(zip(op.inputs, inputs, strict=True))
    mounts: dict[str, Any] = {}
    for mount in op.mounts:
        if isinstance(mount, DirMount):
            mounts[mount.target] = _content(by_edge[mount.source], mount)
        elif isinstance(mount, CacheMount):
            mounts[mount.target] = {"volume": f"{mount.volume.namespace}:{mount.volume.key}"}
        else:
            mounts[mount.target] = {"other": type(mount).__name__}
    root = output(by_edge[op.root], op.root.output)
    return {
        "command": {
            "arguments": list(op.args),
            "working directory": op.workdir,
            "user": op.user,
            "standard input": digest_json(op.stdin)[:_SHORT] if op.stdin else "",
            "redirections": [op.redirect_stdin, op.redirect_stdout, op.redirect_stderr],
            "expected result": op.expect,
            "network": op.network,
        },
        "environment": dict(op.env),
        "secrets": sorted(name for name, _ in op.secret_env),
        "volatile": sorted(op.volatile_names),
        "image": _image(op),
        "root": list(root.layers) if isinstance(root, Snapshot) else [root.digest],
        "mounts": mounts,
        "services": {bound.alias: _service(bound.service, by_edge) for bound in op.services},
    }


def _service(service: Service | HostService, by_edge: Mapping[Edge, Result]) -> str:
    """Name what a service is made of, the contents of its root and mounts included."""
    if isinstance(service, HostService):
        return f"host {service.host}"
    process = service.process
    read = [content(by_edge[edge], edge.output) for edge in process.inputs]
    return digest_json([process.spec, read]).hex[:_SHORT]


def _content(result: Result, mount: DirMount) -> dict[str, Any]:
    found = output(result, mount.source.output)
    if isinstance(found, Snapshot):
        return {"layers": list(found.layers)}
    if len(found) > _MANY:
        return {"digest": found.digest}
    return {"digest": found.digest, "files": dict(_files(found))}


def _files(tree: Tree) -> Iterator[tuple[str, str]]:
    for path, entry in tree.items():
        if entry.kind != "dir":
            yield path, f"{(entry.content or entry.target)[:_SHORT]} {entry.mode:o}"


def _image(op: Exec) -> list[str]:
    """Find the images below a root filesystem."""
    found, waiting, seen = [], [op.root.op], set()
    while waiting:
        at = waiting.pop()
        if at.digest in seen:
            continue
        seen.add(at.digest)
        if isinstance(at, Rootfs):
            found.append(f"{at.reference or 'image'} {at.image[7 : 7 + _SHORT]}")
        elif isinstance(at, Exec):
            waiting.append(at.root.op)
        elif at.inputs:
            waiting.append(at.inputs[0].op)
    return found


def reasons(
    now: Portrait,
    earlier: Iterable[Portrait],
    lost: Iterable[str] = (),
    used: Callable[[Sequence[str]], Mapping[str, float]] = lambda _keys: {},
) -> tuple[Reason, ...]:
    """Compare with the likest earlier portrait, of equally like ones with the last in use.

    `lost` are targets of volumes that are empty. `used` tells when the results of keys were used:
    what was answered from the store is as recent as what ran.
    """
    ranked = [((_foreign(before, now), *_distance(before, now)), before) for before in earlier]
    nearest = min((distance for distance, _ in ranked), default=(True,))
    alike = [before for distance, before in ranked if distance == nearest]
    if nearest[0] or _unlike(alike[0], now):
        return (Reason("first run"),)
    before = _newest(alike, used) if len(alike) > 1 else alike[0]
    found = [*_differences(before, now)]
    if not found:
        found = [_nothing_new(before)]
    mounts = before["mounts"]
    found += [
        Reason("cache volume", _volume(mounts[at]), "filled", "empty")
        for at in lost
        if "volume" in mounts.get(at, {}) and mounts[at] == now["mounts"].get(at)
    ]
    return tuple(found)


def _newest(
    alike: Sequence[Portrait], used: Callable[[Sequence[str]], Mapping[str, float]]
) -> Portrait:
    times = used([before["key"] for before in alike if "key" in before])
    return max(alike, key=lambda b: max(float(b.get("at", 0)), times.get(b.get("key", ""), 0)))


def _nothing_new(before: Portrait) -> Reason:
    if before.get("failed"):
        return Reason("failed", "it failed the last time")
    return Reason("evicted", "its result is no longer in the store")


def _unlike(before: Portrait, now: Portrait) -> bool:
    """Tell whether two commands have too little in common to be one that changed."""
    mine, other = now["command"]["arguments"], before["command"]["arguments"]
    shared = len(set(mine) & set(other))
    return shared * 2 < max(len(set(mine)), len(set(other)))


def _foreign(before: Portrait, now: Portrait) -> bool:
    """Tell whether files that are mounted in the same place are of two projects."""
    for at, mount in now["mounts"].items():
        mine, other = mount.get("files", {}), before["mounts"].get(at, {}).get("files", {})
        smaller = min(len(mine), len(other))
        if smaller < _FEW or mine is other:
            continue
        equal = len(mine.items() & other.items())
        if equal * 10 < smaller and len(mine.keys() & other.keys()) * 2 < smaller:
            return True
    return False


def _distance(before: Portrait, now: Portrait) -> tuple[int, int, int]:
    """Order earlier portraits: the likest first."""
    old = before["command"]
    command = sum(1 for name, value in now["command"].items() if old.get(name) != value)
    environment = len(set(before["environment"].items()) ^ set(now["environment"].items()))
    places = len(before["mounts"].keys() ^ now["mounts"].keys())
    return command, environment + places, _changed(before, now)


def _changed(before: Portrait, now: Portrait) -> int:
    """Count the mounts, and the files in them, that differ."""
    count = int(before["root"] != now["root"])
    for at, mount in now["mounts"].items():
        other = before["mounts"].get(at, {})
        if other != mount:
            count += 1 + len(other.get("files", {}).items() ^ mount.get("files", {}).items())
    return count


def _differences(before: Portrait, now: Portrait) -> Iterator[Reason]:
    if before["image"] != now["image"]:  # first: variables, volumes and more follow from it
        yield Reason(_kind(before["image"], now["image"]), "", *_images(before, now))
    for name, value in now["command"].items():
        if (old := before["command"].get(name)) != value:
            yield Reason("command", name, *_words(old, value))
    yield from _named("environment", before["environment"], now["environment"])
    yield from _named("service", before.get("services", {}), now["services"])
    for part in ("secrets", "volatile"):
        if before[part] != now[part]:
            yield Reason("environment", f"{part} variables", *_words(before[part], now[part]))
    if before["image"] == now["image"] and before["root"] != now["root"]:
        yield Reason("root", "the root filesystem", *_stacks(before["root"], now["root"]))
    for at in sorted(before["mounts"].keys() | now["mounts"].keys()):
        yield from _mount(at, before["mounts"].get(at), now["mounts"].get(at))


def _images(before: Portrait, now: Portrait) -> tuple[str, str]:
    """Name the images that are not in both."""
    return _words(
        [image for image in before["image"] if image not in now["image"]],
        [image for image in now["image"] if image not in before["image"]],
    )


def _kind(before: Sequence[str], now: Sequence[str]) -> str:
    """Tell another version of a toolchain from another image."""
    names = [[_repository(image) for image in images] for images in (before, now)]
    changed = {
        name for name, *pair in zip(names[0], before, now, strict=False) if pair[0] != pair[1]
    }
    return "toolchain" if names[0] == names[1] and changed <= _TOOLCHAINS else "image"


def _repository(image: str) -> str:
    """Read the last part of an image's name: `golang` of `docker.io/library/golang:1.26 3f…`."""
    return image.partition(" ")[0].partition("@")[0].rpartition("/")[2].partition(":")[0]


def _volume(mount: Mapping[str, str]) -> str:
    return mount["volume"].removeprefix(":")


def _mount(
    at: str, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> Iterator[Reason]:
    if before == now:
        return
    if before is None or now is None:
        yield Reason("mount", at, "" if before is None else "there", "" if now is None else "there")
    elif "files" in before and "files" in now and before["files"] != now["files"]:
        yield from _named("file", before["files"], now["files"], at.rstrip("/") + "/")
    elif "layers" in before and "layers" in now:
        yield Reason("mount", at, *_stacks(before["layers"], now["layers"]))
    elif "volume" in before and "volume" in now:
        yield Reason("mount", at, _volume(before), _volume(now))
    else:
        yield Reason("mount", at, *(str(next(iter(m.values())))[:_SHORT] for m in (before, now)))


def _named(
    kind: str, before: Mapping[str, str], now: Mapping[str, str], prefix: str = ""
) -> Iterator[Reason]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, ""), now.get(name, "")
        if (name in before) != (name in now) or old != new:
            yield Reason(kind, prefix + name, old, new)


def _stacks(before: Sequence[str], now: Sequence[str]) -> tuple[str, str]:
    """Name the first layer that differs."""
    pairs = [*zip(before, now, strict=False)]
    at = next((n for n, (old, new) in enumerate(pairs) if old != new), len(pairs))
    return tuple(stack[at][:_SHORT] if at < len(stack) else "" for stack in (before, now))  # type: ignore[return-value]


def _words(before: object, now: object) -> tuple[str, str]:
    return _text(before), _text(now)


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
