"""Talking to git servers: what they have, and getting it into a mirror.

Theory of operation
    A mirror is a directory with two bare repositories, because a shallow fetch of one commit
    may cut the history of another:

        shallow.git     commits with their trees, each fetched by `--depth=1`
        full.git        commits with their history

    What was fetched is kept by `refs/pipelines/<object>`; a commit that has such a ref is
    complete, and nothing is asked of the server for it. Objects are fetched by id. A server
    that gives only what a ref points to is asked for the ref; then the whole of its branches
    is fetched. Whoever works on a mirror holds its lock, so lock files found there are left
    from a process that was killed.

    Transport faults are tried again, three times at most; whatever else git says is an error
    at once. No text that git prints reaches a user with credentials in it.
"""

import base64
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from pipelines.engine.errors import SourceError, SourceUnreachable
from pipelines.engine.names.refs import Refs, object_format
from pipelines.engine.op import GitAccess
from pipelines.engine.sources import gitprogram
from pipelines.engine.sources.gitfaults import Fault, diagnose
from pipelines.engine.sources.gitprogram import Git, Ran
from pipelines.engine.sources.gitsettings import Settings, lent, settings, ssh_command

__all__ = ["Remotes", "kept"]

TRIES = 3
_FIRST_PAUSE = 0.5
_KEPT = "refs/pipelines/"
_FOR_GIT = {"HOME", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER", "XDG_CONFIG_HOME"}
_LISTING = ("config", "--list", "--show-scope", "--null", "--includes")


def kept(commit: str) -> str:
    """Name the ref that keeps an object in a mirror."""
    return _KEPT + commit


@dataclass(slots=True)
class Remotes:
    """The repositories of the world. `memory` is a tmpfs; `hidden` makes a scrubber."""

    memory: Path
    environ: Mapping[str, str]
    group: int | None = None
    pause: Callable[[float], Awaitable[None]] = anyio.sleep
    _git: Git | None = field(default=None, init=False)
    _lent: list[tuple[str, str]] = field(default_factory=list, init=False)
    _starting: anyio.Lock = field(default_factory=anyio.Lock, init=False)

    async def git(self) -> Git:
        """Give the host's git; it is looked for, and its configuration read, once."""
        async with self._starting:
            if self._git is None:
                program = await to_thread.run_sync(gitprogram.find, self.environ)
                git = Git(program, self.group)
                # In no repository: only what the host's files and environment say. It gets what git
                # reads for that, and none of the secrets that a session may have been given.
                env = {
                    k: v for k, v in self.environ.items() if k in _FOR_GIT or k.startswith("GIT_")
                }
                env |= {"GIT_CEILING_DIRECTORIES": "/", "LC_ALL": "C"}
                self._lent = lent((await git.run(_LISTING, env)).stdout)
                self._git = git
        return self._git

    async def refs(self, access: GitAccess) -> Refs:
        """Look at what a repository has."""
        url = access.remote.url
        ran = await self._talk(access, "list the refs of", ["ls-remote", "--symref", "--", url])
        return Refs.of_listing(url, ran.stdout.decode("utf-8", "replace"))

    async def fetch(
        self, mirror: Path, access: GitAccess, wanted: Sequence[str], ref: str, *, history: bool
    ) -> Path:
        """Have objects in a mirror and give the repository that has them.

        `wanted` are ids, the commit first; `ref` is where the commit was found, or "".

        Raises:
            SourceError: the server has it not, refuses us, or can not be reached.
        """
        home = mirror / ("full.git" if history else "shallow.git")
        await self._ready(home, object_format(wanted[0]))
        missing = await self.missing(home, wanted)
        if missing:
            await self._get(home, access, missing, ref, history=history)
        return home

    async def missing(self, home: Path, wanted: Sequence[str]) -> list[str]:
        """List which of the wanted objects a repository does not keep."""
        with self.local() as env:
            git = await self.git()
            names = [kept(one) for one in wanted]
            ran = await git.run([f"--git-dir={home}", "for-each-ref", *names], env.env)
        there = ran.stdout.decode()
        return [one for one in wanted if kept(one) not in there]

    @contextmanager
    def local(self) -> Iterator[Settings]:
        """Set up a git that talks to nobody, or to a repository of this machine."""
        with settings(self.memory, self.environ, (), local=True) as made:
            yield made

    @contextmanager
    def smudging(self, access: GitAccess, mirror: Path) -> Iterator[Mapping[str, str]]:
        """Set up a git whose checkouts turn LFS pointers into files; they stay in the mirror."""
        secrets = _Secrets.fetch(access)
        with self._reaching(access, secrets, _lfs(access, mirror)) as env:
            yield {**env, "GIT_LFS_SKIP_SMUDGE": "0"}

    async def _get(
        self, home: Path, access: GitAccess, wanted: Sequence[str], ref: str, *, history: bool
    ) -> None:
        """Fetch by id; if the server will not, by name; at last everything that has a name."""
        url, commit = access.remote.url, wanted[0]
        what = f"fetch {ref or commit} ({commit[:12]}) of" if ref else f"fetch {commit} of"
        depth = [] if history else ["--depth=1"]
        by_id = [f"+{one}:{kept(one)}" for one in wanted]
        options = [f"--git-dir={home}", "fetch", "--no-tags", "--no-write-fetch-head", "--force"]
        fault = await self._try(access, what, [*options, *depth, "--", url, *by_id])
        if fault is None:
            return
        attempts = [[*depth, "--", url, f"+{ref}:refs/fetched/named"]] if ref else []
        attempts.append(
            ["--", url, "+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/tags/*"]
        )
        for attempt in attempts:
            if await self._try(access, what, [*options, *attempt]) is None and await self._keep(
                home, wanted
            ):
                return
        raise SourceError(_gone(url, commit, ref, fault))

    async def _keep(self, home: Path, wanted: Sequence[str]) -> bool:
        """Keep objects if they are all there by now."""
        git = await self.git()
        with self.local() as env:
            for one in wanted:
                update = [f"--git-dir={home}", "update-ref", kept(one), one]
                if (await git.run(update, env.env)).code != 0:
                    return False
        return True

    async def _try(self, access: GitAccess, what: str, arguments: Sequence[str]) -> Fault | None:
        """Fetch; give the fault if the server has not got the object, None if all is well."""
        try:
            await self._talk(access, what, arguments)
        except _NoObject as exc:
            return exc.fault
        return None

    async def _ready(self, home: Path, kind: str) -> None:
        """Make the repository, or clear what a killed process left in it."""
        if await to_thread.run_sync(home.exists):
            await to_thread.run_sync(_unlock, home)
            return
        draft = home.with_name(f"{home.name}.new")
        await to_thread.run_sync(lambda: shutil.rmtree(draft, ignore_errors=True))
        git = await self.git()
        with self.local() as env:
            options = ["--quiet", "--bare", f"--object-format={kind}"]
            ran = await git.run(["init", *options, str(draft)], env.env)
        if ran.code != 0:
            raise SourceError(f"making the mirror {home}: {diagnose(ran.stderr).said}")
        draft.rename(home)

    async def _talk(self, access: GitAccess, what: str, arguments: Sequence[str]) -> Ran:
        """Run a git that talks to a server; transport faults are tried again."""
        git = await self.git()
        secrets = await to_thread.run_sync(_Secrets.fetch, access)
        with self._reaching(access, secrets) as env:
            pause = _FIRST_PAUSE
            for left in reversed(range(TRIES)):
                ran = await git.run(arguments, env)
                if ran.code == 0:
                    return ran
                fault = diagnose(secrets.hide(ran.stderr))
                if fault.kind != "transient" or left == 0:
                    raise _error(access, what, fault)
                await self.pause(pause)
                pause *= 3
        raise AssertionError

    @contextmanager
    def _reaching(
        self, access: GitAccess, secrets: "_Secrets", more: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Mapping[str, str]]:
        """Give the environment in which a server can be reached."""
        pairs = [*self._lent, *secrets.pairs(access), *more]
        if access.via:
            pairs.append((f"url.{access.via}.insteadOf", access.remote.authority))
        local = access.remote.local or any(
            name.startswith("url.") and name[4:5] in {"/", "f"} for name, _ in self._lent
        )
        with _written(self.memory, access.known_hosts) as hosts:
            with settings(self.memory, self.environ, pairs, local=local) as made:
                env = dict(made.env)
                if access.auth_socket:
                    env["SSH_AUTH_SOCK"] = access.auth_socket
                if hosts is not None or not _configures_ssh(self.environ, self._lent):
                    home = self.environ.get("HOME", "/root")
                    own = os.path.expanduser("~root") == home
                    env["GIT_SSH_COMMAND"] = ssh_command(home, hosts, root_home=own)
                yield env


def _lfs(access: GitAccess, mirror: Path) -> list[tuple[str, str]]:
    return [
        ("filter.lfs.process", "git-lfs filter-process"),
        ("filter.lfs.smudge", "git-lfs smudge -- %f"),
        ("filter.lfs.required", "true"),
        ("remote.origin.url", access.remote.url),
        ("lfs.storage", str(mirror / "lfs")),
        ("lfs.locksverify", "false"),
    ]


@dataclass(frozen=True, slots=True, repr=False)
class _Secrets:
    """The values of one use's secrets."""

    token: bytes = b""
    header: bytes = b""

    @classmethod
    def fetch(cls, access: GitAccess) -> "_Secrets":
        token = access.token.value().strip() if access.token is not None else b""
        header = access.header.value().strip() if access.header is not None else b""
        return cls(token, header)

    def hide(self, text: str) -> str:
        """Take the values out of what git says."""
        for value in (self.header, self.token):
            if value:
                text = text.replace(value.decode("utf-8", "replace"), "***")
        return text

    def _basic(self, user: bytes) -> bytes:
        return base64.b64encode(user + b":" + self.token) if self.token else b""

    def pairs(self, access: GitAccess) -> list[tuple[str, str]]:
        """Make the header that the server of this repository, and no other, is sent."""
        value = self.header
        if not value and self.token:
            value = b"Basic " + self._basic((access.username or "x-access-token").encode())
        if not value:
            return []
        name = f"http.{access.via or access.remote.authority}.extraHeader"
        return [(name, "Authorization: " + value.decode("utf-8", "surrogateescape"))]


class _NoObject(SourceError):
    """The server has not got an object, or does not give it by its id."""

    def __init__(self, text: str, fault: Fault) -> None:
        super().__init__(text)
        self.fault = fault


def _error(access: GitAccess, what: str, fault: Fault) -> SourceError:
    text = f"git: can not {what} {access.remote.url}: {fault.said}; {fault.advice}"
    if fault.kind == "no-object":
        return _NoObject(text, fault)
    return SourceUnreachable(text) if fault.kind in {"transient", "tls"} else SourceError(text)


def _gone(url: str, commit: str, ref: str, fault: Fault) -> str:
    if ref:
        return (
            f"git: {ref} of {url} was at {commit} and the server does not have that commit any "
            f"more: {fault.said}; the ref was force-pushed meanwhile: run again"
        )
    return (
        f"git: commit {commit} is not in {url}: {fault.said}; it may have been force-pushed away "
        "or be of another repository: check it, or name a branch or a tag"
    )


def _configures_ssh(environ: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> bool:
    return any(name in environ for name in ("GIT_SSH", "GIT_SSH_COMMAND")) or any(
        name == "core.sshcommand" for name, _ in pairs
    )


@contextmanager
def _written(memory: Path, text: str) -> Iterator[Path | None]:
    if not text:
        yield None
        return
    path = memory / f"hosts-{os.urandom(8).hex()}"
    path.write_text(text if text.endswith("\n") else text + "\n")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _unlock(home: Path) -> None:
    """Remove lock files and half-written packs; the mirror's own lock says that nobody is here."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/*/tmp_obj_*"):
        for path in home.glob(pattern):
            with suppress(FileNotFoundError):
                path.unlink()
