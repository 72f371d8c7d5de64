"""Requests as the kernel reads them, and the counting of what programs leave."""

import struct

from pipelines.engine.network import hub, netlink


def test_an_attribute_is_padded_but_its_length_is_not():
    assert netlink.attribute(3, b"br0\0x") == struct.pack("=HH", 9, 3) + b"br0\0x\0\0\0"


def test_a_cable_has_its_far_end_in_the_other_namespace():
    kind, _, body = netlink.pair("v1", 7, "eth0", 33, 1500)
    assert kind == 16
    assert netlink.attribute(28, struct.pack("=I", 33)) in body
    assert netlink.attribute(10, struct.pack("=I", 7)) in body


def test_a_request_that_the_kernel_refuses_is_an_error():
    requests = netlink.Requests()
    try:
        requests.send(netlink.up(1 << 20))
    except OSError as error:
        assert error.errno in {1, 19}  # not permitted, or no such device
    else:
        raise AssertionError("an interface that is not there was brought up")
    finally:
        requests.close()


SOCKSTAT = "sockets: used 9\nTCP: inuse {} orphan 3 tw {} alloc 11 mem 2\nUDP: inuse {} mem 0\n"


def test_lingering_sockets_are_left_over_and_own_ones_are_not():
    assert hub.leftover(SOCKSTAT.format(1, 0, 0), own=1) == 0
    assert hub.leftover(SOCKSTAT.format(0, 2, 1), own=0) == 3
