"""An engine that keeps everything in memory: tree operations are real, commands are not run."""

import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipelines.engine import filemode
from pipelines.engine import op as ops
from pipelines.engine.accounts import Held, Limits
from pipelines.engine.api.query import answer
from pipelines.engine.api.session import Session
from pipelines.engine.digest import digest_bytes
from pipelines.engine.errors import ExecFailed, ImageError
from pipelines.engine.patterns import Matcher
from pipelines.engine.result import Ran, Snapshot
from pipelines.engine.run import patching, searching
from pipelines.engine.scrub import Hidden
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree import copying as treecopy
from pipelines.engine.tree import ops as treeops
from pipelines.engine.tree import paths as treepath


@dataclass(frozen=True)
class FakeImage:
    digest: str
    reference: str
    config: Mapping[str, Any]


@dataclass
class FakeStore:
    """A store that holds two things and remembers what was to be pruned."""

    pruned: list[Any] = field(default_factory=list)

    async def limits(self):
        return Limits(1000, 100, 50)

    async def holdings(self):
        return [
            Held("regular", "Exec sha256:1", 300, 1.0, 2.5, busy=True),
            Held("exec.cachemount", "cache volume go", 40, 1.0, 2.0, busy=False),
        ]

    async def prune(self, wanted):
        self.pruned.append(wanted)


@dataclass
class FakeEngine:
    """`images`, `hosts` and `prints` say what the world holds; `ran` what was run."""

    workdir: Path
    platform: str = "linux/amd64"
    version: str = "v0.21.11"
    group: int = 0
    epoch: int | None = None
    images: dict[str, FakeImage] = field(default_factory=dict)
    hosts: dict[str, Tree] = field(default_factory=dict)
    prints: bytes = b"printed\n"
    fails: int = 0
    ran: list[ops.Exec] = field(default_factory=list)
    exported: list[tuple[Any, ...]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    hidden: Hidden = field(default_factory=Hidden)

    def warning(self, text):
        self.warnings.append(text)

    store: FakeStore = field(default_factory=FakeStore)
    insecure: bool = False
    started: list[Any] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)

    async def solve(self, op):
        await anyio.lowlevel.checkpoint()
        if isinstance(op, ops.Exec):
            return self._exec(op)
        return await self.tree(ops.Edge(op))

    def _exec(self, op):
        self.ran.append(op)
        if self.fails and op.expect == "SUCCESS":
            raise ExecFailed(op.args, self.fails, "out", "err")
        out = self.put(self.prints)
        return Ran({"": Snapshot()}, self.fails, out, self.put(b"warned"), self.put(b"both"))

    def put(self, data):
        digest = digest_bytes(data)
        self.blobs[digest] = data
        return digest

    def entry(self, data, mode=0o644):
        return Entry("file", mode, len(data), self.put(data).hex)

    async def tree(self, edge):
        op = edge.op
        if isinstance(op, ops.Exec):
            await self.solve(op)
            mounts = {m.target: m.source for m in op.mounts if isinstance(m, ops.DirMount)}
            return await self.tree({"": op.root, **mounts}[edge.output])
        return self._evaluate(op, [await self.tree(e) for e in op.inputs])

    def _evaluate(self, op, inputs):  # noqa: PLR0912  # one case an op
        match op:
            case ops.Empty() | ops.Scratch():
                return Tree()
            case ops.HostTree():
                return treeops.keep(self.hosts[op.path], Matcher(op.include, op.exclude))
            case ops.Rootfs():
                return Tree.of([("bin/sh", self.entry(b"sh", 0o755))])
            case ops.Archive():
                return Tree({"image.tar": self.entry(op.variants[0].config.encode())})
            case ops.Write():
                return treeops.write(inputs[0], op.path, self.entry(op.contents, op.mode))
            case ops.MakeDir():
                return treeops.make_directory(inputs[0], op.path, op.mode)
            case ops.Link():
                return treeops.link(inputs[0], op.path, op.target)
            case ops.Copy(as_file=True):
                return treeops.copy_file(*inputs, op.path, None, op.mode)
            case ops.Copy():
                kept = treeops.keep(inputs[1], Matcher(op.include, op.exclude))
                return treeops.copy_tree(inputs[0], kept, op.path, None, op.mode)
            case ops.Remove():
                return treeops.remove(inputs[0], op.paths)
            case ops.Select():
                return treeops.select(inputs[0], op.path, op.kind)
            case ops.Filter():
                return treeops.keep(inputs[0], Matcher(op.include, op.exclude))
            case ops.Diff():
                return treeops.diff(*inputs)
            case ops.Touch():
                return treeops.touch(inputs[0], op.timestamp)
            case ops.Pick():
                source = treecopy.TreeSource(inputs[0])
                return treecopy.pick(source, op.path, op.exclude, with_parents=op.parents)
            case ops.Extract():
                return inputs[0]  # nothing here is an archive
            case ops.Put():
                return self._put(op, *inputs)
            case ops.Lay():
                return treeops.copy_tree(*inputs, "")
            case ops.Rename():
                return treeops.rename(inputs[0], op.name)
            case ops.Chown():
                user, _, group = op.owner.partition(":")
                return treeops.chown(inputs[0], op.path, (int(user), int(group or user)))
            case ops.Replace():
                name, entry = inputs[0].file
                data = self.blobs["sha256:" + entry.content].decode()
                count = -1 if op.every else 1
                return Tree(
                    {name: self.entry(data.replace(op.search, op.replacement, count).encode())}
                )
            case ops.Apply() | ops.Merge() | ops.Patch() | ops.WritePatch():
                return patching.rework(op, inputs[0], inputs[1:], self)
        raise AssertionError(op)

    def _put(self, op, base, *pieces):
        mode = filemode.parse(op.mode) if op.mode else None
        user, _, group = op.owner.partition(":")
        owner = (int(user), int(group or user)) if user else None
        into = op.path.endswith("/")
        at = op.path.strip("/")
        return treecopy.put(base, pieces, at, into=into, owner=owner, mode=mode)

    def _read(self, entry):
        return self.blobs["sha256:" + entry.content]

    def open(self, entry):
        return io.BytesIO(self._read(entry))

    def write(self, data, mode=0o644, uid=0, gid=0, mtime=None):
        return dataclasses.replace(self.entry(data, mode), uid=uid, gid=gid, mtime=mtime)

    async def reading(self, work):
        return work(self._read)

    async def search(self, tree, search):
        return searching.search(tree, search, self._read)

    async def saved_image(self, name):
        if name != "known":
            raise ImageError(f"{name}: none")
        self.hosts["/saved.tar"] = Tree({"saved.tar": self.entry(b"archive")})
        return "/saved.tar"

    async def export_changes(self, tree, gone, path):
        self.exported.append((sorted(tree), tuple(gone), path))
        return str(self.workdir / path)

    async def status(self, edge, path, follow):
        return treepath.status(await self.tree(edge), path, follow=follow)

    async def resolve_image(self, ref, platform):
        if ref not in self.images:
            raise ImageError(f"{ref}: not found")
        return self.images[ref]

    async def import_image(self, edge, tag):
        name, _ = (await self.tree(edge)).file
        return FakeImage("sha256:" + "1" * 64, f"{name}:{tag}", {"config": {"User": "imported"}})

    async def blob(self, digest):
        return self.blobs[digest]

    async def read(self, entry, limit):
        return self.blobs["sha256:" + entry.content][:limit]

    async def start_service(self, service):
        self.started.append(service)
        return ()

    async def stop_service(self, service, kill):
        self.started.remove(service)

    async def until_over(self, service):
        await anyio.sleep_forever()

    def open_tunnel(self, tunnel):
        return tunnel.forwards if tunnel in self.started else None

    def reach(self, service, port):
        raise NotImplementedError

    def notice(self, text):
        self.noticed.append(text)

    async def export_tree(self, tree, path, wipe):
        self.exported.append((sorted(tree), path, wipe))
        return str(self.workdir / path)

    async def export_file(self, tree, path, allow_parent_dir_path):
        self.exported.append((sorted(tree), path, allow_parent_dir_path))
        return str(self.workdir / path)


