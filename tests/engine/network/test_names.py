"""What a command is told of names, and which network a session takes."""

from ipaddress import IPv4Network

import pytest

from pipelines.engine.network import names


def test_on_a_private_network_the_own_name_has_the_own_address():
    text = names.hosts(("web",), "10.213.0.10", [("db", "10.213.0.11")]).decode()
    assert text.splitlines() == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost",
        "10.213.0.10\tweb",
        "10.213.0.11\tdb",
    ]


def test_on_the_machines_network_the_own_name_is_the_loopback():
    assert names.hosts(("web",), "", []).startswith(b"127.0.0.1\tlocalhost web\n")


def test_name_servers_on_the_loopback_are_replaced_by_the_uplinks():
    given = "search example.test\nnameserver 127.0.0.53\nnameserver ::1\noptions edns0\n"
    said = names.resolv_conf(given, "10.213.0.3").decode().splitlines()
    assert said == ["nameserver 10.213.0.3", "search example.test", "options edns0"]


def test_name_servers_that_can_be_reached_stay():
    assert names.resolv_conf("nameserver 192.0.2.53\n", "x") == b"nameserver 192.0.2.53\n"


@pytest.mark.parametrize(
    ("value", "ports"),
    [
        ("http://127.0.0.1:3128", (3128,)),
        ("http://localhost", (80,)),
        ("https://u:p@127.0.0.1:8443/x", (8443,)),
        ("http://127.0.0.1:3000/go,https://example.test,direct", (3000,)),
        ("127.0.0.1:3128", (3128,)),
        ("http://proxy.example.test:3128", ()),
        ("localhost,127.0.0.1,.example.test", ()),
        ("http://[bad", ()),
        ("off", ()),
    ],
)
def test_the_loopback_ports_of_proxies_are_found(value, ports):
    assert names.loopback_ports({"HTTP_PROXY": value}) == ports


ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
"""


def test_the_table_of_routes_is_read_without_the_default():
    assert names.routes(ROUTES) == [IPv4Network("192.0.2.0/24"), IPv4Network("10.0.0.0/8")]


def test_a_session_takes_no_network_that_the_machine_has_a_way_to():
    assert names.choose([], "") == IPv4Network("10.213.0.0/16")
    assert names.choose(names.routes(ROUTES), "") == IPv4Network("172.29.0.0/16")
    assert names.choose([], "nameserver 10.213.0.9") == IPv4Network("172.29.0.0/16")
