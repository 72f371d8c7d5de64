"""A repository of an OCI registry as a backend.

Theory of operation
    An immutable object is a blob, and a manifest with that one layer under a tag of the
    object's name: the tag finds the blob, whose own name is a sha256, and keeps the registry's
    collection from it. What tag names which blob is kept in the process, so an object that is
    read in ranges is looked up once.

    A head is a manifest with the head's bytes in an annotation: no blob, one request. Registries
    do not compare before they replace, so each writer makes tags of its own and `naming` says
    which stand. Tags that were merged long ago are deleted as far as the registry lets us.
"""

import hashlib
import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import urljoin

import anyio
import anyio.to_thread

from pipelines.caches.errors import CacheError, Conflict, Damaged, Missing, Unavailable
from pipelines.caches.names import check
from pipelines.caches.transport import HEAD_LIMIT, OBJECT_LIMIT, Head, Item
from pipelines.caches.transports.oci import naming
from pipelines.caches.transports.oci.access import Access
from pipelines.caches.transports.oci.client import Client
from pipelines.caches.transports.oci.naming import HeadTag
from pipelines.caches.transports.patience import Patience
from pipelines.caches.transports.web import together

__all__ = ["OciTransport"]

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY_TYPE, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_KIND = "application/vnd.pipelines.cache.v1"
_LABEL = "pipelines.cache."
_UNKNOWN, _SETTLING = frozenset({400, 404}), (0.1, 0.3, 0.9)  # seconds
_MISSING, _NO_DELETE = frozenset({404}), frozenset({404, 405})
_NOT_FOUND, _PARTIAL, _RANGE, _REFUSED = 404, 206, 416, 405
_MANIFEST_LIMIT = 4 << 20  # as registries have it
_TAGS_LIMIT, _PAGES = 8 << 20, 200
_AT_ONCE = 8
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class _Blob:
    digest: str
    size: int
    made: float


