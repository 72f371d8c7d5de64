"""A cache that is saved on one engine is restored on the other, exactly, both ways."""

import json

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

LIST = "find . -mindepth 1 -exec stat -c '%n %f %s %y %h %u:%g' {} + | sort"
FILL = (
    "mkdir -p d/deep; head -c 300000 /dev/urandom > d/large; echo a > d/a; ln d/a d/deep/hard;"
    "ln -s ../a d/deep/soft; echo x > 'a b'; chmod 4755 d/a; chmod 750 d; touch -d @100000000 d;"
    "chown -h 77:88 'a b'"
)
SUMS = "find . -type f -exec sha256sum {} + | sort; readlink d/deep/soft"


@pytest.mark.parametrize(
    "engines", [("dagger", "embedded"), ("embedded", "dagger"), ("dagger", "dagger")]
)
async def test_what_one_saves_the_other_restores_exactly(run, key, engines):
    saved = await run(engines[0], "one", key, f"{FILL}; {LIST}; {SUMS}")
    assert await run(engines[1], "two", key, f"{LIST}; {SUMS}") == saved


async def test_both_add_to_one_cache_and_only_what_is_new_is_sent(run, key, backend):
    for machine, engine in enumerate(("embedded", "dagger", "embedded", "dagger")):
        await run(engine, str(machine), key, f"head -c 100000 /dev/urandom > {machine}")
        sizes = sorted(path.stat().st_size for path in (backend / "packs").iterdir())
        assert len([size for size in sizes if size > 90_000]) == machine + 1
    assert await run("dagger", "last", key, "ls") == "0\n1\n2\n3\n"


async def test_what_came_of_it_is_in_the_ledger(run, key, tmp_path):
    await run("dagger", "one", key, "echo a > a")
    await run("dagger", "two", key, "cat a")
    told = {}
    for machine in ("one", "two"):
        lines = (tmp_path / machine / "pipelines/ledger.jsonl").read_text().splitlines()
        told[machine] = [json.loads(line)["did"] for line in lines]
    assert told == {"one": ["missed", "saved"], "two": ["restored"]}


async def test_a_run_that_fails_saves_what_it_has_made(run, key):
    async with run.connected("dagger", "one") as (dag, box):
        mounted = box.with_mounted_cache("/v", dag.cache_volume(key)).with_env_variable("K", key)
        await mounted.with_exec(["touch", "/v/before"]).sync()
        with pytest.raises(dagger.ExecError):
            await mounted.with_exec(["sh", "-c", "touch /v/after; exit 3"]).sync()
    assert await run("dagger", "two", key, "ls") == "after\nbefore\n"


async def test_what_an_engine_has_kept_is_used_as_it_is(run, key):
    saved = await run("dagger", "other", key, f"{FILL}; {LIST}")
    for _ in range(3):
        assert await run("dagger", "mine", key, LIST) == saved
    await run("dagger", "mine", key, "rm d/large")
    assert await run("dagger", "mine", key, "ls d") == "a\ndeep\n"
