"""Secrets reach the command that asked for them, and nothing else."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import dagger
import pytest

from pipelines import connect
from pipelines._session import Session, environment
from tests.conftest import offspring, reaped
from tests.e2e.conftest import ask

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

HIDDEN = "correct-horse-battery"


@pytest.fixture
def heard():
    return []


@pytest.fixture
async def box(store, heard):
    async with connect(session=Session.start(listen=heard.append)) as dag:
        yield dag.container().from_("busybox")


@pytest.fixture
def secret(box):
    return dagger.dag.set_secret("token", HIDDEN)


def found_below(root: Path) -> list[str]:
    """Every file below a directory that has the secret in it."""
    found = subprocess.run(["grep", "-rlaF", HIDDEN, root], capture_output=True, text=True)
    return found.stdout.splitlines()


def found_in_processes() -> list[str]:
    """The command line of every process that has the secret in its arguments or environment."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                data = Path(f"/proc/{entry}/{name}").read_bytes()
                line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if HIDDEN.encode() in data:
                found.append(f"{name}: {line}")
    return found


async def test_a_command_gets_it_as_a_variable_and_as_a_file(box, secret):
    asked = box.with_secret_variable("TOKEN", secret).with_mounted_secret("/run/token", secret)
    script = "echo $TOKEN | wc -c; wc -c < /run/token; stat -c %a /run/token"
    assert (await asked.with_exec(["sh", "-c", script]).stdout()).split() == ["22", "21", "400"]


async def test_its_file_has_the_mode_and_owner_asked_for(box, secret):
    owner = "5:6" if os.geteuid() == 0 else ""
    asked = box.with_mounted_secret("/run/token", secret, mode=0o444, owner=owner)
    shown = await asked.with_exec(["stat", "-c", "%a %u:%g", "/run/token"]).stdout()
    assert shown == ("444 5:6\n" if owner else "444 0:0\n")


async def test_it_is_scrubbed_from_what_is_printed_also_when_it_comes_in_pieces(box, secret):
    pieces = (
        "printf %s ${TOKEN%horse*}; sleep 0.2; printf '%s\\n' ${TOKEN#correct-}; echo $TOKEN >&2"
    )
    ran = box.with_secret_variable("TOKEN", secret).with_exec(["sh", "-c", pieces])
    assert HIDDEN not in await ran.stdout() + await ran.stderr() + await ran.combined_output()
    assert "***" in await ran.stdout()


async def test_it_is_nowhere_while_the_command_runs(box, secret, store, tmp_path):
    asked = box.with_secret_variable("TOKEN", secret).with_mounted_secret("/run/token", secret)
    marked = asked.with_env_variable("MARK", str(tmp_path)).with_exec(
        ["sh", "-c", "echo started; exec sleep 4"]
    )
    async with anyio.create_task_group() as group:
        group.start_soon(marked.sync)
        with anyio.fail_after(10):
            while not (seen := found_in_processes()):
                await anyio.sleep(0.05)
        seen = found_in_processes()
        assert found_below(store) == []
        group.cancel_scope.cancel()
    allowed = ("environ: sleep 4", "environ: sh -c")
    assert all(line.startswith(allowed) for line in seen), seen


async def test_it_is_nowhere_afterwards(box, secret, store, heard):
    asked = box.with_secret_variable("TOKEN", secret).with_mounted_secret("/run/token", secret)
    await asked.with_exec(["sh", "-c", "echo $TOKEN; cat /run/token; true > /made"]).sync()
    with pytest.raises(dagger.ExecError) as caught:
        await asked.with_exec(["sh", "-c", "echo $TOKEN; cat /run/token >&2; exit 1"]).sync()
    told = f"{caught.value} {caught.value.stdout} {caught.value.stderr} {caught.value.__cause__}"
    assert HIDDEN not in told
    assert HIDDEN not in json.dumps(heard)
    assert [event for event in heard if event["event"] == "log"] != []
    assert found_below(store) == []
    assert found_in_processes() == []


