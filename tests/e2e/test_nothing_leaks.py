"""Every way to give a secret, at once: it is in no other process, and nowhere afterwards.

Kinds: a variable of the environment, a file, a program's output, setSecret, the password of a
registry, a token for git, a password in a git address, a header for the web. While the program
runs, the arguments and environments of every process of the machine are read again and again;
afterwards the store, the exported image, the session's events and its errors are searched, for
each value raw, in base64 and URL-encoded.
"""

import base64
import io
import json
import os
import secrets as randomness
import shutil
import tarfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

import dagger
import pytest

from pipelines import connect
from pipelines._session import Session
from tests.fake_registry import FakeRegistry
from tests.gitserver import Repository, basic, serving
from tests.webserver import Reply, web

BUSYBOX = Path("/bin/busybox")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.skipif(not shutil.which("git"), reason="git is not installed"),
    pytest.mark.skipif(not BUSYBOX.exists(), reason="busybox-static is not installed"),
]

KINDS = ["env", "file", "cmd", "set", "registry", "git", "address", "http"]
SCRIPT = r"""
for value in "$A" "$B" "$C" "$D" "$(cat /run/set)"; do
  echo "$value"; echo "$value" >&2; printf %s "$value" | base64; printf "u:%s" "$value" | base64
done
sleep 1.5
"""


@pytest.fixture
def values():
    """One value a kind, of which no form is like another."""
    return {kind: f"{kind}/{randomness.token_hex(12)}+={randomness.token_hex(4)}" for kind in KINDS}


def spellings(value: str) -> list[bytes]:
    """Spell a value by other means than the engine's; base64 without what neighbours change."""
    raw = value.encode()
    coded = [base64.b64encode(b"x" * pad + raw)[4:-4] for pad in range(3)]
    return [raw, *coded, quote(value, safe="").encode()]


class Watcher(threading.Thread):
    """Reads what every process shows of itself, over and over; `found` are its finds."""

    def __init__(self, values):
        super().__init__()
        self._raw = {kind: value.encode() for kind, value in values.items()}
        self.found, self.rounds, self.over = set(), 0, False

    def run(self):
        while not self.over:
            for entry in filter(str.isdigit, os.listdir("/proc")):
                self._look(entry)
            self.rounds += 1

    def _look(self, entry):
        for name in ("cmdline", "environ"):
            try:
                shown = Path(f"/proc/{entry}/{name}").read_bytes()
                command = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            for kind, raw in self._raw.items():
                if raw in shown:
                    words = b" ".join(command[:8]).decode("utf-8", "replace")
                    self.found.add((kind, name, words))


@pytest.fixture
def watcher(values):
    made = Watcher(values)
    made.start()
    yield made
    made.over = True
    made.join()


