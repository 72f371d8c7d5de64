"""Git over ssh and git://, from servers of our own on loopback."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.engine.errors import SourceError
from pipelines.engine.names.remote import parse
from pipelines.engine.op import GitAccess
from pipelines.engine.sources.gitremote import Remotes
from tests.gitserver import Repository, tidy

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]
needs_sshd = pytest.mark.skipif(
    not (os.path.exists(SSHD) and shutil.which("ssh-keygen")),
    reason="needs sshd: apt-get install openssh-server",
)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "served/one")
    made.first = made.commit(a="1")
    return made


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def running(command, port):
    """Run a server until the block ends."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.communicate()


def keygen(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text()


@pytest.fixture
def agent(tmp_path):
    """Run an agent that has the key `user`; give its socket."""
    keygen(tmp_path / "user")
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    while not os.path.exists(path):
        time.sleep(0.01)
    env = {"SSH_AUTH_SOCK": path, "PATH": os.environ["PATH"]}
    subprocess.run(["ssh-add", "-q", tmp_path / "user"], env=env, check=True)
    yield path
    process.terminate()
    process.wait()


@pytest.fixture
def sshd(tmp_path, agent):
    """Serve ssh to whoever has the key `user`; give the port and the line for known_hosts."""
    host = keygen(tmp_path / "host")
    (tmp_path / "authorized").write_text((tmp_path / "user.pub").read_text())
    port = free_port()
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    with running([SSHD, "-D", "-e", "-f", "/dev/null", *flags], port):
        yield port, f"[127.0.0.1]:{port} {host}"


@pytest.fixture
def remotes(tmp_path):
    (tmp_path / "memory").mkdir()

    async def pause(_seconds):
        return

    return Remotes(tmp_path / "memory", tidy(HOME=str(tmp_path)), pause=pause)


def reach(port, repository, **more):
    user = pwd.getpwuid(os.geteuid()).pw_name
    url = f"ssh://{user}@127.0.0.1:{port}{repository.path}"
    return GitAccess(parse(url, "/").remote, **more)


@needs_sshd
async def test_a_key_of_the_agent_opens_a_host_that_is_known(remotes, sshd, agent, repository):
    port, hosts = sshd
    access = reach(port, repository, known_hosts=hosts, auth_socket=agent)
    assert (await remotes.refs(access)).find("main").commit == repository.first
    mirror = remotes.memory.parent / "mirror"
    mirror.mkdir()
    home = await remotes.fetch(mirror, access, [repository.first], "refs/heads/main", history=False)
    assert await remotes.missing(home, [repository.first]) == []
    assert list(remotes.memory.iterdir()) == []


@needs_sshd
async def test_a_host_that_is_not_known_is_refused(remotes, sshd, agent, repository, tmp_path):
    port, _ = sshd
    other = f"[127.0.0.1]:{port} {keygen(tmp_path / 'other')}"
    for hosts in ("", other):
        with pytest.raises(SourceError, match="pass it as sshKnownHosts"):
            await remotes.refs(reach(port, repository, known_hosts=hosts, auth_socket=agent))


@needs_sshd
async def test_without_a_key_it_is_said_what_to_give(remotes, sshd, repository):
    port, hosts = sshd
    with pytest.raises(SourceError, match="a key in the ssh agent or sshAuthSocket"):
        await remotes.refs(reach(port, repository, known_hosts=hosts))


@needs_sshd
async def test_the_users_known_hosts_count(remotes, sshd, agent, repository, tmp_path):
    port, hosts = sshd
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/known_hosts").write_text(hosts)
    refs = await remotes.refs(reach(port, repository, auth_socket=agent))
    assert refs.find("main").commit == repository.first


@pytest.mark.skipif(
    not os.path.exists("/usr/lib/git-core/git-daemon"), reason="git daemon is not installed"
)
async def test_the_protocol_of_git_itself(remotes, repository):
    port = free_port()
    base = repository.path.parent
    daemon = ["/usr/lib/git-core/git-daemon", "--export-all", f"--base-path={base}", "--reuseaddr"]
    with running([*daemon, "--listen=127.0.0.1", f"--port={port}"], port):
        access = GitAccess(parse(f"git://127.0.0.1:{port}/one", "/").remote)
        assert (await remotes.refs(access)).find("main").commit == repository.first
        nothing = GitAccess(parse(f"git://127.0.0.1:{port}/none", "/").remote)
        with pytest.raises(SourceError, match="access denied or repository not exported"):
            await remotes.refs(nothing)
