"""Services and private networks, as an SDK client sees them."""

import contextlib
import os
import re
import shutil
import socket
import threading
import time
import urllib.request

import anyio
import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

PRIVATE = shutil.which("slirp4netns") is not None and os.access("/dev/net/tun", os.R_OK | os.W_OK)


@pytest.fixture(params=["private", "host"])
def network(request, monkeypatch):
    """Run execs on private networks, then on the machine's, as if there were no slirp4netns."""
    if request.param == "private" and not PRIVATE:
        pytest.skip("needs slirp4netns and /dev/net/tun")
    if request.param == "host":
        monkeypatch.setenv("PIPELINES_NETWORK", "host")
    return request.param


@pytest.fixture
def box(network, dag):
    return dag.container().from_("busybox")


def web(box, text, port=8080):
    """Serve a text on a port."""
    return (
        box.with_new_file("/www/index.html", text)
        .with_exposed_port(port)
        .as_service(args=["httpd", "-f", "-p", str(port), "-h", "/www"])
    )


def sh(box, script):
    return box.with_exec(["sh", "-c", script])


def fetch(box, url):
    return box.with_exec(["wget", "-q", "-O-", url])


async def test_two_services_on_one_port_do_not_clash(box):
    bound = box.with_service_binding("one", web(box, "1")).with_service_binding(
        "two", web(box, "2")
    )
    script = "wget -q -O- http://one:8080/; wget -q -O- http://two:8080/"
    assert await sh(bound, script).stdout() == "12"


async def test_a_service_is_bound_to_every_later_command_and_may_bind_services_itself(box):
    back = web(box, "deep")
    front = (
        box.with_service_binding("back", back)
        .with_exposed_port(8080)
        .as_service(
            args=["sh", "-c", "while true; do wget -q -O- http://back:8080/ | nc -l -p 8080; done"]
        )
    )
    bound = box.with_service_binding("front", front).with_exec(["true"])
    assert await sh(bound, "nc front 8080").stdout() == "deep"


async def test_equal_bound_commands_are_answered_by_a_record_and_start_nothing(session):
    async def once():
        async with session() as (dag, heard):
            box = dag.container().from_("busybox")
            bound = box.with_service_binding("www", web(box, "hello"))
            assert await fetch(bound, "http://www:8080/").stdout() == "hello"
        return [e["state"] for e in heard if e["event"] == "service"], heard.ran

    assert await once() == (["starting", "ready", "stopped"], ["wget -q -O- http://www:8080/"])
    assert await once() == ([], [])


async def test_what_a_service_serves_is_part_of_the_key_of_who_asks(box, tmp_path, session):
    served = tmp_path / "served"
    served.mkdir()

    async def once():
        async with session() as (dag, _):
            box = dag.container().from_("busybox")
            service = (
                box.with_directory("/www", dag.host().directory(str(served)))
                .with_exposed_port(8080)
                .as_service(args=["httpd", "-f", "-p", "8080", "-h", "/www"])
            )
            bound = box.with_service_binding("www", service)
            return await fetch(bound, "http://www:8080/").stdout()

    (served / "index.html").write_text("old")
    assert await once() == "old"
    (served / "index.html").write_text("new")
    assert await once() == "new"


async def test_a_started_service_is_reached_by_its_hostname_until_it_is_stopped(box):
    service = web(box, "named")
    await service.start()
    url = await service.endpoint(scheme="http")
    assert await fetch(box, url).stdout() == "named"
    await service.stop()
    with pytest.raises(dagger.ExecError):
        await fetch(box.with_env_variable("AGAIN", "1"), url).stdout()


async def test_a_tunnel_leads_from_the_host_to_a_service(dag, box):
    tunnel = dag.host().tunnel(web(box, "tunnelled"))
    await tunnel.start()
    url = await tunnel.endpoint(scheme="http")
    assert url.startswith("http://localhost:")
    body = await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(url).read())
    assert body == b"tunnelled"
    await tunnel.stop()
    with pytest.raises(OSError):
        await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(url).read())


