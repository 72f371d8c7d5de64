"""Git servers on loopback: smart HTTP by `git http-backend`, with accounts and faults."""

import base64
import json
import os
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

__all__ = ["Repository", "serving", "tidy"]

WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@h", "GIT_COMMITTER_NAME": "a"}
WHEN = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}


def tidy(**more: str) -> dict[str, str]:
    """An environment in which git reads no configuration of whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "LC_ALL": "C",
        **more,
    }


class Repository:
    """A repository that a test writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        env = tidy(GIT_COMMITTER_EMAIL="a@h", **WHO, **WHEN)
        allow = ("-c", "protocol.file.allow=always", "-c", "safe.directory=*")
        ran = subprocess.run(
            ["git", *allow, *arguments], cwd=self.path, env=env, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files (`a__b` is a/b, `_` ends a name with .txt) and give the commit."""
        for name, text in files.items():
            path = self.path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "m")
        return self.git("rev-parse", "HEAD")


class Server:
    """`asked` counts requests by path; `fail` lists statuses for the next requests.

    `batch` is what is said of LFS objects.
    """

    def __init__(self, root: Path, accept: str) -> None:
        self.root = root
        self.accept = accept
        self.asked: Counter[str] = Counter()
        self.fail: list[int] = []
        self.seen: list[str] = []
        self.url = ""
        self.batch: dict[str, object] = {}


@contextmanager
def serving(root: Path, accept: str = ""):
    """Serve every repository below `root`; `accept` is the Authorization that is let in."""
    if not Path("/usr/lib/git-core/git-http-backend").exists():
        pytest.skip("git http-backend is not installed (package git)")
    server = Server(root, accept)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked[self.path] += 1
            server.seen.append(self.headers.get("Authorization", ""))
            if server.fail:
                return self._refuse(server.fail.pop(0))
            if server.accept and server.seen[-1] != server.accept:
                return self._refuse(401)
            if self.path.endswith("/info/lfs/objects/batch"):
                return self._batch()
            return self._backend()

        do_POST = do_GET

        def _refuse(self, status):
            self.send_response(status)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _batch(self):
            """Say where LFS objects are."""
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps({"transfer": "basic", **server.batch}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.git-lfs+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _backend(self):
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            env = tidy(
                GIT_PROJECT_ROOT=str(root),
                GIT_HTTP_EXPORT_ALL="1",
                REQUEST_METHOD=self.command,
                PATH_INFO=path,
                QUERY_STRING=query,
                CONTENT_TYPE=self.headers.get("Content-Type", ""),
                CONTENT_LENGTH=str(length),
                GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
                HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
                GIT_CONFIG_COUNT="1",
                GIT_CONFIG_KEY_0="safe.directory",
                GIT_CONFIG_VALUE_0="*",
            )
            ran = subprocess.run(
                ["git", "http-backend"], env=env, input=self.rfile.read(length), capture_output=True
            )
            head, _, body = ran.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            return

    web = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    web.daemon_threads = True
    server.url = f"http://127.0.0.1:{web.server_address[1]}"
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
