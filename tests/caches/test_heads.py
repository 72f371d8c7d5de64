"""Heads: scopes, numbers, merging, and what is not believed."""

from dataclasses import dataclass, field

import pytest

from pipelines.caches.errors import Conflict, Missing, Unavailable, Untrusted
from pipelines.caches.heads import Heads, name_of, standing
from pipelines.caches.trust import SKEW, Signer, Verifier
from tests.caches.memory import Memory, Refuse, on

pytestmark = pytest.mark.anyio

DAY = 86400.0


@pytest.fixture
def anyio_backend():
    return "asyncio"


@dataclass(frozen=True)
class Gen:
    """A generation as a set of letters; its digest is what it holds."""

    held: frozenset[str]
    parents: tuple[str, ...] = field(default=(), compare=False)

    @property
    def digest(self):
        return "".join(sorted(self.held)).encode().hex().rjust(64, "0")


def gen(text, *parents):
    return Gen(frozenset(text), tuple(parent.digest for parent in parents))


def held(digest):
    return bytes.fromhex(digest).lstrip(b"\0").decode()


def merger(own):
    """Merge as a saver does: what was given before stays in."""
    state = {"own": own}

    async def merge(digest):
        theirs = frozenset(held(digest))
        mine = state["own"]
        state["own"] = Gen(mine.held | theirs, (mine.digest, digest))
        return state["own"]

    return merge


async def never(digest):
    raise AssertionError(f"{held(digest)} must not be merged")


def heads(transport, scope="trusted", **options):
    reads = ("trusted",) if scope == "trusted" else (scope, "trusted")
    return Heads(transport, reads, scope, **options)


async def test_what_is_published_is_found():
    transport = Memory()
    await heads(transport).publish("key", gen("a"), never)
    found = await heads(transport, "pr/1").find("key")
    assert (held(found.generation), found.scope, found.number) == ("a", "trusted", 1)
    assert await heads(transport).find("other") is None


async def test_the_own_scope_stands_before_trusted():
    transport = Memory()
    await heads(transport).publish("key", gen("a"), never)
    await heads(transport, "pr/1").publish("key", gen("b"), never)
    assert held((await heads(transport, "pr/1").find("key")).generation) == "b"
    assert held((await heads(transport, "pr/2").find("key")).generation) == "a"
    assert held((await heads(transport).find("key")).generation) == "a"


@pytest.mark.parametrize(
    ("reads", "writes"),
    [
        (("pr/1", "trusted"), "trusted"),
        (("pr/2",), "pr/1"),
        (("pr/1", "pr/2"), None),
        (("branch/x", "trusted"), "pr/1"),
        (("local",), "trusted"),
        (("trusted",), "pr/01"),
        (("trusted",), "pr/-1"),
        (("trusted",), "Trusted"),
        (("trusted",), "branch/"),
        (("trusted",), ""),
        (("",), None),
    ],
)
def test_rules_that_mix_scopes_are_refused(reads, writes):
    if writes == "":
        Heads(Memory(), reads, None)
        return
    with pytest.raises(Untrusted):
        Heads(Memory(), reads, writes)


async def test_a_base_is_not_merged_and_what_others_wrote_is():
    transport = Memory()
    base = gen("a")
    await heads(transport).publish("key", base, never)
    await heads(transport).publish("key", gen("ab", base), never)
    late = gen("ac", base)
    made = await heads(transport).publish("key", late, merger(late))
    assert made.held == frozenset("abc")
    found = await heads(transport).find("key")
    assert (held(found.generation), found.number) == ("abc", 3)


async def test_who_is_first_meanwhile_is_merged():
    transport = Memory()
    ours = gen("a")
    merge = merger(ours)

    async def slowly(digest):
        if held(digest) == "b":  # while we merge b, c comes in between
            await heads(transport).publish("key", gen("bc", gen("b")), never)
        return await merge(digest)

    await heads(transport).publish("key", gen("b"), never)
    made = await heads(transport).publish("key", ours, slowly)
    assert made.held == frozenset("abc")
    assert held((await heads(transport).find("key")).generation) == "abc"


async def test_a_generation_that_is_gone_is_replaced():
    transport = Memory()
    await heads(transport).publish("key", gen("a"), never)

    async def gone(digest):
        raise Missing("collected")

    publishing = heads(transport)
    await publishing.publish("key", gen("b"), gone)
    assert held((await heads(transport).find("key")).generation) == "b"
    assert "can not be merged" in publishing.refused[0]


async def test_a_run_without_a_scope_to_write_writes_nothing():
    with pytest.raises(Untrusted, match="no scope"):
        await Heads(Memory(), ("trusted",), None).publish("key", gen("a"), never)


async def test_with_a_key_a_head_must_be_signed_by_it():
    transport = Memory()
    signer, _ = Signer.make()
    other, _ = Signer.make()
    for publisher in (heads(transport), heads(transport, signer=other)):
        await publisher.publish("key", gen("a"), never)
        reader = heads(transport, "pr/1", verifier=Verifier(signer.public))
        assert await reader.find("key") is None
        assert len(reader.refused) == 1
    await heads(transport, signer=signer).publish("key", gen("b"), never)
    reader = heads(transport, "pr/1", verifier=Verifier(other.public, signer.public))
    assert held((await reader.find("key")).generation) == "b"


