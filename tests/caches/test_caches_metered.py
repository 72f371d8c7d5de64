"""Meters and shares: bytes, requests, latency, bandwidth, and parts of wall time."""

import pytest

from pipelines.caches.errors import Missing, Unavailable
from pipelines.caches.metered import Meter, Metered
from pipelines.caches.policy import Link
from pipelines.caches.shares import Shares
from pipelines.caches.transport import Head

MB = 10**6


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_meter_that_measured_nothing_knows_the_default(clock):
    assert Meter(clock).link == Link()


def test_small_requests_tell_of_latency(clock):
    meter = Meter(clock)
    for took in (0.3, 0.1, 0.2):
        began = meter.begin()
        clock.now += took
        meter.end(began, received=100)
    assert meter.link.latency == pytest.approx(0.1)
    assert not meter.link.seen


def test_large_requests_side_by_side_share_their_time(clock):
    meter = Meter(clock)
    began = meter.begin()
    clock.now += 0.1
    meter.end(began)
    flying = [meter.begin() for _ in range(4)]
    clock.now += 1.1
    for began in flying:
        meter.end(began, received=25 * MB)
    assert meter.link.bandwidth == pytest.approx(100 * MB)
    assert (meter.requests, meter.received) == (5, 100 * MB)


def test_time_between_requests_is_nobodys(clock):
    meter = Meter(clock)
    for _ in range(2):
        began = meter.begin()
        clock.now += 1.02
        meter.end(began, sent=10 * MB)
        clock.now += 60
    assert meter.link.bandwidth == pytest.approx(10 * MB)
    assert meter.sent == 20 * MB


def test_a_failure_tells_nothing(clock):
    meter = Meter(clock)
    began = meter.begin()
    clock.now += 30
    meter.end(began, failed=True)
    assert meter.link == Link()


class Backend:
    url = "memory:"

    async def read(self, name, start=0, length=None):
        if name == "missing":
            raise Missing(name)
        if name == "broken":
            raise Unavailable(name)
        return b"x" * 10

    async def write(self, name, content):
        return name != "there"

    async def heads(self, name):
        return [Head(b"abc", "1"), Head(b"de", "2")]

    async def swap(self, name, content, seen):
        pass

    async def list(self, prefix):
        yield prefix

    async def delete(self, name):
        pass

    async def aclose(self):
        pass


@pytest.mark.anyio
async def test_a_metered_transport_counts_what_goes_over_it():
    metered = Metered(Backend())
    assert await metered.read("x") == b"x" * 10
    assert len(await metered.heads("x")) == 2
    assert await metered.write("new", b"1234")
    assert not await metered.write("there", b"1234")
    await metered.swap("x", b"12", [])
    await metered.delete("x")
    assert [item async for item in metered.list("p")] == ["p"]
    meter = metered.meter
    assert (meter.received, meter.sent, meter.requests) == (15, 6, 7)


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "error"), [("missing", Missing), ("broken", Unavailable)])
async def test_errors_pass_through_and_are_counted(name, error):
    metered = Metered(Backend())
    with pytest.raises(error):
        await metered.read(name)
    assert metered.meter.requests == 1


def test_one_command_has_all_the_time(clock):
    shares = Shares(clock)
    clock.now = 5.0
    shares.started("a")
    clock.now = 8.0
    assert shares.ended("a") == 3.0


def test_shares_add_up_to_the_time_in_which_anything_ran(clock):
    shares = Shares(clock)
    shares.started("a")
    clock.now = 2.0
    shares.started("b")
    clock.now = 6.0
    one = shares.ended("a")
    clock.now = 7.0
    other = shares.ended("b")
    clock.now = 100.0
    shares.started("c")
    clock.now = 101.0
    assert (one, other, shares.ended("c")) == (4.0, 3.0, 1.0)
