"""Services: started, bound, looked at, stopped."""

import socket

import dagger

from tests.parity.case import Differs, Fails, Given, case
from tests.webserver import Reply
from tests.webserver import web as host_web

C, S = "Container.", "Service."


def web(given: Given, text: str = "served\n", port: int = 8080) -> dagger.Container:
    it = given.box.with_new_file("/www/index.html", text).with_exposed_port(port)
    return it.with_default_args(["httpd", "-f", "-p", str(port), "-h", "/www"])


@case(C + "asService", C + "withServiceBinding", gives="served\n")
async def a_command_reaches_a_service_by_its_alias(given: Given):
    it = given.box.with_service_binding("web", web(given).as_service())
    return await it.with_exec(["wget", "-qO-", "http://web:8080/"]).stdout()


@case(C + "asService", C + "withServiceBinding", gives="one\ntwo\n")
async def two_services_on_one_port_do_not_clash(given: Given):
    it = given.box.with_service_binding("one", web(given, "one\n").as_service())
    it = it.with_service_binding("two", web(given, "two\n").as_service())
    script = "wget -qO- http://one:8080/; wget -qO- http://two:8080/"
    return await it.with_exec(["sh", "-c", script]).stdout()


@case(C + "asService", gives=["args\n", "entrypoint\n"])
async def a_service_is_told_what_to_run(given: Given):
    bare = given.box.with_exposed_port(8080)
    one = bare.with_new_file("/www/index.html", "args\n").as_service(
        args=["httpd", "-f", "-p", "8080", "-h", "/www"]
    )
    two = bare.with_new_file("/www/index.html", "entrypoint\n").with_entrypoint(["httpd"])
    two = two.with_default_args(["-f", "-p", "8080", "-h", "/www"]).as_service(use_entrypoint=True)
    answers = []
    for service in (one, two):
        it = given.box.with_service_binding("web", service)
        answers.append(await it.with_exec(["wget", "-qO-", "http://web:8080/"]).stdout())
    return answers


@case(S + "start", S + "stop", S + "endpoint", S + "hostname", S + "ports", "Port.port",
      gives=[True, True, [8080]])  # fmt: skip
async def a_started_service_says_where_it_is(given: Given):
    service = await web(given).as_service().start()
    name = await service.hostname()
    answers = [
        await service.endpoint(scheme="http") == f"http://{name}:8080",
        await service.endpoint() == f"{name}:8080",
        [await port.port() for port in await service.ports()],
    ]
    await service.stop()
    return answers


@case(S + "withHostname", S + "hostname", C + "withServiceBinding", gives=["named", "served\n"])
async def a_service_is_named(given: Given):
    service = web(given).as_service().with_hostname("named")
    it = given.box.with_service_binding("web", service)
    return [
        await service.hostname(),
        await it.with_exec(["wget", "-qO-", "http://web:8080/"]).stdout(),
    ]


@case(
    S + "start",
    gives=Fails("with code 3"),
    differs=Differs(
        "What failed is a service: the error names it and has its last words.",
        dagger=Fails("exit code: 3", "ExecError"),
    ),
)
async def a_service_that_dies_at_once_is_an_error(given: Given):
    dying = given.box.with_exposed_port(8080).as_service(args=["sh", "-c", "exit 3"])
    await dying.start()
    return "started"


@case(C + "withExec", gives=Fails("(?i)bad address|nope", "ExecError"))
async def what_is_not_bound_is_not_found(given: Given):
    return await given.box.with_exec(["wget", "-qO-", "http://nope:8080/"]).sync()


@case("Host.tunnel", S + "start", S + "endpoint", gives="HTTP/1.")
async def a_tunnel_leads_to_a_service(given: Given):
    tunnel = await given.dag.host().tunnel(web(given).as_service()).start()
    host, _, port = (await tunnel.endpoint()).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as there:
        there.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = there.recv(7)
    await tunnel.stop()
    return answer.decode()


@case("Host.service", C + "withServiceBinding", gives="from the host")
async def a_service_of_the_host_is_reached(given: Given):
    with host_web() as server:
        server.pages["/f"] = Reply(body=b"from the host")
        port = int(server.url.rpartition(":")[2])
        forward = dagger.PortForward(backend=port, frontend=8000)
        it = given.box.with_service_binding("host", given.dag.host().service([forward]))
        return await it.with_exec(["wget", "-qO-", "http://host:8000/f"]).stdout()


@case(C + "asService", C + "withServiceBinding", gives="fresh\n")
async def an_exec_before_a_service_is_in_its_files(given: Given):
    made = given.sh("mkdir /www; echo fresh > /www/index.html").with_exposed_port(8080)
    service = made.as_service(args=["httpd", "-f", "-p", "8080", "-h", "/www"])
    it = given.box.with_service_binding("web", service)
    return await it.with_exec(["wget", "-qO-", "http://web:8080/"]).stdout()


@case(C + "withServiceBinding", gives=True)
async def a_bound_command_is_not_run_again(given: Given):
    answers = []
    for _ in range(2):
        it = given.box.with_service_binding("web", web(given, "keyed\n").as_service())
        ran = it.with_exec(["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"])
        answers.append(await ran.stdout())
    return answers[0] == answers[1]


@case(S + "sync", S + "hostname", gives=True)
async def a_synced_service_goes_on(given: Given):
    service = await web(given).as_service().sync()
    return len(await service.hostname()) > 0


@case("Address.service", C + "withServiceBinding", gives="from the host")
async def an_address_leads_to_a_service_of_the_host(given: Given):
    with host_web() as server:
        server.pages["/f"] = Reply(body=b"from the host")
        port = server.url.rpartition(":")[2]
        service = given.dag.address(f"tcp://127.0.0.1:{port}").service()
        it = given.box.with_service_binding("host", service)
        return await it.with_exec(["wget", "-qO-", f"http://host:{port}/f"]).stdout()