async def test_a_run_that_could_not_sign_does_not_write():
    signer, _ = Signer.make()
    transport = Memory()
    with pytest.raises(Untrusted, match="no key"):
        await heads(transport, verifier=Verifier(signer.public)).publish("key", gen("a"), never)
    assert not transport.names()


async def test_a_head_that_is_moved_is_not_believed():
    transport = Memory()
    await heads(transport, "pr/1").publish("key", gen("a"), never)
    stolen = transport.named[name_of("pr/1", "key")]
    for scope, key in (("trusted", "key"), ("pr/1", "other"), ("pr/2", "key")):
        transport.named[name_of(scope, key)] = stolen
        reader = heads(transport, scope)
        assert await reader.find(key) is None
        assert "moved" in reader.refused[0]


async def test_a_head_that_was_replaced_can_not_be_put_back(tmp_path):
    transport = Memory()
    await heads(transport).publish("key", gen("a"), never)
    old = transport.named[name_of("trusted", "key")]
    await heads(transport).publish("key", gen("ab", gen("a")), never)
    assert await heads(transport, "pr/1", memory=tmp_path).find("key")
    transport.named[name_of("trusted", "key")] = old
    reader = heads(transport, "pr/1", memory=tmp_path)
    assert await reader.find("key") is None
    assert "put back" in reader.refused[0]


async def test_a_backend_that_was_emptied_is_believed_again(tmp_path):
    transport, clock = Memory(), [1000.0 * DAY]
    options = {"memory": tmp_path, "now": lambda: clock[0]}
    for text in ("a", "ab"):
        await heads(transport, **options).publish("key", gen(text, gen("a")), never)
    transport.named.clear()
    clock[0] += DAY
    await heads(transport, now=lambda: clock[0]).publish("key", gen("c"), never)
    assert held((await heads(transport, **options).find("key")).generation) == "c"


@pytest.mark.parametrize(("after", "good"), [(0.0, True), (14 * DAY, True), (15 * DAY, False)])
async def test_a_head_expires_with_room_for_wrong_clocks(after, good):
    transport = Memory()
    await heads(transport, now=lambda: 1000 * DAY).publish("key", gen("a"), never)
    reader = heads(transport, "pr/1", now=lambda: 1000 * DAY + after)
    assert (await reader.find("key") is not None) == good


async def test_a_head_made_by_a_clock_that_is_ahead_is_believed():
    transport = Memory()
    await heads(transport, now=lambda: 1000 * DAY + SKEW).publish("key", gen("a"), never)
    assert await heads(transport, "pr/1", now=lambda: 1000 * DAY).find("key")


async def test_half_of_its_life_later_a_head_should_be_published_again():
    transport = Memory()
    await heads(transport, now=lambda: 1000 * DAY).publish("key", gen("a"), never)
    found = await heads(transport, "pr/1", now=lambda: 1000 * DAY).find("key")
    assert not found.ageing(1001 * DAY)
    assert found.ageing(1008 * DAY)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"pipelines head 1\n{}\n",
        b"pipelines head 1\n[]\n",
        b"pipelines head 2\n{}\n",
        b"pipelines head x\n{}\n",
        b"pipelines head 1\n" + b"[" * 60000 + b"\n",
        b"pipelines head 1\n" + b"x" * 65536,
        (
            b'pipelines head 1\n{"scope":"trusted","key":"key","generation":"../../x",'
            b'"number":1,"made":1,"expires":2}\n'
        ),
    ],
)
async def test_nonsense_is_a_miss_and_heals(content):
    transport = Memory()
    transport.named[name_of("trusted", "key")] = (content, 1)
    assert await heads(transport, "pr/1").find("key") is None
    await heads(transport).publish("key", gen("a"), never)
    assert await heads(transport, "pr/1").find("key")


async def test_every_bit_of_a_signed_head_counts():
    transport = Memory()
    signer, _ = Signer.make()
    await heads(transport, signer=signer).publish("key", gen("a"), never)
    name = name_of("trusted", "key")
    content, version = transport.named[name]
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1
        transport.named[name] = (bytes(flipped), version)
        reader = heads(transport, "pr/1", verifier=Verifier(signer.public))
        assert await reader.find("key") is None, at


async def test_a_backend_that_is_down_is_told():
    transport = Memory(faults=on("heads", Refuse(Unavailable)))
    with pytest.raises(Unavailable):
        await heads(transport).find("key")


async def test_who_is_always_late_gives_up(monkeypatch):
    async def at_once(_seconds):
        pass

    monkeypatch.setattr("anyio.sleep", at_once)
    transport = Memory(faults=on("swap", Refuse(Conflict)))
    with pytest.raises(Conflict, match="others were first"):
        await heads(transport).publish("key", gen("a"), never)


async def test_a_collector_sees_what_every_head_claims():
    transport = Memory()
    await heads(transport).publish("key", gen("a"), never)
    await heads(transport, "pr/1").publish("key", gen("b"), never)
    transport.named["heads/trusted/junk"] = (b"junk", 1)
    seen = {
        each.name: [held(c.generation) for c in each.claims] async for each in standing(transport)
    }
    assert sorted(seen.values()) == [[], ["a"], ["b"]]


@pytest.mark.parametrize("text", ["", "x", "A" * 43 + "!", "a" * 50])
def test_what_is_no_key_is_refused_without_showing_it(text):
    for make in (Signer, Verifier):
        with pytest.raises(ValueError, match="32 bytes") as caught:
            make(text)
        assert text == "" or text not in str(caught.value).split()
