"""Unix sockets of the host inside commands, against a server that answers."""

import contextlib
import os
import shutil
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

CLIENT = """package main

import (
	"io"
	"net"
	"os"
)

func main() {
	there, err := net.Dial("unix", os.Args[1])
	if err != nil {
		panic(err)
	}
	go func() {
		io.Copy(there, os.Stdin)
		there.(*net.UnixConn).CloseWrite()
	}()
	io.Copy(os.Stdout, there)
}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Compile a program that talks to a socket; busybox has none."""
    if (go := shutil.which("go")) is None:
        pytest.skip("needs Go to compile a client")
    place = tmp_path_factory.mktemp("client")
    (place / "main.go").write_text(CLIENT)
    env = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run([go, "build", "-o", "client", "main.go"], cwd=place, env=env, check=True)
    return str(place / "client")


class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.heard.append(said := self.rfile.read())
        self.wfile.write(self.server.greeting + said)


@contextlib.contextmanager
def serving(greeting, heard=None):
    with tempfile.TemporaryDirectory() as place:
        path = str(Path(place, "s.sock"))
        with socketserver.ThreadingUnixStreamServer(path, Answer) as server:
            server.greeting, server.heard = greeting, [] if heard is None else heard
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield path
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def asking(client):
    def ask(dag, path, text, **options):
        box = dag.container().from_("busybox").with_file("/client", dag.host().file(client))
        box = box.with_unix_socket("/run/s.sock", dag.host().unix_socket(path), **options)
        return box.with_exec(["/client", "/run/s.sock"], stdin=text)

    return ask


async def test_a_command_talks_to_a_socket_of_the_host(dag, asking):
    with serving(b"hello ") as path:
        assert await asking(dag, path, "you").stdout() == "hello you"


async def test_much_is_handed_on_both_ways(dag, asking):
    text = "x" * 3_000_000
    with serving(b"") as path:
        assert await asking(dag, path, text).stdout() == text


async def test_a_socket_belongs_to_the_commands_user(dag, asking):
    with serving(b"hello ") as path:
        ran = asking(dag, path, "you", owner="77:78").with_exec(["stat", "-c%u:%g", "/run/s.sock"])
        try:
            assert await ran.stdout() == "77:78\n"
        except dagger.QueryError as error:
            pytest.skip(f"single id: {error}")


async def test_nothing_of_a_socket_is_left_in_the_image(dag, asking):
    with serving(b"") as path:
        ran = asking(dag, path, "")
        assert "s.sock" not in await ran.rootfs().entries(path="run")


async def test_what_is_said_keys_nothing_and_the_path_does(session, asking):
    with serving(b"one ") as path, serving(b"two ") as other:
        async with session() as (dag, heard):
            assert await asking(dag, path, "x").stdout() == "one x"
        assert len(heard.ran) == 1
        async with session() as (dag, heard):
            assert await asking(dag, path, "x").stdout() == "one x"
            assert await asking(dag, other, "x").stdout() == "two x"
        assert len(heard.ran) == 1


async def test_a_socket_that_nobody_serves_is_closed_at_once(dag, asking, tmp_path):
    assert await asking(dag, str(tmp_path / "no.sock"), "x").stdout() == ""


async def test_a_program_that_logs_is_heard(dag):
    heard = []
    with serving(b"", heard) as path:
        box = dag.container().from_("busybox")
        box = box.with_unix_socket("/dev/log", dag.host().unix_socket(path))
        await box.with_exec(["logger", "from inside"]).sync()
    assert b"from inside" in b"".join(heard)
