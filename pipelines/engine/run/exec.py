"""Executing a command: an `Exec` op and its inputs in, a `Ran` out.

Theory of operation
    1. *Start* the services that it is bound to, and wait until they are ready; *open* the
       cache volumes (a LOCKED one waits here for its turn); *connect* it to a network.
    2. *Assemble*, in a thread: an active snapshot of the root filesystem over the ground, one
       more for every writable mount, mount points, secrets on the session's tmpfs, the user
       from the root's own /etc/passwd. Nothing of it is seen by anyone else.
    3. *Run* it in the sandbox, recording the output streams. Only this takes a slot
       (`--jobs`): while one command runs, rooms of the next are made and of the last cleared.
    4. *Collect*, in a thread: take the mount points away again, commit what was written.
       What the command left unchanged comes out as the very stack that went in, so that
       whatever reads it is not run again.
    Whatever goes wrong on the way discards every active snapshot; a failed command leaves
    nothing behind but its error.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread

from pipelines.engine.digest import Digest
from pipelines.engine.errors import ExecFailed
from pipelines.engine.events import Events
from pipelines.engine.op import Exec
from pipelines.engine.result import Ran, Result, Snapshot, output
from pipelines.engine.run import relay
from pipelines.engine.run.holding import Owner, Volumes, check_shared, held, secrets_of
from pipelines.engine.run.lent import Plug
from pipelines.engine.run.nesting import Nesting
from pipelines.engine.run.plugs import Plugs
from pipelines.engine.run.rooms import Room, Rooms
from pipelines.engine.run.services import Services, watched
from pipelines.engine.run.streams import TAIL, Spool, Streams, patterns
from pipelines.engine.sandbox.base import Sandbox

__all__ = ["Execs", "Store"]


class Store(Protocol):
    """What an exec needs of the store."""

    def put(self, data: bytes) -> Digest:
        """Store bytes as a blob."""
        ...

    def put_file(self, path: Path) -> Digest:
        """Move a file in as a blob."""
        ...


@dataclass(frozen=True, slots=True)
class Execs:
    """Runs `Exec` ops. `permits` bounds the rooms that stand at once: a few more than run."""

    rooms: Rooms
    sandbox: Sandbox
    volumes: Volumes
    blobs: Store
    events: Events
    permits: anyio.Semaphore
    owner: Owner
    services: Services
    plugs: Plugs
    nesting: Nesting

    async def run(self, op: Exec, inputs: Sequence[Result], slot: anyio.Semaphore) -> Ran:
        """Run a command, itself in a slot.

        Raises:
            ExecFailed: it ended with an exit code that `op.expect` does not allow.
            SandboxError: the host can not run it.
            ServiceFailed: a service that it is bound to did not start, or ended meanwhile.
        """
        root = output(inputs[0], op.inputs[0].output)
        check_shared(op)
        async with (
            self.services.bound(op.services) as bound,
            held(self.volumes, op, root, self.owner) as volumes,
            # What a nested command asks for needs a place to run in: it takes none itself.
            nullcontext() if op.nested else self.permits,
            self.plugs.command(op, bound) as plug,
        ):
            fetched = await secrets_of(op, self.events)
            with self.nesting.open(op, fetched) as (told, secrets):
                make = self.rooms.make
                room = await to_thread.run_sync(make, told, inputs, volumes, secrets, plug)
                try:
                    async with watched([live for _, live in bound]):
                        return await self._inside(op, room, patterns(secrets.values()), slot, plug)
                finally:
                    if not room.over:
                        with anyio.CancelScope(shield=True):
                            await to_thread.run_sync(room.clear)

    async def _inside(
        self,
        op: Exec,
        room: Room,
        hidden: tuple[bytes, ...],
        slot: anyio.Semaphore,
        plug: Plug,
    ) -> Ran:
        streams = Streams(room.file, hidden, lambda s, d: self.events.log(op, s, d))
        try:
            async with nullcontext() if op.nested else slot:
                self.events.exec(op, "started")
                began = anyio.current_time()
                async with relay.relaying(room.sockets):
                    ended = await self.sandbox.run(room.spec, streams.on_stdout, streams.on_stderr)
                seconds = round(anyio.current_time() - began, 3)
            streams.close()
            self.events.exec(op, "finished", exit=ended.code, seconds=seconds, network=plug.network)
            if not _expected(op.expect, ended.code):
                raise _failure(op, ended.code, streams)
            ran = await to_thread.run_sync(self._collect, op, room, streams, ended.code)
            return replace(ran, network=plug.network)
        finally:
            streams.drop()

    def _collect(self, op: Exec, room: Room, streams: Streams, code: int) -> Ran:
        if op.redirect_stdout:
            room.redirect(op.redirect_stdout, streams.stdout.read())
        if op.redirect_stderr:
            room.redirect(op.redirect_stderr, streams.stderr.read())
        stdout, stderr, combined = (
            spool.store(self.blobs) for spool in (streams.stdout, streams.stderr, streams.combined)
        )
        outputs = {name: Snapshot(layers) for name, layers in room.commit().items()}
        room.clear()
        return Ran(outputs, code, stdout, stderr, combined)


def _expected(expect: str, code: int) -> bool:
    """Tell whether an exit code is allowed; 128 to 191 are signals and always failures.

    Source: dagger `core/schema` `ReturnType`: FAILURE is 1-127 and 192-255, ANY also 0.
    """
    if expect == "SUCCESS":
        return code == 0
    plain = not 128 <= code <= 191  # noqa: PLR2004
    return plain and (code != 0 or expect == "ANY")


def _failure(op: Exec, code: int, streams: Streams) -> ExecFailed:
    return ExecFailed(op.args, code, _text(streams.stdout), _text(streams.stderr))


def _text(spool: Spool) -> str:
    """Give the end of a stream for an error; a cut one says what was left out."""
    data, left_out = spool.tail(TAIL)
    if left_out:
        note = b"[omitting %d bytes]..." % left_out
        data = note + data[len(note) :]
    return data.decode("utf-8", "replace").strip()
