"""HTTP as it is: TLS and whom it trusts, proxies, bodies that break off."""

import http.server
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from pipelines.engine.errors import RegistryUnreachable
from pipelines.engine.images.registry.client import Client, Repository
from pipelines.engine.images.registry.credentials import Credentials
from pipelines.engine.images.registry.hosts import HostRules, Hosts
from pipelines.engine.images.registry.transport import Http, Request, TransportFault
from tests.fake_registry import Body, FakeRegistry, Reply

NAME = "lib/app"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of its own authority for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    place = tmp_path_factory.mktemp("tls")
    key, cert = place / "key.pem", place / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=test",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def secure(registry, certificate):
    """The registry behind TLS; `host` is where."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with FakeRegistry() as running:
        running.server.socket = context.wrap_socket(running.server.socket, server_side=True)
        running.image(NAME, "1", [b"tar"])
        yield running


def ask(world, host, rules=None):
    hosts = Hosts({host: rules} if rules else {})
    with world.client(hosts).request(Repository(host, NAME), "GET", "manifests/1") as answer:
        return answer.status


def test_a_named_authority_is_believed(world, secure, certificate):
    rules = HostRules(authorities=(str(certificate[0]),))
    assert ask(world, secure.host, rules) == 200


def test_an_insecure_registry_may_have_any_certificate(world, secure):
    assert ask(world, secure.host, HostRules(insecure=True)) == 200


def test_an_unknown_certificate_is_refused_with_the_way_out(world, secure, certificate, tmp_path):
    other = HostRules(mirrors=(), authorities=())
    hosts = Hosts({"x": other, secure.host: HostRules(location=f"https://{secure.host}")})
    client = world.client(hosts)
    with pytest.raises(RegistryUnreachable, match=r"not trusted.*`ca` of \[registries") as failure:
        client.request(Repository(secure.host, NAME), "GET", "manifests/1")
    assert world.clock.slept == []
    assert "insecure = true" in str(failure.value)


def test_tls_where_there_is_none_is_told(world, registry):
    hosts = Hosts({registry.host: HostRules(location=f"https://{registry.host}")})
    with pytest.raises(RegistryUnreachable, match="plain-http = true"):
        world.client(hosts).request(Repository(registry.host, NAME), "GET", "manifests/1")


class Proxy:
    """A proxy: forwards plain requests by their URL, tunnels CONNECT."""

    def __init__(self):
        self.seen = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                proxy.seen.append((self.command, self.path, self.headers["proxy-authorization"]))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def do_CONNECT(self):
                proxy.seen.append((self.command, self.path, self.headers["proxy-authorization"]))
                self.send_error(502)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self):
        return f"http://me:p%40ss@127.0.0.1:{self.server.server_address[1]}"


LOGIN = "Basic bWU6cEBzcw=="


def test_a_proxy_is_asked_for_plain_requests(tmp_path):
    with Proxy() as proxy:
        http_ = Http({"http_proxy": proxy.url})
        with http_.send(Request("GET", "http://r.invalid/v2/x?y=1", {})) as answer:
            assert answer.read() == b"ok"
        http_.close()
        assert proxy.seen == [("GET", "http://r.invalid/v2/x?y=1", LOGIN)]


def test_a_proxy_tunnels_tls(tmp_path):
    with Proxy() as proxy:
        http_ = Http({"https_proxy": proxy.url})
        with pytest.raises(TransportFault, match="502"):
            http_.send(Request("GET", "https://r.invalid/v2/", {}))
        http_.close()
        assert proxy.seen == [("CONNECT", "r.invalid:443", LOGIN)]


@pytest.mark.parametrize("no_proxy", ["*", "invalid", ".invalid", "a, r.invalid"])
def test_no_proxy_names_hosts_and_domains(no_proxy):
    with Proxy() as proxy:
        http_ = Http({"http_proxy": proxy.url, "no_proxy": no_proxy})
        with pytest.raises(TransportFault, match="does not resolve"):
            http_.send(Request("GET", "http://r.invalid/", {}))
        http_.close()
        assert proxy.seen == []


def test_loopback_is_never_asked_through_a_proxy(registry):
    registry.image(NAME, "1", [b"tar"])
    http_ = Http({"http_proxy": "http://127.0.0.1:1"})
    client = Client(http_, Hosts(), Credentials({"HOME": "/nonexistent"}))
    with client.request(Repository(registry.host, NAME), "GET", "manifests/1") as answer:
        assert answer.status == 200
    http_.close()


@pytest.mark.parametrize("read", [lambda r: r.read(), lambda r: [*iter(lambda: r.read(64), b"")]])
def test_a_body_that_ends_early_is_a_fault(registry, read):
    registry.image(NAME, "1", [b"tar"])
    registry.fault("GET", "manifests", Body(lambda body: body[:10]))
    http_ = Http({})
    with http_.send(Request("GET", f"{registry.url}/v2/{NAME}/manifests/1", {})) as answer:
        with pytest.raises(TransportFault):
            read(answer)
    http_.close()


def test_an_answer_that_comes_before_the_body_was_read_is_heard(registry):
    """A server that refuses an upload closes the connection while it is still being sent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse():
            connection, _ = listening.accept()
            with connection:
                connection.recv(10)
                connection.sendall(
                    b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        from pipelines.engine.images.registry.transport import Body as Sent

        body = Sent(1 << 24, lambda: (bytes(1 << 20) for _ in range(16)))
        http_ = Http({})
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with http_.send(Request("PUT", url, {}, body)) as answer:
            assert answer.status == 413
        http_.close()
        thread.join()


def test_a_chunked_body_is_read(registry):
    registry.fault(
        "GET", "x", Reply(200, {"transfer-encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n")
    )
    http_ = Http({})
    with http_.send(Request("GET", f"{registry.url}/x", {})) as answer:
        assert b"".join(iter(lambda: answer.read(2), b"")) == b"abc"
    http_.close()
