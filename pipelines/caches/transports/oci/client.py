"""Requests to one repository: authorization as it asks for it, redirects without it.

Reads ask for the right to pull, writes for that to push as well; a token is kept for each until
shortly before it expires. A password goes to the realm that the registry names only over TLS, or
where the registry itself is spoken to without it; nothing goes to where a blob is redirected.
Sources: OCI distribution-spec; distribution's docs/spec/auth/token.md and oauth.md.
"""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import anyio

from pipelines.caches.errors import Unavailable
from pipelines.caches.transports.oci.access import Access, challenges
from pipelines.caches.transports.patience import Patience
from pipelines.caches.transports.web import Answer, Ask, Web, shown

__all__ = ["Client"]

_MOVED = frozenset({301, 302, 303, 307, 308})
_UNAUTHORIZED = 401
_REDIRECTS = 5
_MARGIN, _LIFE = 10.0, 60.0


class Client:
    """Asks a repository; safe for concurrent tasks."""

    def __init__(
        self,
        place: Access,
        *,
        patience: Patience | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Connect to nothing yet."""
        self.place = place
        self._web = Web(authority=place.authority, patience=patience)
        self._now = now
        self._tokens: dict[str, tuple[str, float]] = {}
        self._asking = anyio.Lock()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        accept: frozenset[int] = frozenset(),
        limit: int = 1 << 20,
        write: bool = False,
    ) -> Answer:
        """Ask for a path below the repository, or for a place that it named.

        Raises:
            Unavailable: no answer, or one that is an error and not accepted.
        """
        url = urljoin(self.place.url(""), path) if "://" in path or path[:1] == "/" else ""
        url = url or self.place.url(path)
        actions = "pull,push" if write else "pull"
        asked = Ask(method, url, headers or {}, content, accept | {_UNAUTHORIZED}, limit)
        answer = await self._follow(asked, self._known(actions))
        if answer.status == _UNAUTHORIZED:
            wanted = answer.headers.get("www-authenticate", "")
            answer = await self._follow(asked, await self._authorize(actions, wanted))
        if answer.status == _UNAUTHORIZED:
            raise Unavailable(
                f"{method} {shown(url)}: a login is needed, or is not good for this (401); "
                f"`docker login {self.place.host}`"
            )
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._web.aclose()

    async def _follow(self, ask: Ask, authorization: str) -> Answer:
        url = ask.url
        for _ in range(_REDIRECTS):
            headers = dict(ask.headers)
            if authorization and _origin(url) == _origin(self.place.origin):
                headers["authorization"] = authorization
            answer = await self._web.ask(
                Ask(ask.method, url, headers, ask.content, ask.accept, ask.limit)
            )
            place = answer.headers.get("location", "")
            if answer.status not in _MOVED or not place:
                return answer
            url = urljoin(url, place)
            if self.place.origin.startswith("https:") and not url.startswith("https:"):
                raise Unavailable(f"{shown(ask.url)} redirects to where there is no TLS")
        raise Unavailable(f"{shown(ask.url)} redirects more than {_REDIRECTS} times")

    def _known(self, actions: str) -> str:
        for key in (actions, "basic"):
            value, until = self._tokens.get(key, ("", 0.0))
            if value and until > self._now():
                return value
        return ""

    async def _authorize(self, actions: str, wanted: str) -> str:
        """Answer a challenge; "" if nothing can be done."""
        offered = challenges(wanted)
        login = self.place.login
        async with self._asking:
            if known := self._known(actions):
                return known
            if bearer := offered.get("bearer"):
                self._tokens[actions] = await self._token(bearer, actions)
                return self._tokens[actions][0]
            if "basic" in offered and login is not None:
                self._tokens["basic"] = (_basic(login.user, login.password), float("inf"))
                return self._tokens["basic"][0]
        return ""

    async def _token(self, bearer: Mapping[str, str], actions: str) -> tuple[str, float]:
        realm, login = bearer.get("realm", ""), self.place.login
        scheme = urlsplit(realm).scheme
        if scheme != "https" and (scheme != "http" or self.place.origin.startswith("https:")):
            raise Unavailable(f"{self.place.host}: its realm {realm[:200]!r} has no TLS")
        scope = f"repository:{self.place.repository}:{actions}"
        fields = {"service": bearer.get("service", ""), "scope": scope}
        if login is not None and login.token:
            fields |= {"grant_type": "refresh_token", "client_id": "pipelines"}
            body = urlencode(fields | {"refresh_token": login.token}).encode()
            form = {"content-type": "application/x-www-form-urlencoded"}
            answer = await self._web.ask(Ask("POST", realm, form, body))
        else:
            headers = {"authorization": _basic(login.user, login.password)} if login else {}
            mark = "&" if "?" in realm else "?"
            answer = await self._web.ask(Ask("GET", realm + mark + urlencode(fields), headers))
        try:
            row: dict[str, Any] = json.loads(answer.content)
            life = max(float(row.get("expires_in") or _LIFE), _LIFE)
            return f"Bearer {row.get('token') or row['access_token']}", self._now() + life - _MARGIN
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Unavailable(f"{shown(realm)} answered something else than a token") from exc


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