@pytest.fixture
def engine(tmp_path):
    made = FakeEngine(tmp_path)
    made.images["alpine"] = FakeImage(
        "sha256:" + "a" * 64,
        "alpine@sha256:a",
        {
            "config": {
                "Env": ["PATH=/opt/bin:/bin", "LANG=C=UTF"],
                "Cmd": ["sh"],
                "Entrypoint": ["/init"],
                "WorkingDir": "/work",
                "User": "app",
                "Labels": {"one": "1"},
                "ExposedPorts": {"80/tcp": {}},
                "Volumes": {"/data": {}},
                "StopSignal": "SIGINT",
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000},
            }
        },
    )
    return made


@pytest.fixture
def session(engine):
    return Session(engine)


@pytest.fixture(params=["asyncio", "trio"])
def asked(session, request):
    """Ask and give the whole answer."""

    def ask(query, operation=None, /, **variables):
        return json.loads(
            anyio.run(answer, session, query, variables, operation, backend=request.param)
        )

    return ask


@pytest.fixture
def ask(asked):
    """Ask and give the innermost value of a chain."""

    def chain(query, **variables):
        found = asked(query, **variables)
        assert "errors" not in found, found["errors"]
        value = found["data"]
        while isinstance(value, dict) and len(value) == 1:
            (value,) = value.values()
        return value

    return chain


@pytest.fixture
def refused(asked):
    """Ask for what fails and give the error."""

    def refuse(query, **variables):
        found = asked(query, **variables)
        assert found["data"] is None
        (error,) = found["errors"]
        return error

    return refuse
