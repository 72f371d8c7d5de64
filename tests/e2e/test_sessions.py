"""A session's life and death, and the store that it finds."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines._session import Session, command, environment
from tests.conftest import offspring, reaped

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox]

ROOT = Path(__file__).parents[2]
ENDS_WITHIN = 5.0
UNREACHABLE = 5


class Talk:
    """A session and what it tells; queries are sent by hand."""

    def __init__(self, **options):
        self.heard = []
        self.told = threading.Condition()
        self.session = Session.start(listen=self._listen, **options)

    def _listen(self, event):
        with self.told:
            self.heard.append(event)
            self.told.notify_all()

    @property
    def said(self):
        return "\n".join(e["text"] for e in self.heard if e["event"] == "stderr")

    def wait(self, state, count=1):
        """Wait for so many events of a state."""
        with self.told:
            assert self.told.wait_for(lambda: len(self.execs(state)) >= count, timeout=20), (
                self.heard
            )

    def execs(self, state):
        return [e["name"] for e in self.heard if e["event"] == "exec" and e["state"] == state]

    def connection(self, token=""):
        address = self.session.address()
        self.headers = {
            "Authorization": "Basic "
            + base64.b64encode(f"{token or address.token}:".encode()).decode()
        }
        return http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)

    def ask(self, query, token=""):
        connection = self.connection(token)
        with contextlib.closing(connection):
            connection.request("POST", "/query", json.dumps({"query": query}), self.headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture
def talk(store):
    """Start sessions; what the test leaves running is ended."""
    started = []

    def start(**options):
        started.append(Talk(**options))
        return started[-1]

    yield start
    for one in started:
        one.session.close()


def sh(*scripts, field="stdout"):
    """The query for a chain of commands."""
    chain = field
    for script in reversed(scripts):
        chain = f"withExec(args: {json.dumps(['sh', '-c', script])}) {{ {chain} }}"
    return f'{{ container {{ from(address: "busybox") {{ {chain} }} }} }}'


def printed(answer):
    status, body = answer
    assert status == 200
    assert "errors" not in body, body
    inner = body["data"]
    while isinstance(inner, dict):
        [inner] = inner.values()
    return inner


def busy(one):
    """Have a session in the middle of a long command; the query's thread ends with it."""

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            one.ask(sh("exec sleep 1000"))

    thread = threading.Thread(target=ask)
    thread.start()
    one.wait("started")
    return thread


def running(text):
    """The processes that have a text in their arguments."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if text.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
    return found


def until(condition, within=ENDS_WITHIN):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["stdin", "SIGTERM", "SIGINT"])
def test_a_session_ends_in_time_and_leaves_nothing(talk, store, way):
    before = offspring()
    one = talk()
    thread = busy(one)
    process = one.session.process
    assert process.stdin is not None
    began = time.monotonic()
    if way == "stdin":
        process.stdin.close()
    else:
        process.send_signal(signal.Signals[way])
    assert process.wait(ENDS_WITHIN) == 0
    assert time.monotonic() - began < ENDS_WITHIN
    thread.join()
    assert reaped(before) == {}
    assert list((store / "leases").iterdir()) == []
    assert [p for p in (store / "active").iterdir() if p.name != "incoming"] == []


def test_a_killed_session_leaves_no_process_and_the_next_is_right(talk, store):
    one = talk()
    thread = busy(one)
    until(lambda: running("sleep\x001000\x00"))
    one.session.kill()
    thread.join()
    until(lambda: not running("sleep\x001000\x00"))
    other = talk()
    assert printed(other.ask(sh("echo kept > /f", "cat /f"))) == "kept\n"
    assert len([p for p in (store / "leases").iterdir() if p.suffix != ".draft"]) == 1


def test_an_idle_session_ends_with_its_client(talk):
    one = talk()
    one.session.address()
    one.session.close()
    assert one.session.process.returncode == 0


# --- two at once ----------------------------------------------------------------------------


def test_two_sessions_on_an_empty_store_run_everything_once(talk):
    both = [talk(), talk()]
    scripts = ["sleep 0.3; echo 1 >> /f", "sleep 0.3; echo 2 >> /f", "cat /f; sleep 0.3"]
    answers = {}

    def ask(number):
        answers[number] = printed(both[number].ask(sh(*scripts)))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: "1\n2\n", 1: "1\n2\n"}
    started = both[0].execs("started") + both[1].execs("started")
    assert sorted(started) == sorted({f"sh -c {script}" for script in scripts})


# --- clients --------------------------------------------------------------------------------


def test_a_client_that_goes_away_cancels(talk):
    one = talk()
    connection = one.connection()
    query = json.dumps({"query": sh("exec sleep 1001")})
    connection.request("POST", "/query", query, one.headers)
    one.wait("started")
    until(lambda: running("sleep\x001001\x00"))
    connection.close()
    until(lambda: not running("sleep\x001001\x00"))
    assert printed(one.ask(sh("echo alive"))) == "alive\n"


def test_a_client_that_goes_away_does_not_take_from_others(talk):
    one = talk()
    query = sh("sleep 1; echo done")
    leaving = one.connection()
    leaving.request("POST", "/query", json.dumps({"query": query}), one.headers)
    one.wait("started")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(one.ask(query)))
    thread.start()
    time.sleep(0.2)
    leaving.close()
    thread.join()
    assert printed(answers[0]) == "done\n"
    assert len(one.execs("started")) == 1


def test_a_wrong_token_is_refused(talk):
    status, body = talk().ask("{ version }", token="wrong")
    assert status == 401
    assert "token" in body["errors"][0]["message"]


def test_an_unmodified_program_runs_through_the_cli_variable(store, tmp_path):
    program = tmp_path / "pipelines"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pipelines.cli.main "$@"\n')
    program.chmod(0o755)
    script = """
