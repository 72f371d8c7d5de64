"""`Directory.dockerBuild`: read a Dockerfile and what is to be ignored, and build."""

from collections.abc import Mapping
from dataclasses import replace

from pipelines.engine.api.container import Container
from pipelines.engine.api.directory import Directory, below, inside
from pipelines.engine.api.docker.running import PROXIES
from pipelines.engine.api.docker.stages import Stages
from pipelines.engine.api.docker.state import Options
from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret
from pipelines.engine.api.session import Session
from pipelines.engine.dockerfile import Dockerfile, ignore_patterns, parse
from pipelines.engine.dockerfile.expand import Expansion, ExpansionError
from pipelines.engine.dockerfile.instructions import Arg
from pipelines.engine.errors import PathError
from pipelines.engine.keys import normal_platform
from pipelines.engine.op import Edge, Filter, HostTree
from pipelines.engine.patterns import is_pattern

__all__ = ["build"]

_ALWAYS_KNOWN = frozenset({*PROXIES, "SOURCE_DATE_EPOCH"})


async def build(  # noqa: PLR0917  # they are the field's
    session: Session,
    it: Directory,
    dockerfile: str,
    platform: str,
    arguments: Mapping[str, str],
    target: str,
    secrets: tuple[Secret, ...],
) -> Container:
    """Build a container from a Dockerfile of a directory; "" is the engine's own platform.

    Raises:
        DockerfileError: the Dockerfile is wrong: file and line.
        PathError: there is no such file. ImageError: a base can not be had.
    """
    text = await _text(session, it, dockerfile)
    if text is None:  # it may be behind a link
        text = await _text(session, it, dockerfile, alone=False)
    if text is None:
        raise PathError(
            f"dockerBuild: there is no {dockerfile} in the directory; name it with `dockerfile`"
        )
    parsed = parse(text, dockerfile)
    wanted = normal_platform(platform or session.engine.platform)
    scope = _scope(parsed, session.engine.platform, wanted, target, arguments)
    options = Options(wanted, arguments, secrets, scope)
    stages = Stages(session, parsed, await _context(session, it, dockerfile), options)
    built = await stages.build(stages.find(target))
    if unused := _unused(parsed, arguments):
        session.engine.warning(
            f"{dockerfile}: build arguments that no ARG declares: {', '.join(unused)}"
        )
    return built.it


async def _text(session: Session, it: Directory, path: str, *, alone: bool = True) -> str | None:
    """Read a text file of the directory; None if there is none.

    `alone` spares reading the rest of a host directory; links are followed only without it.
    """
    base, at = it.base, below(it, path)
    if alone and (whole := _of_host(it)) is not None and not is_pattern(at):
        base = Edge(replace(whole, include=(at,)))
        entry = await session.engine.status(base, at, False)
        if entry is not None and entry.kind == "link":
            base = it.base
    entry = await session.engine.status(base, at, True)
    if entry is None or entry.kind != "file":
        return None
    _, entry = (await session.engine.tree(File(base, at).edge)).file
    return (await session.engine.read(entry, None)).decode("utf-8", "replace")


async def _context(session: Session, it: Directory, dockerfile: str) -> Edge:
    """Give the directory without what is ignored: the Dockerfile's own list comes first."""
    for path in (f"{inside(dockerfile)}.dockerignore", ".dockerignore"):
        text = await _text(session, it, path)
        if text is not None:
            patterns = ignore_patterns(text)
            if (whole := _of_host(it)) is not None:
                return Edge(replace(whole, exclude=patterns))
            return Edge(Filter(it.edge, exclude=patterns)) if patterns else it.edge
    return it.edge


def _of_host(it: Directory) -> HostTree | None:
    """Give the op of a host directory that is taken whole.

    Then what is ignored is not even read: a repository's history, node_modules.
    """
    op = it.base.op
    if it.path or not isinstance(op, HostTree) or op.kind != "dir":
        return None
    return None if op.include or op.exclude or op.gitignore else op


def _scope(
    parsed: Dockerfile, build: str, wanted: str, target: str, arguments: Mapping[str, str]
) -> dict[str, str]:
    """Give the arguments of all stages: the platforms', then those before the first FROM."""
    scope: dict[str, str] = {"TARGETSTAGE": target or "default"}
    for kind, text in (("BUILD", build), ("TARGET", wanted)):
        system, architecture, *variant = text.split("/")
        scope |= {f"{kind}PLATFORM": text, f"{kind}OS": system, f"{kind}ARCH": architecture}
        scope[f"{kind}VARIANT"] = variant[0] if variant else ""
    scope |= {name: arguments[name] for name in scope if name in arguments}
    for one in parsed.arguments:
        _declare(scope, one, arguments, parsed.escape)
    return scope


def _declare(scope: dict[str, str], one: Arg, arguments: Mapping[str, str], escape: str) -> None:
    """Declare arguments of all stages."""
    for name, default in one.pairs:
        value = arguments.get(name)
        if value is None and default is not None:
            try:
                value = Expansion(scope, escape).text(default)
            except ExpansionError as exc:
                raise one.where.error(str(exc)) from exc
        if value is not None:
            scope[name] = value


def _unused(parsed: Dockerfile, arguments: Mapping[str, str]) -> list[str]:
    declared = {name for one in parsed.arguments for name, _ in one.pairs}
    for stage in parsed.stages:
        for found in stage.instructions:
            if isinstance(found, Arg):
                declared |= {name for name, _ in found.pairs}
    known = declared | _ALWAYS_KNOWN
    return sorted(n for n in arguments if n not in known and not n.startswith("BUILDKIT_"))
