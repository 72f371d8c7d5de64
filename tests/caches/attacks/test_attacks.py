"""The scripted attacker: no move succeeds, on any transport. One command:

python -m pytest tests/caches/attacks
"""

import re
from pathlib import Path

import pytest

from tests.caches.attacks.moves import DIRECTORY_MOVES, MOVES
from tests.caches.attacks.victim import GOOD, KEY, World, unmerged
from tests.caches.backends import KINDS, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SECURITY = Path(__file__).resolve().parents[3] / "docs/security.md"
# What these moves put back or add was saved by a trusted run; they look for themselves.
OWN = {"put back an old head", "leave a pack where a trusted run will write its own"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS)
def servers(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as servers:
        yield servers


@pytest.fixture
async def world(servers, tmp_path):
    world = await World.make(servers.give(), tmp_path)
    yield world
    await world.transport.aclose()


async def test_without_an_attacker_every_run_restores(world):
    for scope in ("trusted", "branch/x", "pr/7", "local"):
        assert await world.run(scope) == GOOD


async def hold(world, name, act):
    await act(world)
    for scope in ("trusted", "pr/8"):
        got = await world.run(scope)
        assert name in OWN or got is None or got == GOOD, f"{scope} restored what it must not"


@pytest.mark.parametrize("name", MOVES)
async def test_no_move_succeeds(world, name):
    await hold(world, name, MOVES[name])


@pytest.mark.parametrize("name", DIRECTORY_MOVES)
async def test_no_move_on_a_directory_succeeds(world, name):
    if world.backend.kind != "directory":
        return
    await hold(world, name, DIRECTORY_MOVES[name])


@pytest.mark.parametrize(
    "name", ["put a head of nonsense", "delete everything and put something else"]
)
async def test_the_next_trusted_save_heals(world, name):
    await MOVES[name](world)
    again = await world.save({"small": b"again"})
    await world.heads("trusted", signed=True).publish(KEY, again, unmerged)
    assert await world.run("pr/8") == {"small": b"again"}


async def test_the_attacker_can_succeed_where_nothing_is_verified(world):
    """Else the moves might prove nothing: without a key, location is all there is."""
    from pipelines.caches.heads import Heads

    await MOVES["put an unsigned head under a trusted name"](world)
    found = await Heads(world.transport, ("trusted",), None).find(KEY)
    assert found.generation != world.good.digest


def test_the_documentation_lists_every_move():
    listed = re.findall(r"^- ([^:*\n]+):", SECURITY.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted([*MOVES, *DIRECTORY_MOVES])
