"""Downloads: a file of the web, pinned to what it holds the moment it is named."""

import base64
from typing import Any

from pipelines.engine.api.file import File
from pipelines.engine.api.secret import Secret, known
from pipelines.engine.api.session import Session
from pipelines.engine.errors import QueryError
from pipelines.engine.names import web
from pipelines.engine.op import AnyService, Edge, HttpFile, HttpSource, SecretRef

__all__ = ["fetched", "http"]

PERMISSIONS = 0o600
"""What Dagger's downloads have."""


async def http(
    session: Session,
    _root: Any,
    *,
    url: str,
    name: str | None,
    permissions: int | None,
    checksum: str | None,
    auth_header: Secret | None,
    experimental_service_host: Any,
) -> File:
    """Take a file from the web.

    Raises:
        QueryError: the address, the name or the checksum can not be read.
        SourceError: the file can not be had, or is not what the checksum says.
    """
    header = auth_header.ref if auth_header is not None else None
    mode = PERMISSIONS if permissions is None else permissions
    service = experimental_service_host.service if experimental_service_host else None
    if service is not None and not url.startswith("http://"):
        raise QueryError(f"http({web.shown(url)!r}): a service is reached by http://")
    return await fetched(
        session,
        url,
        name=name or "",
        permissions=mode,
        checksum=checksum or "",
        header=header,
        service=service,
    )


async def fetched(
    session: Session,
    url: str,
    *,
    name: str = "",
    permissions: int = PERMISSIONS,
    checksum: str = "",
    header: SecretRef | None = None,
    service: AnyService | None = None,
) -> File:
    """Take a file from the web; credentials in its address are taken out of sight."""
    address, userinfo = web.split(url)
    if userinfo and header is None:
        value = "Basic " + base64.b64encode(userinfo.encode()).decode()
        header = known(session, "credentials of the address", value)
    if "/" in name or name in {".", ".."}:
        raise QueryError(f"http: name {name!r}: a name is wanted, not a path")
    if checksum:
        web.Checksum.parse(checksum)
    source = HttpSource(address, checksum, header, service)
    body, size = await session.engine.world.body(source)
    named = name or web.default_name(address)
    return File(Edge(HttpFile(body, size, named, permissions, source)))
