"""Logins and tokens: a registry that asks for them, as far as asking goes."""

import json
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines.caches.errors import Unavailable
from pipelines.caches.open import open_transport

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Registry(BaseHTTPRequestHandler):
    """Answers lists of tags to whoever is authorized; blobs are redirected elsewhere."""

    protocol_version = "HTTP/1.1"
    scheme = "bearer"
    seen: list

    def log_message(self, *_words):
        pass

    def do_GET(self):
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        authorization = self.headers.get("authorization", "")
        self.seen.append((path, authorization, query))
        host = self.headers["host"]
        if path == "/token":
            token = {"token": f"for-{query['scope'][0]}", "expires_in": 300}
            return self.answer(200, json.dumps(token), {})
        if self.scheme == "bearer":
            wanted = f'Bearer realm="http://{host}/token",service="s"'
            good = authorization == "Bearer for-repository:a/b:pull"
        else:
            wanted, good = 'Basic realm="x"', authorization == basic("me", "pw")
        if not good:
            return self.answer(401, "no", {"www-authenticate": wanted})
        if "manifests" in path:
            return self.answer(307, "", {"location": f"http://localhost:{host.split(':')[1]}/x"})
        return self.answer(200, '{"tags": []}', {})

    def answer(self, status, text, headers):
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


def basic(user, password):
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(params=["bearer", "basic"])
def registry(request):
    Own = type("Own", (Registry,), {"scheme": request.param, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Own, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def environ(tmp_path, host):
    auth = b64encode(b"me:pw").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return {"DOCKER_CONFIG": str(tmp_path)}


async def test_what_is_asked_for_is_given_once(registry, tmp_path):
    own, host = registry
    transport = open_transport(f"oci://{host}/a/b", environ(tmp_path, host))
    for _ in range(3):
        assert not await transport.heads("heads/local/key")
    await transport.aclose()
    paths = [path for path, _, _ in own.seen]
    assert paths.count("/token") == (own.scheme == "bearer")
    assert paths.count("/v2/a/b/tags/list") == 4
    for path, authorization, query in own.seen:
        if path == "/token":
            assert authorization == basic("me", "pw")
            assert query == {"service": ["s"], "scope": ["repository:a/b:pull"]}


async def test_nothing_is_given_to_where_it_is_redirected(registry, tmp_path):
    own, host = registry
    transport = open_transport(f"oci://{host}/a/b", environ(tmp_path, host))
    with pytest.raises(Unavailable):  # the other place wants a login, and gets none
        await transport.read("packs/ab")
    await transport.aclose()
    assert [given for path, given, _ in own.seen if path == "/x"] in ([""], ["", ""])


async def test_without_a_login_the_way_out_is_told(registry, tmp_path):
    own, host = registry
    transport = open_transport(f"oci://{host}/a/b", {"HOME": str(tmp_path)})
    if own.scheme == "bearer":
        assert not await transport.heads("heads/local/key")  # anonymous tokens
        assert [given for path, given, _ in own.seen if path == "/token"] == [""]
    else:
        with pytest.raises(Unavailable, match=f"docker login {host}"):
            await transport.heads("heads/local/key")
    await transport.aclose()
