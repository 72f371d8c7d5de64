"""Where modules come from: GOPROXY as this machine has it.

    https://one,https://two|direct

The URLs are asked in turn: after `,` the next only if one says that it has no such thing (404 or
410), after `|` whatever went wrong. What is no URL (`direct`, `off`) is the client's to do: it gets
our address in place of the URLs before it. No server is named here: GOPROXY is that of the
environment, else what the machine's `go` says.
"""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import httpx

from pipelines._errors import UsageError

__all__ = ["Chain", "Cut", "Failed", "NotThere", "Upstream", "configured", "first", "split"]

CHUNK = 256 * 1024
TRIES = 3
FIRST_PAUSE = 0.3
AGAIN = frozenset({408, 429, 499, 500, 502, 503, 504, 522})
NOT_THERE = frozenset({404, 410})
PLAIN = {"accept-encoding": "identity"}
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


class NotThere(Exception):
    """Upstream says that there is no such thing; the text is what it says."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Failed(Exception):
    """Upstream does not answer, or not with what was asked for."""


class Cut(Failed):
    """Upstream stopped in the middle."""


@dataclass(frozen=True, slots=True)
class Chain:
    """URLs to ask in turn; after each, whether the next is asked whatever went wrong.

    `rest` is what the client does after them, with its separator: `,direct`, or nothing.
    """

    urls: tuple[tuple[str, bool], ...]
    rest: str = ""


def configured(environ: Mapping[str, str]) -> str:
    """Give GOPROXY as this machine has it.

    Raises:
        UsageError: neither the environment nor a `go` says where modules come from.
    """
    if value := environ.get("GOPROXY"):
        return value
    if go := shutil.which("go", path=environ.get("PATH")):
        asked = subprocess.run(
            [go, "env", "GOPROXY"], env=environ, capture_output=True, text=True, check=False
        )
        if value := asked.stdout.strip():
            return value
    raise UsageError(
        "a proxy of modules must know where they come from: set GOPROXY as you would for go "
        "(there is no `go` on this machine that could say it)"
    )


def split(goproxy: str) -> Chain:
    """Read GOPROXY.

    Raises:
        UsageError: it begins with no URL, so that there is nothing to keep.
    """
    urls: list[tuple[str, bool]] = []
    rest = goproxy.strip()
    while rest:
        end = min((at for at in (rest.find(","), rest.find("|")) if at >= 0), default=len(rest))
        word, separator, after = rest[:end].strip(), rest[end : end + 1], rest[end + 1 :]
        if urlsplit(word).scheme not in ("http", "https", "file"):
            break
        urls.append((word.rstrip("/"), separator == "|"))
        rest = after
    if not urls:
        raise UsageError(
            f"GOPROXY is {goproxy!r}, which names no server to keep modules of; give the URL of a "
            "module proxy first"
        )
    return Chain(tuple(urls), f"{'|' if urls[-1][1] else ','}{rest}" if rest else "")


class Upstream:
    """Asks the servers of a chain."""

    def __init__(self, chain: Chain, client: httpx.AsyncClient, pause: float = FIRST_PAUSE) -> None:
        self._chain = chain
        self._client = client
        self._pause = pause

    @classmethod
    @asynccontextmanager
    async def opened(cls, chain: Chain) -> AsyncIterator["Upstream"]:
        """Open connections for the length of the block; credentials may be in a netrc file."""
        auth = _netrc(os.environ)
        async with httpx.AsyncClient(
            auth=auth, timeout=TIMEOUT, follow_redirects=True, headers=PLAIN
        ) as client:
            yield cls(chain, client)

    async def fetch(self, path: str) -> AsyncIterator[bytes]:
        """Give a file's bytes from the first server that has it.

        Raises:
            NotThere: none has it.
            Failed: one did not answer, and the chain ends there.
        """
        missing: NotThere | None = None
        for position, (url, anyway) in enumerate(self._chain.urls):
            last = position == len(self._chain.urls) - 1
            try:
                async for piece in self._from(url, path):
                    yield piece
            except NotThere as exc:
                missing = exc
            except Failed as exc:
                if last or not anyway or isinstance(exc, Cut):  # bytes were passed on already
                    raise
            else:
                return
        raise missing or Failed(f"no server of GOPROXY answered for {path}")

    async def _from(self, url: str, path: str) -> AsyncIterator[bytes]:
        """Ask one server, again while it has sent nothing yet."""
        if url.startswith("file:"):
            yield await _local(url, path)
            return
        for attempt in range(TRIES):
            sent = False
            try:
                async with self._client.stream("GET", f"{url}/{path}") as response:
                    await _refuse(response, path)
                    async for piece in response.aiter_bytes(CHUNK):
                        sent = True
                        yield piece
                    return
            except (_Again, httpx.RequestError) as exc:
                text = f"{_shown(url)}/{path}: {str(exc) or type(exc).__name__}"
                if sent:
                    raise Cut(text) from exc
                if attempt == TRIES - 1:
                    raise Failed(text) from exc
                await anyio.sleep(self._pause * 2**attempt)


def _netrc(environ: Mapping[str, str]) -> httpx.NetRCAuth | None:
    path = Path(environ.get("NETRC") or "~/.netrc").expanduser()
    return httpx.NetRCAuth(str(path)) if path.is_file() else None


class _Again(Exception):
    """A status that may be another one soon."""


async def _refuse(response: httpx.Response, path: str) -> None:
    if response.status_code == httpx.codes.OK:
        return
    if response.status_code in NOT_THERE:
        text = (await response.aread())[:CHUNK].decode(errors="replace")
        raise NotThere(response.status_code, text)
    said = f"status {response.status_code}"
    if response.status_code in AGAIN:
        raise _Again(said)
    raise Failed(f"upstream answered {path} with {said}")


async def _local(url: str, path: str) -> bytes:
    file = anyio.Path(unquote(urlsplit(url).path), path)
    try:
        return await file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
        raise NotThere(404, f"not found: {path}") from exc
    except OSError as exc:
        raise Failed(f"{file}: {exc.strerror}") from exc


def _shown(url: str) -> str:
    """Take credentials out of a URL."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def first(chain: Chain) -> Sequence[str]:
    """Give the servers, without credentials, for people."""
    return [_shown(url) for url, _ in chain.urls]