import anyio, dagger
from dagger import dag

async def main():
    async with dagger.connection():
        box = dag.container().from_("busybox")
        print(await box.with_exec(["echo", "no engine but ours"]).stdout(), end="")

anyio.run(main)
"""
    env = environment(os.environ) | {"_EXPERIMENTAL_DAGGER_CLI_BIN": str(program)}
    env.pop("DAGGER_SESSION_PORT", None)
    ran = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout, ran.returncode) == ("no engine but ours\n", 0), ran.stderr


# --- stores ---------------------------------------------------------------------------------


def refused(one):
    """How a session that can not go on ends: its exit code and words."""
    assert one.session.process.stdin is not None
    code = one.session.process.wait(20)
    one.session.close()
    return code, one.said


def test_a_store_of_a_newer_version_is_refused(talk, store):
    store.mkdir(parents=True, mode=0o700)
    (store / "version").write_text("99\n")
    code, said = refused(talk())
    assert code == UNREACHABLE
    assert "has format '99'" in said
    assert "upgrade pipelines, or set PIPELINES_CACHE_DIR" in said
    shutil.rmtree(store.parent)


def test_a_store_that_others_can_write_is_refused(talk, store):
    store.mkdir(parents=True)
    store.chmod(0o777)
    code, said = refused(talk())
    assert code == UNREACHABLE
    assert "can be written by others (mode 777)" in said
    assert f"chmod 700 {store}" in said
    shutil.rmtree(store.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="modes do not stop root of a user namespace")
def test_a_read_only_store_is_refused(talk, store):
    store.mkdir(parents=True, mode=0o500)
    program = command()
    if os.geteuid() == 0:  # modes do not stop root, a read-only mount does
        script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        program = ["unshare", "-m", "sh", "-c", script, str(store), *program]
    code, said = refused(talk(program=program))
    assert code == UNREACHABLE
    assert f"can not write to the store {store}: " in said
    assert "PIPELINES_CACHE_DIR" in said
    store.chmod(0o700)
    shutil.rmtree(store.parent)


def test_without_user_namespaces_it_is_said_what_to_enable(talk):
    limit = "/proc/sys/user/max_user_namespaces"
    lost = "-sys_admin"
    script = (
        f'echo 0 > {limit} || exit 99; exec setpriv --bounding-set {lost} --inh-caps {lost} "$@"'
    )
    program = ["unshare", "-Ur", "sh", "-c", script, "sh", *command()]
    code, said = refused(talk(program=program))
    if code in {1, 99, 127}:
        pytest.skip(f"the limit can not be simulated here: {said}")
    assert code == UNREACHABLE, said
    assert "user.max_user_namespaces" in said
    assert "--engine dagger" in said


@pytest.mark.parametrize("damage", [b"", b"\0" * 5000, b"SQLite format 3\0 but no more"])
def test_damaged_records_are_a_miss(talk, store, damage):
    one = talk()
    assert printed(one.ask(sh("echo kept > /f", "cat /f"))) == "kept\n"
    one.session.close()
    for path in store.glob("records.db*"):
        path.write_bytes(damage) if path.name == "records.db" else path.unlink()
    other = talk()
    assert printed(other.ask(sh("echo kept > /f", "cat /f"))) == "kept\n"
    assert len(other.execs("started")) == 2


def test_truncated_records_are_at_most_a_miss(talk, store):
    one = talk()
    assert printed(one.ask(sh("echo kept > /f", "cat /f"))) == "kept\n"
    one.session.close()
    path = store / "records.db"
    os.truncate(path, path.stat().st_size // 2)
    assert printed(talk().ask(sh("echo kept > /f", "cat /f"))) == "kept\n"


def test_a_layer_that_was_deleted_is_built_again(talk, store):
    one = talk()
    assert printed(one.ask(sh("echo kept > /f", "cat /f"))) == "kept\n"
    one.session.close()
    for layer in (store / "snapshots").iterdir():
        shutil.rmtree(layer)
    other = talk()
    assert printed(other.ask(sh("echo kept > /f", "cat /f", "cat /f #"))) == "kept\n"


FULL_DISK = """
import subprocess, sys
from tests.e2e.test_sessions import Talk, printed, sh
from pipelines._session import command

root = sys.argv[1]
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], check=True)
mount("size=24m,mode=0700")
one = Talk()
assert printed(one.ask(sh("echo before"))) == "before\\n"
for query in (sh("head -c 60000000 /dev/zero"), sh("dd if=/dev/zero of=/f bs=1M count=60")):
    status, body = one.ask(query)
    print(body["errors"][0])
assert printed(one.ask(sh("echo between"))) == "between\\n"
one.session.close()
mount("remount,size=300m")
other = Talk()
assert printed(other.ask(sh("echo before"))) == "before\\n"
assert other.execs("started") == []
assert printed(other.ask(sh("head -c 60000000 /dev/zero > /f", "wc -c < /f"))) == "60000000\\n"
other.session.close()
verified = subprocess.run([*command("--cache", "verify")], capture_output=True, text=True)
print(verified.stdout)
sys.exit(verified.returncode)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_is_said_and_loses_nothing(store):
    store.mkdir(parents=True, mode=0o700)
    env = environment(os.environ)
    env["PYTHONPATH"] = str(ROOT)
    ran = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", FULL_DISK, str(store)],
        env=env,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    by_output, by_file, *_ = ran.stdout.splitlines()
    assert "no room in the store to run" in by_output
    assert "STORE_FULL" in by_output
    assert "pipelines cache prune" in by_output
    assert "No space left on device" in by_file
