"""Rooms: everything a command finds around it, and what is taken away after it.

A room is a root filesystem and its mounts, made by `Rooms.make`, described to the sandbox by
`room.spec`, and ended by exactly one `clear` (after `commit`, if the command was fine).

Rules
    1. Every path that an image or a user can influence is resolved inside the root it belongs
       to (`inroot`), never with the host's rules; the sandbox gets link-free targets only.
    2. Mounts are placed from the outside in, and a mount point below another mount is made in
       that mount, not under it.
    3. Mount points that had to be made are taken away again before anything is committed.
    4. Secrets exist on a tmpfs of the session's mount namespace only, and only while the
       command runs.
"""

import itertools
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipelines.engine.errors import PathError, SandboxError
from pipelines.engine.op import CacheMount, DirMount, Exec, SecretMount, SocketMount, TempMount
from pipelines.engine.result import Result, Snapshot, output
from pipelines.engine.run import relay
from pipelines.engine.run.lent import Host, Plug, Secrets
from pipelines.engine.run.places import Place, Stubs, innermost, put
from pipelines.engine.sandbox import cabundle, users
from pipelines.engine.sandbox.base import Bind, Spec, Tmpfs
from pipelines.engine.sandbox.users import User
from pipelines.engine.snapshots import inroot
from pipelines.engine.snapshots.base import Active, Snapshots
from pipelines.engine.tree import Tree

__all__ = ["Room", "Rooms"]

ROOT = User(0, 0, (), "/root")
CA_PATH = "/etc/ssl/certs/ca-certificates.crt"


class Layers(Protocol):
    """What turns a tree into a layer."""

    def layer_of(self, tree: Tree, owner: str = "") -> str:
        """Put a tree on disk as a layer and give its id."""
        ...