class OciTransport:
    """Objects of a repository."""

    def __init__(
        self,
        place: Access,
        *,
        patience: Patience | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Connect to nothing yet."""
        self._place = place
        self._client = Client(place, patience=patience, now=now)
        self._now = now
        self._blobs: dict[str, _Blob] = {}
        self._has_config = False
        self._configuring = anyio.Lock()

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        return f"oci://{self._place.host}/{self._place.repository}"

    async def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read an object or a range of it."""
        blob = self._blobs.get(name) or await self._find(name)
        if blob is None:
            raise Missing(f"{self.url}/{name} is not there")
        if length is None and blob.size > OBJECT_LIMIT:
            raise Damaged(f"{self.url}/{name} has more than {OBJECT_LIMIT} bytes")
        end = blob.size if length is None else min(start + length, blob.size)
        if end <= start:
            return b""
        whole = end - start == blob.size
        answer = await self._client.ask(
            "GET",
            f"blobs/{blob.digest}",
            headers={} if whole else {"range": f"bytes={start}-{end - 1}"},
            accept=frozenset({_NOT_FOUND, _RANGE}),
            limit=end - start if whole else end,
        )
        if answer.status == _NOT_FOUND:
            self._blobs.pop(name, None)
            raise Missing(f"{self.url}/{name}: its blob is gone")
        content = answer.content
        if answer.status != _PARTIAL and not whole:
            content = content[start:end]  # a registry that does not know ranges
        if answer.status == _RANGE or len(content) != end - start:
            raise Damaged(f"{self.url}/{name}: {len(content)} bytes instead of {end - start}")
        return content

    async def write(self, name: str, content: bytes) -> bool:
        """Write an object unless it is there whole."""
        found = await self._find(name)
        if found is not None and found.size == len(content):
            return False
        digest = await self._upload(content)
        await self._config()
        layer = {"mediaType": _KIND, "digest": digest, "size": len(content)}
        notes = {"name": name, "made": repr(self._now())}
        await self._put(naming.object_tag(name), [layer], notes)
        self._blobs[name] = _Blob(digest, len(content), self._now())
        return True

    async def heads(self, name: str) -> Sequence[Head]:
        """Read the heads of several writers that stand beside each other."""
        check(name)
        first = await self._tags()
        if not naming.newest(first, name):
            return []
        newest = naming.settled(first, await self._tags(), name)
        highest = [head for head in newest if head.number == newest[0].number]
        notes = await self._notes([head.tag for head in highest])
        merged = {tag: note.get("merged", "").split() for tag, note in notes.items()}
        standing = naming.beside(newest, merged)
        notes |= await self._notes([h.tag for h in standing if h.tag not in notes])
        return [Head(_content(notes[h.tag]), h.tag) for h in standing if h.tag in notes]

    async def swap(self, name: str, content: bytes, seen: Sequence[Head]) -> None:
        """Write a head of our own after those seen."""
        check(name)
        found = [head for each in seen if (head := HeadTag.parse(each.version))]
        number = max((head.number for head in found), default=0) + 1
        if number > naming.LAST:
            raise Unavailable(
                f"{self.url}/{name}: somebody wrote the last number; delete the tags that begin "
                f"with {naming.prefix_of_head(name)}"
            )
        ours = HeadTag.make(name, number, token_hex(4))
        notes = {
            "name": name,
            "made": repr(self._now()),
            "head": b64encode(content).decode(),
            "merged": " ".join(head.tag for head in found),
        }
        await self._config()
        await self._put(ours.tag, [], notes)
        tags = await self._tags()
        if any(head.number > number for head in naming.newest(tags, name)):
            raise Conflict(f"{self.url}/{name} was replaced meanwhile")
        prefix = naming.prefix_of_head(name)
        heads = [head for tag in tags if tag.startswith(prefix) and (head := HeadTag.parse(tag))]
        for old in sorted(head for head in heads if head.number < number - 2)[:4]:
            with suppress(CacheError):
                await self._delete(old.tag)

    async def list(self, prefix: str) -> AsyncIterator[Item]:
        """List objects; times are those that their writers noted."""
        tags = await self._tags()
        objects = [tag for tag in tags if naming.name_of_tag(tag).startswith(prefix or "\0")]
        if not prefix:
            objects = [tag for tag in tags if naming.name_of_tag(tag)]
        heads: dict[str, HeadTag] = {}
        if prefix.startswith("heads"[: len(prefix)]):
            for head in sorted(head for tag in tags if (head := HeadTag.parse(tag))):
                heads[head.tag.split(".")[1]] = head
        wanted = [*objects, *(head.tag for head in heads.values())]
        for at in range(0, len(wanted), _AT_ONCE):
            found: dict[str, Item] = {}
            batch = wanted[at : at + _AT_ONCE]
            await together(*(partial(self._item, tag, found) for tag in batch))
            for item in found.values():
                if item.name.startswith(prefix):
                    yield item

    async def delete(self, name: str) -> None:
        """Delete an object, or the heads of all writers."""
        check(name)
        if not name.startswith("heads/"):
            self._blobs.pop(name, None)
            await self._delete(_tag_of(name))
            return
        prefix = naming.prefix_of_head(name)
        for tag in await self._tags():
            if tag.startswith(prefix):
                await self._delete(tag)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _find(self, name: str) -> _Blob | None:
        """Look up the blob of an object."""
        document = await self._manifest(_tag_of(name))
        try:
            (layer,) = document["layers"]
            digest, size = str(layer["digest"]), int(layer["size"])
            made = float(_notes(document).get("made", "0"))
        except (KeyError, TypeError, ValueError):
            return None
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or size < 0:
            return None
        self._blobs[name] = _Blob(digest, size, made)
        return self._blobs[name]

    async def _item(self, tag: str, found: dict[str, Item]) -> None:
        document = await self._manifest(tag)
        notes = _notes(document)
        with suppress(KeyError, TypeError, ValueError, Damaged):
            layers = document["layers"]
            size = int(layers[0]["size"]) if layers else len(_content(notes))
            name = check(naming.name_of_tag(tag) or notes["name"])
            if HeadTag.parse(tag) is None or tag.startswith(naming.prefix_of_head(name)):
                found[tag] = Item(name, size, float(notes["made"]))

    async def _notes(self, tags: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Read the annotations of manifests; those that are gone are left out."""
        found: dict[str, Mapping[str, str]] = {}

        async def get(tag: str) -> None:
            if document := await self._manifest(tag):
                found[tag] = _notes(document)

        await together(*(partial(get, tag) for tag in tags))
        return found

    async def _manifest(self, tag: str) -> dict[str, Any]:
        """Read a manifest; empty if there is none, or what is there is none."""
        answer = await self._client.ask(
            "GET",
            f"manifests/{tag}",
            headers={"accept": _MANIFEST},
            accept=_MISSING,
            limit=_MANIFEST_LIMIT,
        )
        if answer.status == _NOT_FOUND:
            return {}
        try:
            document = json.loads(answer.content)
        except (ValueError, RecursionError):
            document = None
        return document if isinstance(document, dict) else {"layers": None}

    async def _tags(self) -> Sequence[str]:
        """List the repository's tags."""
        found: list[str] = []
        path = "tags/list?n=1000"
        for _ in range(_PAGES):
            answer = await self._client.ask("GET", path, accept=_MISSING, limit=_TAGS_LIMIT)
            if answer.status == _NOT_FOUND:
                return []
            try:
                found += map(str, json.loads(answer.content)["tags"] or ())
            except (ValueError, KeyError, TypeError, RecursionError) as exc:
                raise Damaged(f"{self.url}: its list of tags can not be read") from exc
            following = _NEXT.search(answer.headers.get("link", ""))
            if following is None:
                return found
            path = urljoin(self._place.url("tags/list"), following[1])
        raise Unavailable(f"{self.url}: more than {len(found)} tags; `pipelines cache gc`")

    async def _config(self) -> None:
        """Make sure of the blob that every manifest needs."""
        async with self._configuring:
            if self._has_config:
                return
            digest = f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}"
            path = f"blobs/{digest}"
            answer = await self._client.ask("HEAD", path, accept=_MISSING, write=True)
            if answer.status == _NOT_FOUND:
                await self._upload(_EMPTY)
            self._has_config = True

    async def _upload(self, content: bytes) -> str:
        hashed = await anyio.to_thread.run_sync(lambda: hashlib.sha256(content).hexdigest())
        digest = f"sha256:{hashed}"
        begun = await self._client.ask("POST", "blobs/uploads/", write=True)
        place = urljoin(self._place.url("blobs/uploads/"), begun.headers.get("location", ""))
        mark = "&" if "?" in place else "?"
        headers = {"content-type": "application/octet-stream"}
        where = f"{place}{mark}digest={digest}"
        await self._client.ask("PUT", where, headers=headers, content=content, write=True)
        return digest

    async def _put(
        self, tag: str, layers: Sequence[Mapping[str, object]], notes: Mapping[str, str]
    ) -> None:
        config = {
            "mediaType": _EMPTY_TYPE,
            "digest": f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}",
            "size": len(_EMPTY),
        }
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": _KIND,
            "config": config,
            "layers": list(layers),
            "annotations": {f"{_LABEL}{name}": text for name, text in notes.items()},
        }
        content = json.dumps(document, separators=(",", ":")).encode()
        ask = partial(
            self._client.ask,
            "PUT",
            f"manifests/{tag}",
            headers={"content-type": _MANIFEST},
            content=content,
            write=True,
        )
        for pause in _SETTLING:
            answer = await ask(accept=_UNKNOWN)
            if answer.status not in _UNKNOWN:
                return
            # Others are sending the same blob: a registry may not know it for a moment.
            await anyio.sleep(pause)
            self._has_config = False
            await self._config()
        await ask()

    async def _delete(self, tag: str) -> None:
        head = await self._client.ask(
            "HEAD", f"manifests/{tag}", headers={"accept": _MANIFEST}, accept=_MISSING
        )
        digest = head.headers.get("docker-content-digest", "")
        if head.status == _NOT_FOUND or not digest:
            return
        path = f"manifests/{digest}"
        gone = await self._client.ask("DELETE", path, accept=_NO_DELETE, write=True)
        if gone.status == _REFUSED:
            raise Unavailable(f"{self.url}: this registry deletes nothing; let it expire old tags")


def _tag_of(name: str) -> str:
    try:
        return naming.object_tag(check(name))
    except ValueError as exc:
        raise Damaged(str(exc)) from exc


def _notes(document: Mapping[str, Any]) -> Mapping[str, str]:
    notes = document.get("annotations")
    rows = notes.items() if isinstance(notes, dict) else ()
    return {str(n).removeprefix(_LABEL): str(v) for n, v in rows if str(n).startswith(_LABEL)}


def _content(notes: Mapping[str, str]) -> bytes:
    """Give a head's bytes; none, if there are none."""
    try:
        return b64decode(notes.get("head", ""))[: HEAD_LIMIT + 1]
    except ValueError:
        return b""