async def test_a_secret_of_several_lines_is_scrubbed_line_by_line(box):
    key = dagger.dag.set_secret("key", "first-line-of-it\nsecond-line-of-it\n")
    ran = box.with_mounted_secret("/key", key).with_exec(["tail", "-n1", "/key"])
    assert "second-line-of-it" not in await ran.stdout()


async def test_where_it_was_mounted_nothing_is_left(box, secret):
    ran = box.with_mounted_secret("/run/token", secret).with_exec(["true"])
    assert not await ran.rootfs().exists("run/token")
    with pytest.raises(dagger.QueryError, match="cannot retrieve path from secret"):
        await ran.file("/run/token").contents()


async def test_it_can_not_be_put_into_an_argument(box, secret):
    asked = box.with_secret_variable("TOKEN", secret)
    with pytest.raises(dagger.QueryError, match="TOKEN"):
        await asked.with_exec(["echo", "${TOKEN}"], expand=True).sync()


async def test_its_value_comes_from_the_environment_or_a_file(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "of-the-environment")
    (tmp_path / "file").write_text("of-the-file")
    async with connect(engine="embedded") as dag:
        assert await dag.secret("env://MY_TOKEN").plaintext() == "of-the-environment"
        by_file = dag.secret(f"file://{tmp_path / 'file'}")
        assert await by_file.uri() == f"file://{tmp_path / 'file'}"
        box = dag.container().from_("busybox").with_mounted_secret("/s", by_file)
        assert await box.with_exec(["wc", "-c", "/s"]).stdout() == "11 /s\n"
        assert await dag.set_secret("n", "v").name() == "n"
        with pytest.raises(dagger.QueryError, match="NOT_SET: the variable is not set"):
            await dag.secret("env://NOT_SET").plaintext()


async def test_rotating_it_runs_nothing_again(box, heard):
    for value in ("old-value", "new-value"):
        token = dagger.dag.set_secret("token", value)
        asked = box.with_secret_variable("TOKEN", token)
        await asked.with_exec(["sh", "-c", "echo ${#TOKEN}"]).sync()
    states = [event["state"] for event in heard if event["event"] == "exec"]
    assert states.count("started") == 1


async def test_another_name_is_another_secret(box, heard):
    for name in ("one", "two"):
        token = dagger.dag.set_secret(name, "value-of-it")
        await box.with_secret_variable("TOKEN", token).with_exec(["true"]).sync()
    states = [event["state"] for event in heard if event["event"] == "exec"]
    assert states.count("started") == 2


async def test_volatile_values_are_seen_and_key_nothing(box, heard):
    shown = [
        await box.with_volatile_variable("RUN_ID", number)
        .with_exec(["sh", "-c", "echo $RUN_ID"])
        .stdout()
        for number in ("1", "2")
    ]
    assert shown == ["1\n", "1\n"]
    assert [e["state"] for e in heard if e["event"] == "exec"].count("started") == 1


async def test_a_program_that_is_asked_for_one_ends_with_the_session(store, tmp_path):
    before, started = offspring(), tmp_path / "started"
    session = Session.start()
    query = f'{{secret(uri:"cmd://touch {started}; sleep 100"){{plaintext}}}}'
    asking = threading.Thread(target=ask, args=(session.address(), query))
    asking.start()
    with anyio.fail_after(20):
        while not started.exists():
            await anyio.sleep(0.02)
    session.close()
    assert reaped(before) == {}
    asking.join()


def test_the_command_line_names_where_a_secret_is(store, tmp_path):
    (tmp_path / "ci.py").write_text(
        "import dagger\n\n\nasync def show(token: dagger.Secret) -> str:\n"
        '    """Show it."""\n    return await token.plaintext()\n'
    )
    (tmp_path / "token").write_text("of-the-file")
    for given, value in (("cmd:echo of-$((40+2))", "of-42\n"), ("file:token", "of-the-file")):
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "pipelines.cli.main", "run", "show", "--token", given],
            cwd=tmp_path,
            env=environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert ran.stdout.strip() == value.strip(), ran.stderr
