"""RUN: a command of the shell or an argument list, with its mounts.

What keys a RUN: the root filesystem, the command, the variables and arguments that are set at
that line, and its mounts. Proxy settings given as build arguments reach the command and key
nothing.
"""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pipelines.engine.api.docker.settings import default_shell
from pipelines.engine.api.docker.state import Building, Options
from pipelines.engine.api.secret import Secret
from pipelines.engine.dockerfile.instructions import Run
from pipelines.engine.dockerfile.mounts import RunMount, run_mount
from pipelines.engine.dockerfile.source import Where, heredoc_of
from pipelines.engine.keys import Command, absolute, exec_op
from pipelines.engine.op import (
    CacheMount,
    CacheVolume,
    DirMount,
    Edge,
    Empty,
    Exec,
    Mount,
    SecretMount,
    SecretRef,
    Select,
    TempMount,
    Write,
)

__all__ = ["PROXIES", "run"]

NAMESPACE = "dockerfile"
"""Cache mounts of Dockerfiles are told apart from cache volumes of pipelines."""

PROXIES = tuple(
    name
    for stem in ("http", "https", "ftp", "no", "all")
    for name in (f"{stem}_proxy", f"{stem.upper()}_PROXY")
)
"""Arguments that need no ARG and are no part of any key. Source: Docker's reference, ARG."""

_SCRIPTS = "/dev/pipes"


def run(b: Building, one: Run, options: Options, sources: Mapping[str, Edge]) -> Building:
    """Run a command; `sources` are the stages and images that mounts are from ("": the context).

    Raises:
        DockerfileError: a mount or flag that is wrong, or that is not given to commands here.
    """
    if one.security not in {"", "sandbox"}:
        raise one.where.error(
            f"RUN --security={one.security}: commands never get more than the sandbox's powers"
        )
    args, script = _command(b, one)
    mounted = _Mounted(b, one.where, options, sources)
    for text in one.mounts:
        mounted.add(run_mount(text, lambda word: b.expand(word, one.where), one.where))
    proxies = {name: options.arguments[name] for name in PROXIES if name in options.arguments}
    made = exec_op(
        Command(args),
        root=b.it.rootfs,
        env=tuple(b.variables.items()),
        workdir=b.config.workdir,
        user=b.config.user,
        platform=b.it.platform,
        mounts=(*mounted.mounts, *script),
        secret_env=mounted.secret_env,
    )
    made = replace(made, network=_network(b, one, made), volatile=tuple(sorted(proxies.items())))
    return b.rooted(Edge(made)).said(f"RUN {_told(b, args)}", empty=False)


def _network(b: Building, one: Run, made: Exec) -> str:
    wanted = b.expand(one.network, one.where)
    if wanted not in {"", "default", "none", "host"}:
        raise one.where.error(f"RUN --network={wanted}: it is default, none or host")
    return wanted if wanted in {"none", "host"} else made.network


def _told(b: Building, args: tuple[str, ...]) -> str:
    """Tell the command as Docker's history does: with the arguments that it could see."""
    seen = [f"{name}={b.variables.get(name, '')}" for name in b.declared]
    return " ".join([*([f"|{len(seen)}", *seen] if seen else []), *args])


def _command(b: Building, one: Run) -> tuple[tuple[str, ...], tuple[DirMount, ...]]:
    """Give the argument list, and the mount of a heredoc that is a script of its own."""
    args = one.args
    if one.heredocs and one.shell:
        only = heredoc_of(args[0].strip())
        if only is not None and one.heredocs[0].content.startswith("#!"):
            name = one.heredocs[0].name
            written = Write(Edge(Empty()), name, one.heredocs[0].content.encode(), 0o755)
            mount = DirMount(_SCRIPTS, Edge(written), readonly=True)
            return (*default_shell(b), f"{_SCRIPTS}/{name}"), (mount,)
        if only is not None:
            args = (one.heredocs[0].content,)
        else:
            documents = [f"\n{heredoc.raw}{heredoc.name}" for heredoc in one.heredocs]
            args = (args[0] + "".join(documents),)
    return ((*default_shell(b), " ".join(args)) if one.shell else args), ()


@dataclass(slots=True)
class _Mounted:
    """Collects what the mounts of one RUN become."""

    building: Building
    where: Where
    options: Options
    sources: Mapping[str, Edge]
    mounts: list[Mount] = field(default_factory=list)
    secret_env: list[tuple[str, SecretRef]] = field(default_factory=list)

    def add(self, mount: RunMount) -> None:
        match mount.kind:
            case "bind":
                self.mounts.append(self._bind(mount))
            case "cache":
                self.mounts.append(self._cache(mount))
            case "tmpfs":
                self.mounts.append(TempMount(self._target(mount), mount.size))
            case "secret":
                self._secret(mount)
            case _:
                raise self.where.error(
                    "RUN --mount=type=ssh: no ssh agent is handed to commands; use a token as a "
                    "secret (RUN --mount=type=secret), or run on the Dagger engine"
                )

    def _target(self, mount: RunMount) -> str:
        target = absolute(mount.target, self.building.config.workdir)
        if target == "/":
            raise self.where.error("RUN --mount=target=/: the root can not be mounted over")
        return target

    def _source(self, mount: RunMount) -> tuple[Edge, bool]:
        """Give what is mounted, and whether it is the one name of a tree."""
        edge, path = self.sources[mount.from_], absolute(mount.source, "/")[1:]
        return (Edge(Select(edge, path, "any")), True) if path else (edge, False)

    def _bind(self, mount: RunMount) -> DirMount:
        edge, one_name = self._source(mount)
        return DirMount(self._target(mount), edge, mount.readonly, file=one_name)

    def _cache(self, mount: RunMount) -> CacheMount:
        target = self._target(mount)
        key, seed = mount.id or posixpath.normpath(mount.target), None
        if mount.from_:
            path = absolute(mount.source, "/")[1:]
            edge = self.sources[mount.from_]
            seed = Edge(Select(edge, path)) if path else edge
            key = f"{key} from {seed.op.digest}"
        owner = "" if mount.uid is mount.gid is None else f"{mount.uid or 0}:{mount.gid or 0}"
        volume = CacheVolume(key, NAMESPACE, mount.sharing.upper(), owner, seed, mount.mode)
        return CacheMount(target, volume, mount.readonly)

    def _secret(self, mount: RunMount) -> None:
        name = mount.id or mount.source or posixpath.basename(mount.target)
        secret = _named(name, self.options.secrets)
        if secret is None:
            if not mount.required:
                return
            known = ", ".join(one.name or one.uri for one in self.options.secrets) or "none"
            raise self.where.error(
                f"RUN --mount=type=secret: the secret {name!r} is required and was not given "
                f"(given: {known}); pass it in `secrets`"
            )
        if mount.env is not None:
            self.secret_env.append((mount.env or name, secret.ref))
        if mount.env is None or mount.target:
            target = absolute(mount.target or f"/run/secrets/{posixpath.basename(name)}",
                              self.building.config.workdir)  # fmt: skip
            mode = 0o400 if mount.mode is None else mount.mode
            owner = f"{mount.uid or 0}:{mount.gid or 0}"
            self.mounts.append(SecretMount(target, secret.ref, owner, mode))


def _named(name: str, secrets: Iterable[Secret]) -> Secret | None:
    """Find a secret by its name, its address, or the last part of the address."""
    for secret in secrets:
        if name in {secret.name, secret.uri} or secret.uri.rpartition("/")[2] == name:
            return secret
    return None
