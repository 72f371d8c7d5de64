"""A registry on loopback that does as it is told: the distribution API, and every fault of it.

    with FakeRegistry() as registry:
        image = registry.image("lib/app", "1", [tar("a")])
        registry.fault("GET", "/blobs/", Reply(503), times=2)

Faults are looked at in order; each applies to `times` requests whose method and path match.
`requests` has what was asked: method, path with query, headers in lower case.
"""

import gzip
import hashlib
import json
import re
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Reply:
    """Answer this instead."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Body:
    """Answer as usual, but with another body: `change` maps the right one to what is sent.

    `declared` is the length that is told, by default the right body's; when more is told than
    sent, the connection is closed. `pause` seconds lie between two pieces.
    """

    change: object = staticmethod(lambda body: body)
    declared: int | None = None
    pause: float = 0.0


class Reset:
    """Close the connection without a word."""


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]


class FakeRegistry:
    """See the module; `users` maps names to passwords, and none means that all may pull."""

    def __init__(self, users=None, auth="bearer", private=True):
        self.blobs: dict[str, bytes] = {}
        self.where: set[tuple[str, str]] = set()  # (repository, digest)
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[Seen] = []
        self.faults: list[list] = []
        self.users, self.auth, self.private = users, auth, private
        self.tokens: dict[str, set[str]] = {}
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.before = None  # called with every request, to make tests wait for each other
        self.ranges = True

    def __enter__(self):
        registry = self

        class Handler(_Handler):
            it = registry

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.stop()
        self.server.server_close()
        self.thread.join()

    @property
    def host(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self):
        return f"http://{self.host}"

    def fault(self, method, path, what, times=1):
        self.faults.append([method, re.compile(path), what, times])

    def asked(self, method="", path=""):
        return [s for s in self.requests if s.method.startswith(method) and re.search(path, s.path)]

    def blob(self, repository, data):
        digest = digest_of(data)
        self.blobs[digest] = data
        self.where.add((repository, digest))
        return digest

    def manifest(self, repository, document, *tags, kind=MANIFEST):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        for name in (digest_of(data), *tags):
            self.manifests[repository, name] = (kind, data)
        return digest_of(data)

    def image(self, repository, tag, tars, *, config=None, platform="linux/amd64", pack=None):
        """Put an image; give its manifest's digest. `pack` compresses layers."""
        pack = pack or (lambda tar: gzip.compress(tar, mtime=0))
        system, architecture, *variant = platform.split("/")
        document = {
            "os": system,
            "architecture": architecture,
            **({"variant": variant[0]} if variant else {}),
            "config": {"Env": ["A=1"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            **(config or {}),
        }
        layers = []
        for tar in tars:
            data = pack(tar)
            layers.append(_descriptor(GZIP, self.blob(repository, data), data))
        text = json.dumps(document).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, self.blob(repository, text), text),
            "layers": layers,
        }
        return self.manifest(repository, manifest, *([tag] if tag else []))

    def index(self, repository, tag, platforms):
        """Put an index of {platform: manifest digest}; give its digest."""
        rows = []
        for platform, digest in platforms.items():
            system, architecture, *variant = platform.split("/")
            row = _descriptor(MANIFEST, digest, self.manifests[repository, digest][1])
            row["platform"] = {"os": system, "architecture": architecture}
            if variant:
                row["platform"]["variant"] = variant[0]
            rows.append(row)
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}
        return self.manifest(repository, document, tag, kind=INDEX)


