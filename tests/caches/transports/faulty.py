"""A backend that fails at one request: a proxy for HTTP, and system calls for a directory."""

import errno
import http.client
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pipelines.caches.transports.anchored import Anchored

HTTP_FAULTS = ("close", "hang", "slow", "truncate", "limit", "fail", "forbid", "garble", "lose")
DIRECTORY_FAULTS = ("full", "denied", "broken", "hang")
HOP = {"connection", "transfer-encoding", "keep-alive"}


class Proxy:
    """Forwards to a server; request number `at` meets `fault`, and if `dead`, all after it."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.at = -1
        self.fault = ""
        self.dead = False
        self.latency = 0.0
        self.count = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    def arm(self, at: int, fault: str, *, dead: bool = False) -> None:
        self.at, self.fault, self.dead, self.count = at, fault, dead, 0

    def next(self) -> str:
        """Count a request; give the fault that it meets, "" for none."""
        with self._lock:
            number = self.count
            self.count += 1
        hit = number == self.at or (self.dead and 0 <= self.at < number)
        return self.fault if hit else ""


@contextmanager
def proxy(upstream: int) -> Iterator[tuple[Proxy, int]]:
    state = Proxy(upstream)

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words):
            pass

        def forward(self):
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(size)
            fault = state.next()
            state.over.wait(state.latency) if state.latency else None
            match fault:
                case "close":
                    self.drop()
                    return
                case "hang":
                    state.over.wait(30)
                    self.drop()
                    return
                case "slow":
                    state.over.wait(0.3)
                case "limit":
                    self.answer(429, {"retry-after": "3600"}, b"slow down")
                    return
                case "fail":
                    self.answer(503, {}, b"<html>down</html>")
                    return
                case "forbid":
                    self.answer(403, {}, b"no")
                    return
            server = http.client.HTTPConnection("127.0.0.1", state.upstream, timeout=20)
            try:
                server.request(self.command, self.path, body, dict(self.headers.items()))
                got = server.getresponse()
                content = got.read()
            finally:
                server.close()
            headers = {n.lower(): v for n, v in got.getheaders() if n.lower() not in HOP}
            if fault == "lose":
                self.drop()
                return
            if fault == "garble":
                content = bytes(each ^ 0x55 for each in content)
            self.answer(got.status, headers, content, cut=fault == "truncate")

        def answer(self, status, headers, content, *, cut=False):
            if self.command != "HEAD":
                headers["content-length"] = str(len(content))
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.drop()

        def drop(self):
            self.close_connection = True
            with suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def handle(self):
            with suppress(ConnectionError, http.client.HTTPException):
                super().handle()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state, server.server_port
    finally:
        state.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class FaultyFiles(Anchored):
    """A directory's files, of which one call fails."""

    def __init__(self, root: str, state: Proxy) -> None:
        super().__init__(root)
        self.state = state

    def _meet(self):
        match self.state.next():
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "denied":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            case "broken":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "hang":
                self.state.over.wait(30)

    def read(self, *words):
        self._meet()
        return super().read(*words)

    def size(self, *words):
        self._meet()
        return super().size(*words)

    def create(self, *words):
        self._meet()
        return super().create(*words)

    def entries(self, *words):
        self._meet()
        return super().entries(*words)
