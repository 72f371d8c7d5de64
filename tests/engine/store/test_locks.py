import anyio
import pytest

from pipelines.engine.digest import Digest, digest_bytes
from pipelines.engine.store.locks import Locks

pytestmark = pytest.mark.anyio
KEY = digest_bytes(b"key")


@pytest.fixture
def locks(layout):
    made = Locks(layout)
    yield made
    made.close()


async def test_one_at_a_time_holds_a_key(locks):
    inside, most = 0, 0

    async def work():
        nonlocal inside, most
        async with locks.locked(KEY):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0)
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
    assert (inside, most) == (0, 1)


async def test_two_keys_do_not_wait_for_each_other(locks):
    async with locks.locked(KEY), locks.locked(digest_bytes(b"other")):
        assert len(locks._held) == 2


async def test_the_highest_and_lowest_keys_have_locks(locks):
    async with locks.locked(Digest.of_hex("f" * 64)), locks.locked(Digest.of_hex("0" * 64)):
        assert len(locks._held) == 2


async def test_a_failed_block_gives_the_key_back(locks):
    with pytest.raises(RuntimeError):
        async with locks.locked(KEY):
            raise RuntimeError
    async with locks.locked(KEY):
        pass


async def test_waiting_can_be_cancelled(locks):
    async with locks.locked(KEY):
        with anyio.move_on_after(0.01) as scope:
            async with locks.locked(KEY):
                raise AssertionError
    assert scope.cancelled_caught


async def test_a_key_is_exclusive_across_processes_and_freed_by_death(locks, other):
    process = other("""
        async def main():
            async with Locks(layout).locked(digest_bytes(b"key")):
                print("held", flush=True)
                await anyio.sleep_forever()
        anyio.run(main)
    """)
    assert process.stdout.readline() == "held\n"
    with anyio.move_on_after(0.05) as scope:
        async with locks.locked(KEY):
            raise AssertionError
    assert scope.cancelled_caught
    process.kill()
    with anyio.fail_after(10):
        async with locks.locked(KEY):
            pass
