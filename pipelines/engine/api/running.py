"""Container fields that run commands and read what they printed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.engine.api.container import Container
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError, UnsupportedField
from pipelines.engine.keys import Command, exec_op
from pipelines.engine.op import DirMount, Edge, Mount
from pipelines.engine.result import Ran

__all__ = ["FIELDS"]


def with_exec(
    session: Session,
    it: Container,
    *,
    args: tuple[str, ...],
    use_entrypoint: bool,
    stdin: str,
    redirect_stdin: str,
    redirect_stdout: str,
    redirect_stderr: str,
    expect: str,
    experimental_privileged_nesting: bool,
    insecure_root_capabilities: bool,
    expand: bool,
    no_init: bool,  # noqa: ARG001  # the sandbox is its own init
) -> Container:
    """Run a command.

    Raises:
        UnsupportedField: the command is to have powers that this session does not give.
    """
    if insecure_root_capabilities and not session.engine.insecure:
        raise UnsupportedField(
            "Container.withExec(insecureRootCapabilities)",
            "it gives a command power over this machine; allow it where the session is started, "
            "with PIPELINES_ALLOW_INSECURE=1",
        )
    command = Command(
        _command(it, tuple(it.text(arg, expand) for arg in args), use_entrypoint),
        stdin,
        it.text(redirect_stdin, expand),
        it.text(redirect_stdout, expand),
        it.text(redirect_stderr, expand),
        expect,
        experimental_privileged_nesting,
        insecure_root_capabilities,
    )
    return _run(it, command)


def _command(it: Container, args: tuple[str, ...], use_entrypoint: bool) -> tuple[str, ...]:
    given = args or it.config.default_args or ()
    return (*(it.config.entrypoint or ()), *given) if use_entrypoint else given


def _run(it: Container, command: Command) -> Container:
    """Go on from what a command leaves: its root, and the mounts that it could write to."""
    made = exec_op(
        command,
        root=it.rootfs,
        env=it.config.env,
        workdir=it.config.workdir,
        user=it.config.user,
        platform=it.platform,
        mounts=it.mounts,
        secret_env=it.secret_env,
        volatile=it.volatile,
        services=it.services,
    )

    def after(mount: Mount) -> Mount:
        # A mounted file's changes are not kept, so it stays what it was.
        if not isinstance(mount, DirMount) or mount.readonly or mount.file:
            return mount
        return replace(mount, source=Edge(made, mount.target), owner="")

    mounts = tuple(after(mount) for mount in it.mounts)
    return replace(it, rootfs=Edge(made), mounts=mounts, last=made, image="")


async def _ran(session: Session, it: Container, field: str) -> Ran:
    if it.last is None:
        raise QueryError(
            f"Container.{field}: no command has been run in this container; call withExec first"
        )
    result = await session.engine.solve(it.last)
    assert isinstance(result, Ran)
    return result


async def _text(session: Session, digest: str) -> str:
    return (await session.engine.blob(digest)).decode("utf-8", "replace")


async def stdout(session: Session, it: Container) -> str:
    """Give what the last command wrote to standard output, whole."""
    return await _text(session, (await _ran(session, it, "stdout")).stdout)


async def stderr(session: Session, it: Container) -> str:
    """Give what the last command wrote to standard error, whole."""
    return await _text(session, (await _ran(session, it, "stderr")).stderr)


async def combined_output(session: Session, it: Container) -> str:
    """Give both outputs as they came."""
    return await _text(session, (await _ran(session, it, "combinedOutput")).combined)


async def exit_code(session: Session, it: Container) -> int:
    """Give the last command's exit code."""
    return (await _ran(session, it, "exitCode")).exit_code


async def sync(session: Session, it: Container) -> str:
    """Force the container."""
    if it.last is not None and it.last is not it.rootfs.op:
        await session.engine.solve(it.last)
    await session.engine.solve(it.rootfs.op)
    return session.objects.remember(it)


FIELDS: dict[str, Callable[..., Any]] = {
    "combinedOutput": combined_output,
    "exitCode": exit_code,
    "stderr": stderr,
    "stdout": stdout,
    "sync": sync,
    "withExec": with_exec,
}
