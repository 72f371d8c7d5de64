"""Git: repositories, refs, and the trees of their commits.

A moving ref becomes a commit the moment it is named, once a session, and what follows is keyed
by that commit. A commit that is named by its id asks nobody anything until its tree is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pipelines.engine.api.changeset import Changeset
from pipelines.engine.api.directory import Directory, inside
from pipelines.engine.api.secret import Secret, known
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError, UnsupportedField
from pipelines.engine.names.refs import HEADS, NEWEST, TAGS, Refs, is_commit
from pipelines.engine.names.remote import parse
from pipelines.engine.op import Edge, Empty, Filter, GitAccess, GitTree

__all__ = ["REF", "REPOSITORY", "GitRef", "GitRepository", "checked_out", "repository"]


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A repository: one that `access` reaches, or the one in the directory `local`.

    `ref` is what `head` gives if the address named one, `subdir` what `tree` gives.
    """

    TYPE: ClassVar[str] = "GitRepository"

    access: GitAccess | None
    local: Edge | None = None
    ref: str = ""
    subdir: str = ""
    keep_git_dir: bool = True


@dataclass(frozen=True, slots=True)
class GitRef:
    """A ref, pinned; `name` is "" for a commit that was named by its id."""

    TYPE: ClassVar[str] = "GitRef"

    repository: GitRepository
    name: str
    commit: str


def repository(session: Session, url: str) -> GitRepository:
    """Point to a repository by its address; credentials in it are taken out of sight."""
    address = parse(url, str(session.engine.workdir))
    if session.nested and address.remote.local:
        raise UnsupportedField(
            "Query.git", "a session inside a command does not reach the machine that it is on"
        )
    token = known(session, "password of the address", address.password or address.username)
    if not (address.password or address.username):
        return GitRepository(GitAccess(address.remote), None, address.ref, inside(address.subdir))
    # A lone user is how tokens are put into addresses.
    user = address.username if address.password else ""
    access = GitAccess(address.remote, user, token)
    return GitRepository(access, None, address.ref, inside(address.subdir))


def git(
    session: Session,
    _root: Any,
    *,
    url: str,
    keep_git_dir: bool,
    ssh_known_hosts: str,
    ssh_auth_socket: Any,
    http_auth_username: str,
    http_auth_token: Secret | None,
    http_auth_header: Secret | None,
    experimental_service_host: Any,
) -> GitRepository:
    """Point to a repository.

    Raises:
        QueryError: not an address, or credentials that do not go with it.
    """
    made = repository(session, url)
    access = made.access
    assert access is not None
    if (http_auth_token or http_auth_header) and access.remote.protocol not in {"http", "https"}:
        raise QueryError(
            f"git({access.remote.url!r}): httpAuthToken and httpAuthHeader are for https "
            f"addresses, this one is {access.remote.protocol}"
        )
    service = experimental_service_host.service if experimental_service_host else None
    if service is not None and access.remote.protocol not in {"http", "git"}:
        raise QueryError(
            f"git({access.remote.url!r}): a service is reached by http:// or git://, not by "
            f"{access.remote.protocol}"
        )
    access = replace(
        access,
        service=service,
        username=http_auth_username or access.username,
        token=http_auth_token.ref if http_auth_token else access.token,
        header=http_auth_header.ref if http_auth_header else None,
        known_hosts=ssh_known_hosts,
        auth_socket=ssh_auth_socket.path if ssh_auth_socket is not None else "",
    )
    return replace(made, access=access, keep_git_dir=keep_git_dir)


def as_git(_session: Session, it: Directory) -> GitRepository:
    """Take a directory for a repository."""
    return GitRepository(None, it.edge)


async def checked_out(session: Session, url: str, *, keep_git_dir: bool = False) -> Directory:
    """Give the tree of an address such as `https://host/repo.git#ref:subdir`."""
    found = await head(session, repository(session, url))
    return await tree(session, found, discard_git_dir=not keep_git_dir, depth=1, include_tags=False)


async def _refs(session: Session, it: GitRepository) -> Refs:
    world = session.engine.world
    if it.access is not None:
        return await world.refs(it.access)
    assert it.local is not None
    return await world.refs_in(await session.engine.tree(it.local))


async def _find(session: Session, it: GitRepository, name: str) -> GitRef:
    if is_commit(name):
        return GitRef(it, "", name)
    if it.access is not None:
        found = await session.engine.world.pin(it.access, name)
    else:
        found = (await _refs(session, it)).find(name)
    return GitRef(it, found.name, found.commit)