@pytest.fixture
def world(tmp_path, values):
    """Serve a private registry, two private repositories and a private file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for name in ("sh", "cat", "base64", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    for name in ("git", "address"):
        Repository(tmp_path / "served" / name).commit(file="text")
    with (
        FakeRegistry(users={"me": values["registry"]}) as registry,
        serving(tmp_path / "served", basic("x-access-token", values["git"])) as git,
        serving(tmp_path / "served", basic("me", values["address"])) as by_address,
        web() as site,
    ):
        registry.image("app", "1", [packed.getvalue()])
        site.pages["/f"] = lambda headers: Reply(
            200 if headers.get("authorization") == f"Bearer {values['http']}" else 401, b"body"
        )
        yield registry, git, by_address, site


async def program(dag, world, values, room):
    """Use everything; what is made ends up in an image."""
    registry, git, by_address, site = world
    login = dag.set_secret("registry", values["registry"])
    token = dag.set_secret("git", values["git"])
    header = dag.set_secret("http", f"Bearer {values['http']}")
    host = by_address.url.removeprefix("http://")
    named = f"http://me:{quote(values['address'], safe='')}@{host}/address"
    box = (
        dag.container()
        .with_registry_auth(registry.host, "me", login)
        .from_(f"{registry.host}/app:1")
        .with_directory("/git", dag.git(f"{git.url}/git", http_auth_token=token).head().tree())
        .with_directory("/address", dag.git(named).head().tree())
        .with_file("/f", dag.http(f"{site.url}/f", auth_header=header))
        .with_secret_variable("A", dag.secret("env://LEAK_TEST_ENV"))
        .with_secret_variable("B", dag.secret(f"file://{room / 'file'}"))
        .with_secret_variable("C", dag.secret(f"cmd://cat {room / 'cmd'}"))
        .with_secret_variable("D", dag.set_secret("set", values["set"]))
        .with_mounted_secret("/run/set", dag.set_secret("set", values["set"]))
    )
    ran = await box.with_exec(["sh", "-c", SCRIPT + "echo made > /made"]).sync()
    shown = await ran.stdout() + await ran.stderr() + await ran.combined_output()
    with pytest.raises(dagger.ExecError) as caught:
        await box.with_exec(["sh", "-c", SCRIPT + "exit 3"]).sync()
    with pytest.raises(dagger.ExecError) as in_argument:
        await box.with_exec(["sh", "-c", "exit 4", values["set"]]).sync()
    await ran.export(
        str(room / "image.tar"), forced_compression=dagger.ImageLayerCompression.Uncompressed
    )
    errors = [f"{one.value} {one.value.stdout} {one.value.stderr}" for one in (caught, in_argument)]
    errors += [str(one.value.command) for one in (caught, in_argument)]
    return [shown, *errors]


@pytest.fixture
def room(tmp_path, monkeypatch, values):
    """Have the values where `secret(uri)` finds them."""
    made = tmp_path / "room"
    made.mkdir()
    (made / "file").write_text(values["file"])
    (made / "cmd").write_text(values["cmd"])
    monkeypatch.setenv("LEAK_TEST_ENV", values["env"])
    return made


async def test_a_secret_is_where_it_is_used_and_nowhere_else(store, room, values, world, watcher):
    heard = []
    async with connect(session=Session.start(listen=heard.append)) as dag:
        texts = await program(dag, world, values, room)
        while watcher.rounds < 3:
            time.sleep(0.05)
    assert texts[0].count("***") >= 20

    assert_nothing_in_processes(watcher.found)
    told = "\n".join([*texts, json.dumps(heard)]).encode()
    files = [p for p in (*store.rglob("*"), room / "image.tar") if p.is_file()]
    for kind, value in values.items():
        for form in spellings(value):
            assert form not in told, (kind, form)
    for path in files:
        data = path.read_bytes()
        for kind, value in values.items():
            assert not [form for form in spellings(value) if form in data], (kind, path)
    assert len(files) > 20


def assert_nothing_in_processes(found):
    """Only the session that was given the variable, and the commands that asked for values."""
    commands = {kind for kind, name, words in found if words.startswith(("sh -c", "sleep"))}
    assert commands == {"env", "file", "cmd", "set"}, "the watcher does not see what is there"
    left = set()
    for kind, name, command in found:
        own = command.startswith(("sh -c", "sleep ", "cat ", "base64", "/bin/sh -c"))
        session = "pipelines.engine.session" in command and kind == "env"
        asked = own and kind in {"env", "file", "cmd", "set"}
        if not (name == "environ" and (asked or session)):
            left.add((kind, name, command))
    # What a user writes into a command's arguments is seen, as with any program.
    argument = {one for one in left if one[:2] == ("set", "cmdline")}
    assert left - argument == set()
    assert all("exit 4" in command for _, _, command in argument)


async def test_a_command_does_not_see_the_environment_of_the_session(store, monkeypatch):
    monkeypatch.setenv("LEAK_TEST_ENV", "of-the-session-only")
    async with connect(engine="embedded") as dag:
        box = dag.container().from_("busybox")
        look = "env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'"
        assert "of-the-session-only" not in await box.with_exec(["sh", "-c", look]).stdout()