def _descriptor(kind, digest, data):
    return {"mediaType": kind, "digest": digest, "size": len(data)}


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True  # threads that are left would hold descriptors

    def __init__(self, *args):
        super().__init__(*args)
        self.open = set()

    def handle_error(self, request, client_address):
        pass  # a client that goes away is what is tested

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def stop(self):
        """End kept connections, so that their threads end."""
        for request in list(self.open):
            try:
                request.shutdown(2)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    it: FakeRegistry

    def log_message(self, *_):
        pass

    def handle_any(self):
        it = self.it
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with it.lock:
            it.requests.append(Seen(self.command, self.path, headers))
        if it.before:
            it.before(self.command, self.path)
        fault = self._fault()
        if isinstance(fault, Reset):
            self.close_connection = True
            return
        if isinstance(fault, Reply):
            self._send(fault.status, fault.headers, fault.body)
            return
        status, answer, data = self._answer(body)
        self._send(status, answer, data, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _fault(self):
        with self.it.lock:
            for fault in self.it.faults:
                method, path, what, times = fault
                if times and self.command == method and path.search(self.path):
                    fault[3] -= 1
                    return what
        return None

    def _send(self, status, headers, data, fault=None):
        right = len(data)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault is not None:
            data = fault.change(data)
            right = fault.declared if fault.declared is not None else right
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
            self.send_header("content-length", str(right))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.pause:
            for at in range(0, len(data), 64):
                self.wfile.write(data[at : at + 64])
                self.wfile.flush()
                if self.it.over.wait(fault.pause):
                    return
        else:
            self.wfile.write(data)
        self.wfile.flush()
        if len(data) != right:
            self.close_connection = True

    def _answer(self, body):
        url = urlsplit(self.path)
        if url.path == "/token":
            return self._token(parse_qs(url.query))
        if url.path.startswith("/elsewhere/"):
            return self._content(self.it.blobs[url.path.removeprefix("/elsewhere/")], {})
        if url.path == "/v2/":
            return 200, {}, b"{}"
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs|tags)/(.*)", url.path)
        if not found:
            return self._error(404, "NAME_UNKNOWN")
        if (refused := self._refuse(found[1])) is not None:
            return refused
        if found[2] == "manifests":
            return self._manifest(found[1], found[3], body)
        return self._blob(found[1], found[3], parse_qs(url.query), body)

    def _error(self, status, code, headers=None):
        document = {"errors": [{"code": code, "message": code.lower()}]}
        return status, headers or {}, json.dumps(document).encode()

    # --- authorization --------------------------------------------------------------------

    def _refuse(self, repository):
        if self.it.users is None:
            return None
        given = self.headers.get("authorization", "")
        if self.it.auth == "basic":
            if given.startswith("Basic ") and self._user(given):
                return None
            return self._error(401, "UNAUTHORIZED", {"www-authenticate": 'Basic realm="r"'})
        actions = "pull" if self.command in {"GET", "HEAD"} else "pull,push"
        scope = f"repository:{repository}:{actions}"
        have = self.it.tokens.get(given.removeprefix("Bearer "), set())
        if any(set(actions.split(",")) <= _actions(each, repository) for each in have):
            return None
        wanted = f'Bearer realm="{self.it.url}/token",service="fake",scope="{scope}"'
        return self._error(401, "UNAUTHORIZED", {"www-authenticate": wanted})

    def _user(self, header):
        name, _, password = b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return name if self.it.users.get(name) == password else ""

    def _token(self, query):
        given = self.headers.get("authorization", "")
        user = self._user(given) if given else ""
        if (given and not user) or (not given and self.it.private):
            return self._error(401, "UNAUTHORIZED")
        with self.it.lock:
            token = f"token-{len(self.it.tokens)}"
            self.it.tokens[token] = set(query.get("scope", ()))
        return 200, {}, json.dumps({"token": token, "expires_in": 300}).encode()

    # --- content --------------------------------------------------------------------------

    def _manifest(self, repository, name, body):
        if self.command == "PUT":
            kind = self.headers.get("content-type", MANIFEST)
            digest = self.it.manifest(repository, body, name, kind=kind)
            return 201, {"docker-content-digest": digest, "location": self.path}, b""
        found = self.it.manifests.get((repository, name))
        if found is None:
            return self._error(404, "MANIFEST_UNKNOWN")
        kind, data = found
        return 200, {"content-type": kind, "docker-content-digest": digest_of(data)}, data

    def _blob(self, repository, rest, query, body):
        if rest.startswith("uploads/"):
            return self._upload(repository, rest.removeprefix("uploads/"), query, body)
        if (repository, rest) not in self.it.where:
            return self._error(404, "BLOB_UNKNOWN")
        return self._content(self.it.blobs[rest], {"docker-content-digest": rest})

    def _content(self, data, headers):
        headers = {**headers, "content-type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        if wanted and self.it.ranges:
            start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
            headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
            return 206, headers, data[start : end + 1]
        return 200, headers, data

    def _upload(self, repository, name, query, body):
        it = self.it
        if self.command == "POST":
            mount, source = query.get("mount", [""])[0], query.get("from", [""])[0]
            if mount and (source, mount) in it.where:
                it.where.add((repository, mount))
                return 201, {"location": f"/v2/{repository}/blobs/{mount}"}, b""
            name = f"u{len(it.uploads)}"
            it.uploads[name] = bytearray()
            return 202, {"location": f"/v2/{repository}/blobs/uploads/{name}?state=x"}, b""
        if name not in it.uploads:
            return self._error(404, "BLOB_UPLOAD_UNKNOWN")
        it.uploads[name] += body
        place = {"location": f"/v2/{repository}/blobs/uploads/{name}?state=y"}
        place["range"] = f"0-{max(len(it.uploads[name]) - 1, 0)}"
        if self.command == "PATCH":
            return 202, place, b""
        if self.command == "GET":
            return 204, place, b""
        data = bytes(it.uploads.pop(name))
        if digest_of(data) != query["digest"][0]:
            return self._error(400, "DIGEST_INVALID")
        it.blob(repository, data)
        return 201, {"location": f"/v2/{repository}/blobs/{digest_of(data)}"}, b""


def _actions(scope, repository):
    kind, name, actions = scope.split(":")
    return set(actions.split(",")) if (kind, name) == ("repository", repository) else set()