async def head(session: Session, it: GitRepository) -> GitRef:
    """Pin the default branch, or the ref that the address named."""
    return await _find(session, it, it.ref or "HEAD")


async def branch(session: Session, it: GitRepository, *, name: str) -> GitRef:
    """Pin a branch."""
    return await _find(session, it, HEADS + name.removeprefix(HEADS))


async def tag(session: Session, it: GitRepository, *, name: str) -> GitRef:
    """Pin a tag."""
    return await _find(session, it, TAGS + name.removeprefix(TAGS))


async def ref(session: Session, it: GitRepository, *, name: str) -> GitRef:
    """Pin a branch, a tag, a full ref or a commit."""
    return await _find(session, it, name)


def commit(_session: Session, it: GitRepository, *, id_: str) -> GitRef:
    """Name a commit by its full id.

    Raises:
        QueryError: it is not a full id.
    """
    if not is_commit(id_):
        raise QueryError(
            f"invalid commit SHA: {id_!r}: all 40 digits are wanted, in lower case; "
            "for a branch or a tag use ref"
        )
    return GitRef(it, "", id_)


async def latest_version(session: Session, it: GitRepository) -> GitRef:
    """Pin the tag of the highest semantic version.

    Raises:
        SourceError: no tag is one.
    """
    return await _find(session, it, NEWEST)


async def tags(
    session: Session, it: GitRepository, *, patterns: tuple[str, ...] | None
) -> tuple[str, ...]:
    """List tags."""
    return (await _refs(session, it)).named(TAGS, patterns or ())


async def branches(
    session: Session, it: GitRepository, *, patterns: tuple[str, ...] | None
) -> tuple[str, ...]:
    """List branches."""
    return (await _refs(session, it)).named(HEADS, patterns or ())


def url_of(_session: Session, it: GitRepository) -> str | None:
    """Give the address, without credentials."""
    return it.access.remote.url if it.access is not None else None


async def tree(
    session: Session, it: GitRef, *, discard_git_dir: bool, depth: int, include_tags: bool
) -> Directory:
    """Give the files of the commit."""
    source = it.repository
    keep = source.keep_git_dir and not discard_git_dir
    listed = (await _refs(session, source)).tags() if keep and include_tags else ()
    op = GitTree(
        it.commit,
        keep_git_dir=keep,
        origin=(url_of(session, source) or "") if keep else "",
        ref=it.name if keep else "",
        depth=max(depth, 0) if keep else 1,
        tags=listed,
        smudged=source.access is not None and session.engine.world.smudges,
        local=source.local,
        access=source.access,
        wanted=it.name,
    )
    return Directory(Edge(op), source.subdir)


async def uncommitted(session: Session, it: GitRepository) -> Changeset:
    """Compare the directory that a repository stands in with its commit; a server has nothing.

    What .gitignore names does not count.
    """
    if it.local is None:
        nothing = Directory(Edge(Empty()))
        return Changeset(nothing, nothing)
    clean = await tree(
        session, await head(session, it), discard_git_dir=True, depth=1, include_tags=False
    )
    before, after = (
        Directory(Edge(Filter(edge, exclude=(".git",), gitignore=True)))
        for edge in (clean.edge, it.local)
    )
    return Changeset(before, after)


def commit_of(_session: Session, it: GitRef) -> str:
    """Give the commit's id."""
    return it.commit


def name_of(_session: Session, it: GitRef) -> str:
    """Give the full name, or the commit's id if it was named by that."""
    return it.name or it.commit


async def common_ancestor(session: Session, it: GitRef, *, other: GitRef) -> GitRef:
    """Find the best common ancestor of two refs of one repository."""
    if it.commit == other.commit:
        return GitRef(it.repository, "", it.commit)
    local = it.repository.local
    tree_ = await session.engine.tree(local) if local is not None else None
    found = await session.engine.world.ancestor(
        it.repository.access, tree_, (it.commit, other.commit)
    )
    return GitRef(it.repository, "", found)


REPOSITORY: dict[str, Callable[..., Any]] = {
    "branch": branch,
    "branches": branches,
    "commit": commit,
    "head": head,
    "latestVersion": latest_version,
    "ref": ref,
    "tag": tag,
    "tags": tags,
    "uncommitted": uncommitted,
    "url": url_of,
}
REF: dict[str, Callable[..., Any]] = {
    "commit": commit_of,
    "commonAncestor": common_ancestor,
    "ref": name_of,
    "tree": tree,
}