@dataclass(slots=True)
class Room:
    """A root filesystem with everything mounted in it; see the rules above."""

    snapshots: Snapshots
    scratch: Path
    root: Active
    user: User
    spec: Spec
    places: list[Place] = field(default_factory=list)
    kept: dict[str, Active] = field(default_factory=dict)
    dropped: list[Active] = field(default_factory=list)
    stubs: Stubs = field(default_factory=list)
    small: list[Path] = field(default_factory=list)
    sockets: list[tuple[socket.socket, str]] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)
    over: bool = False

    def file(self, name: str) -> Path:
        """Name a file that goes with the room; `scratch` is a prefix, not a directory."""
        path = self.scratch.with_name(f"{self.scratch.name}.{name}")
        self.small.append(path)
        return path

    def mount(
        self, target: str, source: Path | None, *, readonly: bool = False, size: int | None = None
    ) -> None:
        """Mount something, with a mount point made for it."""
        place = Place(target, source, readonly, size)
        put(self.root.path, self.places, self.stubs, place)

    def locate(self, path: str) -> tuple[Path, str]:
        """Find the root that a path lies in, and the path relative to it."""
        place = innermost(self.places, path)
        if place is None:
            return self.root.path, path
        if place.source is None:
            raise PathError(f"{path}: cannot be used here, it lies in a temporary mount")
        return place.source, path[len(place.target) :] or "/"

    def redirect(self, path: str, chunks: Iterable[bytes]) -> None:
        """Write a stream into a file of the room, as the command's user."""
        base, inside = self.locate(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(inroot.open_file(base, inside, flags, 0o600), "wb") as out:
            for chunk in chunks:
                out.write(chunk)
            os.fchown(out.fileno(), self.user.uid, self.user.gid)

    def commit(self) -> dict[str, tuple[str, ...]]:
        """Commit what was written: the root as "", writable mounts by their targets."""
        self._unstub()
        outputs: dict[str, tuple[str, ...]] = {}
        for name, active in [("", self.root), *self.kept.items()]:
            outputs[name] = self.snapshots.commit(active)
        self.kept.clear()
        self.dropped = [a for a in self.dropped if a is not self.root]
        return outputs

    def clear(self) -> None:
        """End the room: nothing of it stays, unless it was committed."""
        self._unstub()
        for active in (*self.kept.values(), *self.dropped):
            self.snapshots.discard(active)
        self.kept.clear()
        self.dropped.clear()
        self.stack.close()
        for path in self.small:
            path.unlink(missing_ok=True)
        self.small.clear()
        self.over = True

    def _unstub(self) -> None:
        for base, stub in reversed(self.stubs):
            inroot.unstub(base, [stub])
        self.stubs.clear()


@dataclass(frozen=True, slots=True)
class Rooms:
    """Makes rooms. `ground`, `scratch` and `memory` (a tmpfs) are the session's."""

    snapshots: Snapshots
    layers: Layers
    host: Host
    ground: Path
    scratch: Path
    memory: Path
    count: Iterator[int] = field(default_factory=itertools.count)

    def make(
        self,
        op: Exec,
        inputs: Sequence[Result],
        volumes: Mapping[str, Path],
        secrets: Secrets,
        plug: Plug,
    ) -> Room:
        """Assemble the room of an exec; blocks."""
        # After the exec's own inputs come those of its services; `zip` stops before them.
        sources = dict(zip(_targets(op), _outputs(op, inputs), strict=False))
        root = sources.pop("")
        assert isinstance(root, Snapshot)
        scratch = self.scratch / f"x{next(self.count)}"
        active = self.snapshots.prepare(root.layers, self.ground)
        room = Room(self.snapshots, scratch, active, ROOT, Spec("", (), {}), dropped=[active])
        try:
            _check_places(active.path)
            room.user = _user(active.path, op.user)
            self._furnish(room, op, sources, volumes, secrets)
            self._connect(room, op, plug)
            room.spec = self._spec(room, op, secrets, plug)
        except BaseException:
            room.clear()
            raise
        return room

    def _furnish(
        self,
        room: Room,
        op: Exec,
        sources: Mapping[str, Tree | Snapshot],
        volumes: Mapping[str, Path],
        secrets: Secrets,
    ) -> None:
        """Place every mount, from the outside in."""
        files = dict(secrets.files)
        for mount in sorted(op.mounts, key=lambda m: m.target.count("/")):
            match mount:
                case DirMount():
                    source = self._tree(room, mount, sources[mount.target])
                    room.mount(mount.target, source, readonly=mount.readonly)
                case CacheMount():
                    room.mount(mount.target, volumes[mount.target], readonly=mount.readonly)
                case TempMount():
                    room.mount(mount.target, None, size=mount.size)
                case SecretMount():
                    path = self._secret(room, mount, files[mount.target])
                    room.mount(mount.target, path, readonly=True)
                case SocketMount():
                    room.mount(mount.target, self._socket(room, mount))

    def _connect(self, room: Room, op: Exec, plug: Plug) -> None:
        """Place copies of the files that name hosts: a command may write to them."""
        files = {"/etc/resolv.conf": plug.resolv_conf, "/etc/hosts": plug.hosts}
        for target, text in files.items():
            if not any(m.target == target for m in op.mounts):
                room.mount(target, self._small(room, text, 0o644))

    def _tree(self, room: Room, mount: DirMount, source: Tree | Snapshot) -> Path:
        """Put a directory or file on disk for one exec."""
        if isinstance(source, Tree):
            owner = _numeric(room, mount.owner)
            layers: tuple[str, ...] = (self.layers.layer_of(source, owner),) if source else ()
        else:
            layers = source.layers
        if mount.readonly:
            path = room.stack.enter_context(self.snapshots.view(layers))
        else:
            active = self.snapshots.prepare(layers)
            path = active.path
            if mount.file:
                room.dropped.append(active)
            else:
                room.kept[mount.target] = active
        if mount.file and isinstance(source, Tree):
            path = path / next(iter(source)).partition("/")[0]
        return path

    def _secret(self, room: Room, mount: SecretMount, value: bytes) -> Path:
        return self._small(room, value, mount.mode, *_ids(room, mount.owner))

    def _socket(self, room: Room, mount: SocketMount) -> Path:
        """Listen where a command of the room may connect, on behalf of a socket of the host."""
        path = self.memory / f"{next(self.count)}"
        room.small.append(path)
        listening = relay.listen(path, *_ids(room, mount.owner))
        room.stack.callback(listening.close)
        room.sockets.append((listening, mount.path))
        return path

    def _small(self, room: Room, data: bytes, mode: int, uid: int = 0, gid: int = 0) -> Path:
        """Put a small file on the tmpfs, for this room only."""
        path = self.memory / f"{next(self.count)}"
        room.small.append(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fchmod(descriptor, mode)
            if (uid, gid) != (0, 0):
                os.fchown(descriptor, uid, gid)
        finally:
            os.close(descriptor)
        return path

    def _spec(self, room: Room, op: Exec, secrets: Secrets, plug: Plug) -> Spec:
        mounts: list[Bind | Tmpfs] = [
            Tmpfs(p.target, p.size)
            if p.source is None
            else Bind(str(p.source), p.target, p.readonly)
            for p in room.places
        ]
        if self.host.ca_bundle is not None:
            mounts.append(Bind(str(self._certificates(room)), cabundle.INSIDE, readonly=True))
        env = {**self.host.environment, "HOME": room.user.home or "/", **dict(op.env)}
        env.update(op.volatile)
        env.update((name, os.fsdecode(value)) for name, value in secrets.env)
        self._enter(room, op.workdir)
        return Spec(
            root=str(room.root.path),
            args=op.args,
            env=env,
            cwd=op.workdir,
            uid=room.user.uid,
            gid=room.user.gid,
            groups=room.user.groups,
            mounts=tuple(mounts),
            hostname=plug.hostname,
            stdin=_stdin(room, op),
            network="none" if op.network == "none" else "host",
            platform=op.platform,
            insecure=op.insecure,
            inside=plug.inside,
        )

    def _certificates(self, room: Room) -> Path:
        """Give the host's CA bundle, together with the image's own if that is another."""
        bundle = self.host.ca_bundle
        assert bundle is not None
        if not self._has_own(room.root.path):
            return bundle
        merged = room.file("ca.crt")
        cabundle.merge_into(merged, [_read(room.root.path, CA_PATH), bundle.read_bytes()])
        return merged

    def _has_own(self, root: Path) -> bool:
        """Tell whether an image has certificates, or what shows there is the ground's."""
        try:
            found = inroot.status(root, CA_PATH)
        except PathError:
            return False
        laid = os.stat(self.ground / CA_PATH.lstrip("/"))
        return (found.st_size, found.st_mtime_ns) != (laid.st_size, laid.st_mtime_ns)

    def _enter(self, room: Room, workdir: str) -> None:
        """Make the working directory if it is missing: it belongs to the command's user."""
        base, inside = room.locate(workdir)
        missing = not _exists(base, inside)
        made = inroot.mkdirs(base, inside, 0o755)
        if missing and (room.user.uid, room.user.gid) != (0, 0):
            descriptor = inroot.open_file(base, made, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fchown(descriptor, room.user.uid, room.user.gid)
            finally:
                os.close(descriptor)


def _exists(root: Path, path: str) -> bool:
    try:
        inroot.status(root, path)
    except PathError:
        return False
    return True


def _check_places(root: Path) -> None:
    """Refuse a root in which the kernel's file systems would be mounted through a link."""
    for path in ("/proc", "/sys", "/dev"):
        if not stat.S_ISDIR(inroot.status(root, path, follow=False).st_mode):
            raise SandboxError(
                f"the root filesystem's {path} is not a directory: nothing can be run in it safely"
            )


def _targets(op: Exec) -> Iterator[str]:
    yield ""
    yield from (m.target for m in op.mounts if isinstance(m, DirMount))


def _outputs(op: Exec, inputs: Sequence[Result]) -> Iterator[Tree | Snapshot]:
    for result, edge in zip(inputs, op.inputs, strict=True):
        yield output(result, edge.output)


def _user(root: Path, user: str) -> User:
    if user in {"", "0", "root", "0:0"}:
        return ROOT
    return users.resolve(user, _read(root, "/etc/passwd"), _read(root, "/etc/group"))


def _read(root: Path, path: str) -> bytes:
    """Read a small file of the image; empty if there is none."""
    try:
        with os.fdopen(inroot.open_file(root, path, os.O_RDONLY), "rb") as file:
            return file.read(1 << 20)
    except (PathError, OSError):
        return b""


def _ids(room: Room, owner: str) -> tuple[int, int]:
    """Look an owner up in the room's own users; "" is the command's user."""
    if not owner:
        return room.user.uid, room.user.gid
    found = _user(room.root.path, owner)
    return found.uid, found.gid if ":" in owner else found.uid


def _numeric(room: Room, owner: str) -> str:
    """Spell an owner in numbers; "" stays as it is."""
    return "" if not owner else "{}:{}".format(*_ids(room, owner))


def _stdin(room: Room, op: Exec) -> str | None:
    if op.redirect_stdin:
        base, inside = room.locate(op.redirect_stdin)
        return str(base) + inroot.resolve(base, inside)
    if not op.stdin:
        return None
    path = room.file("stdin")
    path.write_bytes(op.stdin.encode("utf-8", "surrogateescape"))
    return str(path)
