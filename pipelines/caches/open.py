"""From an address to a transport.

    /srv/cache  or  file:///srv/cache               a directory
    s3://bucket/prefix?endpoint=…&region=…          a bucket of S3, or of what speaks like it
    oci://host:port/repository                      a repository of an OCI registry

Nothing is connected to, and each transport is imported when its address is met.
"""

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from pipelines.caches.transport import Transport

__all__ = ["open_transport"]


def open_transport(url: str, environ: Mapping[str, str]) -> Transport:
    """Make the transport of an address; `environ` holds credentials and proxies.

    Raises:
        ValueError: the address can not be understood.
    """
    scheme, mark, _ = url.partition("://")
    if not mark or scheme == "file":
        return _directory(url, environ)
    if scheme == "s3":
        from pipelines.caches.transports.s3.bucket import S3Transport
        from pipelines.caches.transports.s3.place import place

        return S3Transport(place(url, environ))
    if scheme == "oci":
        from pipelines.caches.transports.oci.access import access
        from pipelines.caches.transports.oci.repository import OciTransport

        return OciTransport(access(url, environ))
    raise ValueError(
        f"cache url {url!r}: the scheme {scheme}: is not known; write a directory, s3:// or oci://"
    )


def _directory(url: str, environ: Mapping[str, str]) -> Transport:
    from pipelines.caches.transports.directory import DirectoryTransport

    path = url
    if url.startswith("file://"):
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
            raise ValueError(f"cache url {url!r}: write file:///absolute/path")
        path = unquote(parts.path)
    if path.startswith("~/") and environ.get("HOME"):
        path = environ["HOME"] + path[1:]
    if not path or "\0" in path:
        raise ValueError(f"cache url {url!r}: it names no directory")
    return DirectoryTransport(os.path.abspath(path))
