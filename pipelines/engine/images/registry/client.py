"""One request to a registry: endpoint, authorization, redirects, retries, errors.

    client.request(repository, "GET", "manifests/latest", headers={"accept": …})
    client.request(repository, "POST", "blobs/uploads/", write=True)
    client.request(repository, "PATCH", url=location, body=…, write=True)

Rules
    1. Mirrors are asked before the registry, to read only; what a mirror has not, or does not
       do, the registry is asked for. The registry's own answer is the one that counts.
    2. Authorization is sent to the endpoint itself and never to where it redirects, unless
       that is the same scheme, host and port.
    3. Every request is tried again as `retry` says. A body is sent anew from its beginning.
       `retries=False` is for requests that must not happen twice; they are still sent again
       after a 401 and after a kept connection that was gone.
    4. Answers below 400 and those in `accept` are given; every other is an error in words.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from pipelines.engine.errors import RegistryError, RegistryUnreachable
from pipelines.engine.images.registry.auth import Authorizer, Scopes, scope
from pipelines.engine.images.registry.credentials import Credentials
from pipelines.engine.images.registry.hosts import Endpoint, Hosts
from pipelines.engine.images.registry.refusals import Answer, refusal
from pipelines.engine.images.registry.retry import Attempts, Patience, is_temporary
from pipelines.engine.images.registry.transport import (
    Body,
    Request,
    Response,
    TransportFault,
    is_loopback,
)

__all__ = ["Client", "Repository", "Sends"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_UNAUTHORIZED, _ERROR = 401, 400
_ERROR_TEXT = 1 << 16


class Sends(Protocol):
    """What carries requests: `transport.Http`, or a fake."""

    def send(self, request: Request) -> Response:
        """Send a request and give its answer, whatever the status."""
        ...


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry; `host` is "" for the default registry."""

    host: str
    name: str

    @property
    def path(self) -> str:
        """The name that the registry knows: the default one's short names have a prefix."""
        return f"library/{self.name}" if not self.host and "/" not in self.name else self.name

    def __str__(self) -> str:
        return f"{self.host}/{self.name}" if self.host else self.name


@dataclass(frozen=True, slots=True)
class _Where:
    """What is asked, before it is known at which address."""

    repository: Repository
    method: str
    path: str
    url: str

    def __str__(self) -> str:
        """Say what is attempted, without queries."""
        shown = self.path or urlsplit(self.url).path
        return f"{self.method} {shown.partition('?')[0]} of {self.repository}"


@dataclass(frozen=True, slots=True)
class _Call:
    where: _Where
    headers: Mapping[str, str]
    body: Body | None
    scopes: Scopes
    accept: frozenset[int]
    retries: bool


