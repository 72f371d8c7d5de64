"""What ADD takes from the web and from git: pinned while the graph is made."""

import re

from pipelines.engine.api.docker.state import Building
from pipelines.engine.api.session import Session
from pipelines.engine.dockerfile.instructions import Copy
from pipelines.engine.errors import QueryError, SourceError
from pipelines.engine.op import Edge, Extract, Pick

__all__ = ["remote_pieces"]

_WEB = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"(?:git|ssh)://|[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:|https?://[^#?]+\.git(?:[#?]|$)")


async def remote_pieces(session: Session, b: Building, one: Copy) -> dict[str, Edge]:
    """Pin the sources of an ADD that are addresses; give their pieces by address.

    Raises:
        DockerfileError: COPY can not take them, or a checksum is given for something else.
        SourceError: one can not be had: where, and why.
    """
    made: dict[str, Edge] = {}
    for text in one.sources:
        path = b.expand(text, one.where)
        if not (_GIT.match(path) or _WEB.match(path)):
            continue
        if not one.add:
            raise one.where.error(f"COPY {path}: only ADD takes what is on the web or in git")
        made[path] = await _pieces(session, b, one, path)
    if one.checksum and (len(made) != 1 or len(one.sources) != 1):
        raise one.where.error("ADD --checksum: it is for one file of the web, and nothing else")
    return made


async def _pieces(session: Session, b: Building, one: Copy, path: str) -> Edge:
    # Most builds add nothing remote.
    from pipelines.engine.api.git import checked_out
    from pipelines.engine.api.http import fetched

    where = f"{one.where}: ADD"
    exclude = tuple(b.expand(pattern, one.where) for pattern in one.exclude)
    try:
        if _GIT.match(path):
            if one.checksum:
                raise one.where.error(f"ADD --checksum {path}: name the commit: {path}#COMMIT")
            tree = await checked_out(session, path, keep_git_dir=bool(one.keep_git_dir))
            return Edge(Pick(tree.edge, "", exclude, where=where))
        checksum = b.expand(one.checksum, one.where)
        file = await fetched(session, path, permissions=0o600, checksum=checksum)
    except (QueryError, SourceError) as exc:
        raise SourceError(f"{where}: {exc}") from exc
    picked = Edge(Pick(file.edge, "*", exclude, where=where))
    return Edge(Extract(picked)) if one.unpack else picked
