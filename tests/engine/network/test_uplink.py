"""slirp4netns: what it is told, and what is said where it can not be had."""

from ipaddress import IPv4Network

import pytest

from pipelines.engine.network import uplink

NETWORK = IPv4Network("10.213.0.0/16")


def test_the_machines_loopback_is_kept_out():
    words = uplink.command("slirp4netns", NETWORK, "/ns", 3, 4, confined=True)
    assert "--disable-host-loopback" in words
    assert words[-2:] == ["/ns", "tap0"]
    assert "--enable-sandbox" in words
    assert "--enable-sandbox" not in uplink.command("s", NETWORK, "/ns", 3, 4, confined=False)


def test_what_is_not_installed_is_named(tmp_path):
    with pytest.raises(uplink.NoUplink, match="install the package slirp4netns"):
        uplink.start(NETWORK, "/ns", 0, str(tmp_path))