class Client:
    """Requests of one session; safe for threads."""

    def __init__(
        self, http: Sends, hosts: Hosts, credentials: Credentials, patience: Patience | None = None
    ) -> None:
        self._http = http
        self._hosts = hosts
        self._credentials = credentials
        self._patience = patience or Patience()
        self._changes = credentials.changes
        self._auth = Authorizer(self._plain, credentials.find, self._patience.now)
        self._chosen: dict[str, Endpoint] = {}

    def request(
        self,
        repository: Repository,
        method: str,
        path: str = "",
        *,
        url: str = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        scopes: Scopes = (),
        accept: tuple[int, ...] = (),
        write: bool = False,
        origin: bool = False,
        retries: bool = True,
        patience: Patience | None = None,
    ) -> Response:
        """Ask a registry; close what comes back.

        Args:
            repository: whose endpoint and credentials to use.
            method: of HTTP.
            path: below the repository, as `blobs/sha256:…`.
            url: instead of `path`: a place that the registry named (`Location`), maybe relative.
            headers: with lower-case names.
            body: what to send.
            scopes: beside the repository's own, which are `pull` or, to write, `pull,push`.
            accept: statuses from 400 on that are no errors to the caller.
            write: ask the registry itself, not its mirrors, and for the right to push.
            origin: ask the registry itself, not its mirrors.
            retries: whether it may happen twice.
            patience: in place of the session's.

        Raises:
            RegistryUnreachable: nobody answers. RegistryMissing: 404. RegistryError: the rest.
        """
        self._look_at_credentials()
        own = scope(repository.path, "pull", "push") if write else scope(repository.path, "pull")
        every = tuple(dict.fromkeys((own, *scopes)))
        where = _Where(repository, method, path, url)
        call = _Call(where, headers or {}, body, every, frozenset(accept), retries)
        itself = write or origin
        return self._anywhere(call, write=itself, patience=patience or self._patience)

    def _look_at_credentials(self) -> None:
        if self._changes != self._credentials.changes:
            self._changes = self._credentials.changes
            self._auth.forget()

    def _anywhere(self, call: _Call, *, write: bool, patience: Patience) -> Response:
        """Try the endpoints in order."""
        endpoints = self._endpoints(call.where.repository.host, write=write)
        quick = replace(patience, tries=1)
        failures: list[str] = []
        for endpoint, following in zip(endpoints, (*endpoints[1:], None), strict=True):
            try:
                response = self._at(endpoint, call, quick if following else patience)
            except RegistryError as exc:
                if following is None:
                    if failures:
                        exc.args = (f"{exc} Before that: {'; '.join(failures)}",)
                    raise
                if not endpoint.mirror and not isinstance(exc, RegistryUnreachable):
                    raise
                failures.append(str(exc))
            else:
                if not endpoint.mirror:
                    self._chosen[call.where.repository.host] = endpoint
                return response
        raise AssertionError("a registry has at least one endpoint")

    def _endpoints(self, host: str, *, write: bool) -> tuple[Endpoint, ...]:
        rules = self._hosts.of(host)
        if rules.blocked:
            raise RegistryError(
                f"registry {host}: it is blocked by the configuration (registries.conf)"
            )
        found = self._hosts.endpoints(host, write=write)
        if (chosen := self._chosen.get(host)) is None:
            return found
        return (*(each for each in found if each.mirror), chosen)

    def _at(self, endpoint: Endpoint, call: _Call, patience: Patience) -> Response:
        """Ask one endpoint, as often as it takes."""
        attempts = Attempts(patience if call.retries else replace(patience, tries=1))
        loopback = is_loopback(urlsplit(endpoint.origin).hostname or "")
        while True:
            try:
                response, known = self._once(endpoint, call)
                if response.status < _ERROR or response.status in call.accept:
                    return response
                answer = self._read(response)
            except TransportFault as fault:
                if attempts.again_after_fault(fault, loopback=loopback):
                    continue
                raise RegistryUnreachable(_unreachable(endpoint, call, fault, attempts)) from fault
            if not attempts.again_after_status(answer.status, answer.headers):
                raise refusal(endpoint, str(call.where), answer, known=known)

    def _once(self, endpoint: Endpoint, call: _Call) -> tuple[Response, bool]:
        """Ask once, and once more with what a 401 wants."""
        header = self._auth.header(endpoint, call.scopes)
        response = self._follow(endpoint, call, header)
        wanted = response.headers.get("www-authenticate", "")
        if response.status == _UNAUTHORIZED and wanted:
            response.close()
            header = self._auth.challenged(endpoint, call.scopes, wanted, header)
            response = self._follow(endpoint, call, header)
        find = self._credentials.find
        known = (
            response.status >= _ERROR
            and find(endpoint.host, call.where.repository.path) is not None
        )
        return response, known

    def _follow(self, endpoint: Endpoint, call: _Call, header: str | None) -> Response:
        """Send a request, and again to where it is redirected."""
        base = endpoint.url(call.where.repository.path, call.where.path)
        url = urljoin(base, call.where.url) if call.where.url else base
        method, body = call.where.method, call.body
        for _ in range(_MOST_REDIRECTS + 1):
            headers = dict(call.headers)
            if header is not None and _origin(url) == _origin(endpoint.origin):
                headers["authorization"] = header
            response = self._http.send(Request(method, url, headers, body, endpoint.trust))
            place = response.headers.get("location", "")
            if response.status not in _REDIRECTS or not place:
                return response
            response.close()
            url = _redirected(endpoint, url, place)
            if response.status == 303:  # noqa: PLR2004 - See Other
                method, body = "GET" if method != "HEAD" else method, None
        raise RegistryError(
            f"registry {endpoint.host}: {call.where}: redirected more than {_MOST_REDIRECTS} "
            f"times, last to {_shown(url)}; the registry or a proxy before it is misconfigured"
        )

    def _plain(self, request: Request) -> Response:
        """Send a request for a token: with retries, without authorization of ours."""
        attempts = Attempts(self._patience)
        host = urlsplit(request.url).hostname or ""
        while True:
            try:
                response = self._http.send(request)
            except TransportFault as fault:
                if attempts.again_after_fault(fault, loopback=is_loopback(host)):
                    continue
                raise RegistryUnreachable(f"asking for a token: {fault}") from fault
            if not is_temporary(response.status):
                return response
            if not attempts.again_after_status(response.status, response.headers):
                return response
            response.close()

    @staticmethod
    def _read(response: Response) -> Answer:
        text = b""
        with response, suppress(TransportFault):
            while len(text) < _ERROR_TEXT and (piece := response.read(_ERROR_TEXT)):
                text += piece
        return Answer(response.status, response.headers, text)


def _redirected(endpoint: Endpoint, url: str, place: str) -> str:
    following = urljoin(url, place)
    parts = urlsplit(following)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RegistryError(
            f"registry {endpoint.host}: redirects to {_shown(following)}, which is no address"
        )
    if endpoint.scheme == "https" and parts.scheme == "http" and endpoint.trust.verify:
        raise RegistryError(
            f"registry {endpoint.host}: redirects from TLS to {_shown(following)}, which has none; "
            "that is not followed"
        )
    return following


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def _unreachable(endpoint: Endpoint, call: _Call, fault: TransportFault, attempts: Attempts) -> str:
    often = f" ({attempts.made} attempts)" if attempts.made > 1 else ""
    table = f'[registries."{endpoint.host}"]'
    advice: dict[str, str] = {
        "name": "check the name, the network and its DNS",
        "resolver": "check the network and its DNS",
        "refused": "check the address and that the registry runs",
        "certificate": f"name its authority as `ca` of {table}, or set `insecure = true` there",
        "tls": f"if it speaks plain HTTP, set `plain-http = true` of {table}",
    }
    what = f"registry {endpoint.host}: {call.where}: {fault}{often}; "
    return what + advice.get(fault.fault, "check the network, and proxies before it")
