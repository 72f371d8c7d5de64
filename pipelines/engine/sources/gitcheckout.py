"""Writing a commit out of a repository into a directory.

Without `.git` the files are written by `checkout-index` from an index of their own, so the
repository is only read. With it, a repository is made beside them: the commit, as much of its
history as was asked for, its branch or tag, `origin`, and an index without times; nothing in
it says when it was made. Attributes of the repository count (line endings, encodings);
filters run only for LFS, and only if asked for.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.engine.errors import SourceError
from pipelines.engine.names.refs import object_format
from pipelines.engine.sources.gitfaults import diagnose
from pipelines.engine.sources.gitprogram import Git

__all__ = ["Checkout", "Damaged", "Submodule", "write"]


class Damaged(SourceError):
    """A repository lacks what it should have: make it anew."""


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository at a path; `url` is as .gitmodules has it."""

    path: str
    url: str
    commit: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """What to write: from the repository at `home`; see `op.GitTree` for the rest."""

    home: Path
    commit: str
    keep_git_dir: bool = False
    origin: str = ""
    ref: str = ""
    depth: int = 1
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _In:
    """Git in one repository."""

    git: Git
    env: Mapping[str, str]
    options: tuple[str, ...]
    what: str

    def within(self, env: Mapping[str, str]) -> "_In":
        """Change the environment."""
        return replace(self, env={**self.env, **env})

    async def run(self, *arguments: str) -> bytes:
        ran = await self.git.run([*self.options, *arguments], self.env)
        if ran.code == 0:
            return ran.stdout
        fault = diagnose(ran.stderr)
        text = f"git: can not write {self.what}: {arguments[0]}: {fault.said}; {fault.advice}"
        raise Damaged(text) if fault.kind in {"broken", "no-object"} else SourceError(text)


async def write(
    git: Git, env: Mapping[str, str], wanted: Checkout, into: Path, smudging: Mapping[str, str]
) -> tuple[Submodule, ...]:
    """Write a commit into an empty directory; give the submodules, whose places are empty.

    `smudging` is the environment in which files are written, where it differs.
    """
    if wanted.keep_git_dir:
        at = _In(git, env, (f"--git-dir={into}/.git", f"--work-tree={into}"), wanted.commit)
        await _clone(at, wanted, into)
        await at.within(smudging).run("checkout-index", "--all", "--force")
    else:
        index = into.with_name(f"{into.name}.index")
        options = (f"--git-dir={wanted.home}", f"--work-tree={into}")
        at = _In(git, {**env, "GIT_INDEX_FILE": str(index)}, options, wanted.commit)
        try:
            await at.run("read-tree", wanted.commit)
            await at.within(smudging).run("checkout-index", "--all", "--force")
        finally:
            index.unlink(missing_ok=True)
    return await _submodules(at, wanted.commit)


async def _clone(at: _In, wanted: Checkout, into: Path) -> None:
    await at.run("init", "--quiet", f"--object-format={object_format(wanted.commit)}")
    specs = [f"{wanted.commit}:refs/pipelines/wanted"]
    specs += [f"{sha}:{name}" for name, sha in wanted.tags]
    depth = [f"--depth={wanted.depth}"] if wanted.depth > 0 else []
    quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--update-head-ok"]
    await at.run("fetch", *quiet, *depth, "--", f"file://{wanted.home}", *specs)
    if wanted.ref:
        await at.run("update-ref", wanted.ref, wanted.commit)
    if wanted.ref.startswith("refs/heads/"):
        await at.run("symbolic-ref", "HEAD", wanted.ref)
    else:
        await at.run("update-ref", "--no-deref", "HEAD", wanted.commit)
    await at.run("update-ref", "-d", "refs/pipelines/wanted")
    if wanted.origin:
        await at.run("config", "remote.origin.url", wanted.origin)
        await at.run("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    await at.run("read-tree", "HEAD")
    for name in ("logs", "branches", "hooks"):
        shutil.rmtree(into / ".git" / name, ignore_errors=True)
    (into / ".git" / "description").unlink(missing_ok=True)


async def _submodules(at: _In, commit: str) -> tuple[Submodule, ...]:
    listing = await at.run("ls-tree", "-r", "-z", "--full-tree", commit)
    links: dict[str, str] = {}
    for row in listing.split(b"\0"):
        head, _, name = row.partition(b"\t")
        if head.startswith(b"160000 "):
            links[os.fsdecode(name)] = head.split()[2].decode()
    if not links:
        return ()
    declared = await _declared(at, commit)
    found = []
    for path, sha in links.items():
        if path not in declared:
            raise SourceError(
                f"git: {commit} has a submodule at {path!r} that .gitmodules does not name; "
                "add it there, or remove it from the repository"
            )
        found.append(Submodule(path, declared[path], sha))
    return tuple(found)


async def _declared(at: _In, commit: str) -> dict[str, str]:
    """Read .gitmodules: path to url."""
    arguments = ["config", "--null", "--list", f"--blob={commit}:.gitmodules"]
    ran = await at.git.run([*at.options, *arguments], at.env)
    return declared(ran.stdout.decode("utf-8", "replace")) if ran.code == 0 else {}


def declared(listing: str) -> dict[str, str]:
    """Read `git config --null --list` of a .gitmodules file: path to url."""
    by_name: dict[str, dict[str, str]] = {}
    for entry in listing.split("\0"):
        key, _, value = entry.partition("\n")
        name, _, field = key.removeprefix("submodule.").rpartition(".")
        if key.startswith("submodule.") and name:
            by_name.setdefault(name, {})[field] = value
    return {f["path"]: f["url"] for f in by_name.values() if f.get("path") and f.get("url")}
