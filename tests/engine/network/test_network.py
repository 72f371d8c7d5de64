"""Private networks for real: places, what is reached from them, what is left of them."""

import contextlib
import os
import shutil
import socket
import threading
from pathlib import Path

import anyio
import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.network import relay
from pipelines.engine.network.namespace import Namespace
from pipelines.engine.network.pool import Network
from tests.ns import in_namespace, reason_not

pytestmark = pytest.mark.sandbox

needs_uplink = pytest.mark.skipif(
    shutil.which("slirp4netns") is None or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
    reason="needs slirp4netns and /dev/net/tun",
)


def inside(body, **options):
    """Run a body with a network, in a child with namespaces of its own; `warned` is its log."""

    async def main():
        warned = []
        network = Network(warned.append, options.pop("ports", ()), 0, **options)
        async with network.open():
            return await body(network, warned)

    if reason := reason_not():
        pytest.skip(reason)
    return in_namespace(lambda: anyio.run(main))


def answer(place, text=b"hello", port=80):
    """Serve one connection at a place."""
    listening = relay.listen(place.namespace.socket(), "0.0.0.0", port)
    listening.setblocking(True)
    serve(listening, text)


def serve(listening, text):
    """Serve one connection, on a thread."""

    def accept():
        with listening, listening.accept()[0] as accepted:
            accepted.sendall(text)

    threading.Thread(target=accept, daemon=True).start()


async def ask(place, address, port=80):
    with anyio.fail_after(5):
        stream = await relay.open_connection(place.namespace.socket(), str(address), port)
        async with stream:
            return await stream.receive()


def test_two_services_on_one_port_are_both_reached():
    async def body(network, _warned):
        one, two, client = [await network.settle() for _ in range(3)]
        answer(one, b"one")
        answer(two, b"two")
        got = [await ask(client, place.address) for place in (one, two)]
        for place in (one, two, client):
            network.give(place, reuse=False)
        return got

    assert inside(body) == [b"one", b"two"]


@needs_uplink
def test_a_command_reaches_services_but_not_another_command():
    async def body(network, _warned):
        service, one, two = await network.settle(), await network.take(), await network.take()
        answer(service)
        assert await ask(one, service.address) == b"hello"
        answer(two)
        raw = one.namespace.socket()
        with anyio.move_on_after(0.3) as waited:
            await relay.open_connection(raw, str(two.address), 80)
        for place in (service, one, two):
            network.give(place, reuse=False)
        return waited.cancelled_caught

    assert inside(body) is True


@needs_uplink
def test_a_clean_place_is_used_again_and_another_is_not():
    async def body(network, _warned):
        first = await network.take()
        network.give(first)
        second = await network.take()
        lingering = second.namespace.socket()
        relay.listen(lingering, "127.0.0.1", 80)
        network.give(second)
        third = await network.take()
        network.give(third)
        return second is first, third is first

    assert inside(body) == (True, False)


@needs_uplink
def test_the_machines_loopback_is_out_of_reach_but_for_the_ports_that_are_passed_on():
    with socket.create_server(("127.0.0.1", 0)) as proxy, socket.create_server(("", 0)) as other:
        serve(proxy, b"proxy")
        ports = [server.getsockname()[1] for server in (proxy, other)]

        async def body(network, _warned):
            place = await network.take()
            got = await ask(place, "127.0.0.1", ports[0])
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                await ask(place, "127.0.0.1", ports[1])
            with pytest.raises((OSError, anyio.EndOfStream)):
                await ask(place, network._hub.gateway, ports[1])
            network.give(place)
            return got

        assert inside(body, ports=ports[:1]) == b"proxy"


@needs_uplink
def test_the_outside_is_reached_through_the_uplink_in_packets_of_any_size():
    """The outside is this machine's own address that leads to the default route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but its loopback")
        own = probe.getsockname()[0]
    with socket.create_server((own, 0)) as server:
        counted = []

        def count():
            with server.accept()[0] as accepted:
                while data := accepted.recv(1 << 16):
                    counted.append(len(data))

        thread = threading.Thread(target=count)
        thread.start()
        port = server.getsockname()[1]

        async def body(network, _warned):
            place = await network.take()
            with anyio.fail_after(10):
                stream = await relay.open_connection(place.namespace.socket(), own, port)
                async with stream:
                    await stream.send(b"x" * 300_000)
                    await stream.send_eof()
                    with contextlib.suppress(anyio.EndOfStream):
                        await stream.receive()
            network.give(place)

        inside(body)
        thread.join()
        assert sum(counted) == 300_000


def test_without_an_uplink_commands_are_on_the_machines_network_and_that_is_said_once(tmp_path):
    async def body(network, warned):
        places = [await network.take(), await network.take()]
        return places, warned

    places, warned = inside(body, search=str(tmp_path))
    assert places == [None, None]
    (text,) = warned
    assert "slirp4netns is not installed" in text


def test_host_networking_by_choice_makes_nothing_and_says_nothing():
    async def body(network, warned):
        return await network.take(), warned, network._hub

    assert inside(body, private=False) == (None, [], None)


def test_a_namespace_that_was_given_up_answers_at_once():
    def body():
        namespace = Namespace()
        namespace.close()
        with pytest.raises(OSError, match="given up"):
            namespace.socket()

    if reason := reason_not():
        pytest.skip(reason)
    in_namespace(body)


def test_where_no_namespace_can_be_had_a_service_says_why(monkeypatch):
    async def body(network, _warned):
        Path("/proc/sys/user/max_net_namespaces").write_text("0")
        with pytest.raises(SandboxError, match="starting a service: the kernel gives no network"):
            await network.settle()

    if reason := reason_not(userns=True):
        pytest.skip(reason)

    async def main():
        network = Network(lambda _text: None, (), 0)
        async with network.open():
            await body(network, [])

    in_namespace(lambda: anyio.run(main), userns=True)