@contextlib.contextmanager
def listening(text):
    """Serve a text to whoever connects to a port of this machine's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as accepted:
                        accepted.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_a_port_of_the_host_is_a_service(dag, box):
    with listening(b"from the host\n") as port:
        ports = [dagger.PortForward(backend=port, frontend=7070)]
        bound = box.with_service_binding("machine", dag.host().service(ports))
        assert await sh(bound, "nc machine 7070").stdout() == "from the host\n"


async def test_on_a_private_network_the_machines_loopback_is_another(dag):
    if not PRIVATE:
        pytest.skip("needs slirp4netns and /dev/net/tun")
    box = dag.container().from_("busybox")
    with listening(b"secret\n") as port:
        assert await sh(box, f"nc -w 1 127.0.0.1 {port} || echo refused").stdout() == "refused\n"


async def test_a_proxy_on_the_machines_loopback_is_reached(session, monkeypatch):
    with listening(b"I am the proxy\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with session() as (dag, _):
            box = dag.container().from_("busybox")
            script = (
                "nc ${HTTPS_PROXY#http://127.0.0.1:} 2>/dev/null; nc 127.0.0.1 ${HTTPS_PROXY##*:}"
            )
            assert await sh(box, script).stdout() == "I am the proxy\n"


async def test_a_service_that_never_listens_is_an_error_that_says_what_was_waited_for(
    session, monkeypatch, network
):
    monkeypatch.setenv("PIPELINES_SERVICE_TIMEOUT", "0.5")
    async with session() as (dag, _):
        box = dag.container().from_("busybox")
        mute = box.with_exposed_port(5432).as_service(args=["sh", "-c", "echo thinking; sleep 60"])
        bound = box.with_service_binding("db", mute)
        with pytest.raises(dagger.QueryError) as caught:
            await bound.with_exec(["true"]).sync()
    text = str(caught.value)
    assert "was not ready after 0.5 s: waiting for port 5432/tcp; it does not listen" in text
    assert "thinking" in text
    assert "PIPELINES_SERVICE_TIMEOUT" in text


async def test_a_service_on_its_own_loopback_is_told_so(session, monkeypatch):
    monkeypatch.setenv("PIPELINES_SERVICE_TIMEOUT", "0.5")
    async with session() as (dag, _):
        box = dag.container().from_("busybox")
        shy = box.with_exposed_port(80).as_service(args=["httpd", "-f", "-p", "127.0.0.1:80"])
        with pytest.raises(dagger.QueryError, match=r"its own loopback only: .* 0\.0\.0\.0"):
            await shy.start()


async def test_a_service_that_dies_before_it_is_ready_is_named_with_its_last_lines(box):
    dead = box.with_exposed_port(80).as_service(args=["sh", "-c", "echo no config >&2; exit 7"])
    bound = box.with_service_binding("db", dead)
    with pytest.raises(dagger.QueryError) as caught:
        await bound.with_exec(["true"]).sync()
    assert re.search(
        r"service s\w+ \(.*\) exited with code 7 before it was ready", str(caught.value)
    )
    assert "no config" in str(caught.value)


async def test_a_service_that_dies_while_bound_ends_the_command(box):
    script = "echo up; nc -l -p 8080 >/dev/null; nc -l -p 8080; echo falling; exit 9"
    mortal = box.with_exposed_port(8080).as_service(args=["sh", "-c", script])
    bound = box.with_service_binding("db", mortal)
    began = time.monotonic()
    with pytest.raises(dagger.QueryError) as caught:
        await sh(bound, "echo bye | nc db 8080; sleep 60").sync()
    assert time.monotonic() - began < 30
    assert "exited with code 9" in str(caught.value)
    assert "falling" in str(caught.value)
    assert "while a command was using it" in str(caught.value)


async def test_a_service_that_floods_its_log_does_not_flood_ours(session):
    async with session() as (dag, heard):
        box = dag.container().from_("busybox")
        flood = box.with_exposed_port(8080).as_service(
            args=["sh", "-c", "yes 'all is well' | head -c 30000000; httpd -f -p 8080"]
        )
        bound = box.with_service_binding("www", flood)
        await bound.with_exec(["true"]).sync()
    told = sum(len(e["text"]) for e in heard if e["event"] == "log")
    assert 1_000_000 < told < 2_000_000


async def test_a_stopped_service_gets_its_signal_first(dag, box):
    script = (
        "trap 'echo farewell > /kept/word; exit 0' TERM; httpd -p 8080; while :; do sleep 0.1; done"
    )
    volume = dag.cache_volume("words")
    service = (
        box.with_mounted_cache("/kept", volume)
        .with_exposed_port(8080)
        .as_service(args=["sh", "-c", script])
    )
    await service.start()
    await service.stop()
    kept = box.with_mounted_cache("/kept", volume)
    assert await kept.with_exec(["cat", "/kept/word"]).stdout() == "farewell\n"


async def test_one_that_ignores_its_signal_is_killed(box):
    script = "trap '' TERM; httpd -p 8080; while :; do sleep 0.1; done"
    service = box.with_exposed_port(8080).as_service(args=["sh", "-c", script])
    await service.start()
    began = time.monotonic()
    await service.stop(kill=True)
    assert time.monotonic() - began < 8


async def test_secrets_work_in_a_service_and_stay_out_of_its_log(session):
    async with session() as (dag, heard):
        box = dag.container().from_("busybox")
        script = "mkdir /www; echo $PASSWORD | tee /www/index.html; httpd -f -p 8080 -h /www"
        service = (
            box.with_secret_variable("PASSWORD", dag.set_secret("password", "correct-horse"))
            .with_exposed_port(8080)
            .as_service(args=["sh", "-c", script])
        )
        bound = box.with_service_binding("www", service)
        script = "wget -q -O- http://www:8080/ | tr a-z b-za"
        assert await sh(bound, script).stdout() == "dpssfdu-ipstf\n"
    logged = "".join(e["text"] for e in heard if e["event"] == "log")
    assert "correct-horse" not in logged
    assert "***" in logged


async def test_a_health_check_is_waited_for(box):
    script = "httpd -p 8080; sleep 0.3; touch /ready; while :; do sleep 1; done"
    service = (
        box.with_exposed_port(8080)
        .with_docker_healthcheck(["test", "-e", "/ready"])
        .as_service(args=["sh", "-c", script])
    )
    bound = box.with_service_binding("www", service)
    began = time.monotonic()
    await bound.with_exec(["true"]).sync()
    assert time.monotonic() - began > 0.3


async def test_a_session_ends_with_its_services_soon(store, network):
    from pipelines import connect

    async with connect(engine="embedded") as dag:
        box = dag.container().from_("busybox")
        stubborn = box.with_exposed_port(8080).as_service(
            args=["sh", "-c", "trap '' TERM; httpd -p 8080; while :; do sleep 0.1; done"]
        )
        await stubborn.start()
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_which_network_a_command_got_is_told(session, network):
    async with session() as (dag, heard):
        await dag.container().from_("busybox").with_exec(["true"]).sync()
    (finished,) = [e for e in heard if e["event"] == "exec" and e["state"] == "finished"]
    assert finished["network"] == network


async def test_without_a_way_out_a_port_below_1024_is_reached_all_the_same(
    session, monkeypatch, tmp_path
):
    """As an ordinary user without slirp4netns: the loopback's port 80 can not be had there."""
    monkeypatch.setenv("PIPELINES_NETWORK", "host")
    async with session() as (dag, heard):
        box = dag.container().from_("busybox")
        bound = box.with_service_binding("www", web(box, "low", 80))
        assert await fetch(bound, "http://www/").stdout() == "low"
    (finished,) = [e for e in heard if e["event"] == "exec" and e["state"] == "finished"]
    assert finished["network"] == ("host" if os.geteuid() == 0 else "private")
