"""Commands in real sandboxes, in every mode that can be had here."""

import errno
import os
import secrets
from pathlib import Path

import anyio
import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.base import Bind, Tmpfs
from tests.engine.sandbox.session import Session, session

pytestmark = pytest.mark.sandbox


def test_output_and_exit_code_come_back(mode, root):
    async def body(s: Session):
        return await s.sh("echo out; echo err >&2; exit 3")

    assert session(mode, root, body) == (3, "out\n", "err\n")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_both_event_loops_can_run_commands(root, backend):
    async def body(s: Session):
        return await s.sh("echo $0")

    assert session("single", root, body, backend) == (0, "/bin/sh\n", "")


def test_a_signal_is_128_and_its_number(mode, root):
    async def body(s: Session):
        return (await s.sh("kill -TERM $$"))[0]

    assert session(mode, root, body) == 128 + 15


def test_the_command_sees_its_environment_and_no_other(mode, root):
    os.environ["OF_THE_ENGINE"] = "1"

    async def body(s: Session):
        return (await s.run("/bin/env", env={"A": "1", "B": "x=y\nz"}))[1]

    assert session(mode, root, body) == "A=1\nB=x=y\nz\nPWD=/\n"


def test_the_command_has_no_descriptor_but_the_standard_ones(mode, root):
    async def body(s: Session):
        return (await s.sh("echo /proc/self/fd/*"))[1]

    listed = session(mode, root, body).split()
    assert [Path(name).name for name in listed[:3]] == ["0", "1", "2"]
    assert len(listed) <= 4  # the fourth is the shell's own, on the directory that it lists


def test_a_secret_is_in_no_other_process_than_the_commands_own(mode, root):
    secret = f"s3cr3t-{secrets.token_hex(8)}"
    look = (
        "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] && continue; "
        "cat $p/cmdline $p/environ 2>/dev/null; done; echo; echo $SECRET"
    )

    async def body(s: Session):
        seen: list[str] = []

        def on_output(chunk: bytes) -> None:
            seen.append(host_processes_with(secret))

        env = {"PATH": "/bin", "SECRET": secret}
        await s.sandbox.run(s.spec("/bin/sh", "-c", "echo x; sleep 1", env=env), on_output, print)
        return (await s.sh(look, env=env))[1], seen

    inside, outside = session(mode, root, body)
    assert inside.count(secret) == 1, inside
    assert any("sleep" in line for line in outside), outside
    assert all("bwrap" not in line for line in outside), outside


@pytest.fixture
def long():
    """A number of seconds that no process of another test sleeps."""
    return str(10_000_000 + secrets.randbelow(90_000_000))


def host_processes_with(secret: str) -> str:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            held = command + Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if secret.encode() in held:
            found.append(command.replace(b"\0", b" ").decode())
    return "\n".join(found)


def test_stdin_is_a_file_or_empty(mode, root, tmp_path):
    given = tmp_path / "stdin"
    given.write_text("hello")

    async def body(s: Session):
        return [(await s.run("/bin/cat", stdin=x))[1] for x in (None, str(given))]

    assert session(mode, root, body) == ["", "hello"]


def test_mounts_are_where_the_spec_says(mode, root, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content")
    for name in ("rw", "ro", "tmpfs"):
        (root / name).mkdir()

    async def body(s: Session):
        binds = (Bind(str(source), "/rw"), Bind(str(source), "/ro", readonly=True))
        mounts = (*binds, Tmpfs("/tmpfs", size=4096, mode=0o700))
        return await s.sh(
            "cat /ro/file; echo; touch /rw/new; touch /ro/no; ls -ld /tmpfs", mounts=mounts
        )

    _, out, err = session(mode, root, body)
    assert out.startswith("content\ndrwx------")
    assert "Read-only" in err
    assert (source / "new").exists()


def test_a_command_that_is_not_there_is_127(mode, root):
    async def body(s: Session):
        return await s.run("nope")

    wanted = (127, "", 'exec: "nope": executable file not found in $PATH\n')
    assert session(mode, root, body) == wanted


def test_a_file_that_can_not_be_executed_is_126(mode, root):
    (root / "data").write_text("")

    async def body(s: Session):
        return await s.run("/data")

    assert session(mode, root, body) == (126, "", 'exec: "/data": permission denied\n')


def test_a_commands_own_words_are_not_taken_for_bwraps(mode, root):
    async def body(s: Session):
        return await s.sh("echo 'bwrap: execvp x: No such file or directory' >&2; exit 1")

    wanted = (1, "", "bwrap: execvp x: No such file or directory\n")
    assert session(mode, root, body) == wanted


def test_a_missing_working_directory_is_the_sandboxs_error(mode, root):
    async def body(s: Session):
        with pytest.raises(SandboxError, match="/nowhere"):
            await s.run("/bin/true", cwd="/nowhere")

    session(mode, root, body)


def test_the_kernel_is_out_of_reach(mode, root):
    tries = {
        "mount": "mount -t tmpfs none /tmp",
        "unshare": "unshare -n true",
        "sysctl": "echo x > /proc/sys/kernel/hostname",
        "sysfs": "echo x > /sys/power/state",
        "acpi": "ls /proc/acpi/* 2>/dev/null",
        "keys": "[ -s /proc/keys ] && grep . /proc/keys",
    }

    async def body(s: Session):
        return {name: (await s.sh(script))[0] for name, script in tries.items()}

    assert 0 not in session(mode, root, body).values()


def test_the_filter_is_on_and_capabilities_are_dockers(mode, root):
    async def body(s: Session):
        return (await s.run("/bin/cat", "/proc/self/status"))[1]

    status = dict(line.split(":", 1) for line in session(mode, root, body).splitlines())
    assert status["Seccomp"].strip() == "2"
    assert int(status["CapEff"], 16) & ~0xA80425FB == 0


@pytest.mark.parametrize("mode", ["root", "ranges"], indirect=True)
def test_another_user_has_its_ids_and_no_capability(mode, root, tmp_path):
    closed = tmp_path / "closed"
    (closed / "source").mkdir(parents=True)
    (closed / "source/file").write_text("reached")
    (root / "mnt").mkdir()

    async def body(s: Session):
        closed.chmod(0o700)
        fields = {"uid": 1234, "gid": 55, "groups": (7, 8)}
        mounts = (Bind(str(closed / "source"), "/mnt"),)
        script = "id; cat /mnt/file; echo; grep CapEff /proc/self/status; touch /etc/no"
        return await s.sh(script, mounts=mounts, **fields)

    _, out, err = session(mode, root, body)
    assert out == "uid=1234 gid=55 groups=7,8\nreached\nCapEff:\t0000000000000000\n"
    assert "Permission denied" in err


def test_another_user_in_a_single_id_session_is_told_what_to_install(root):
    async def body(s: Session):
        with pytest.raises(SandboxError, match=r"user 1234: .*uidmap.*/etc/subuid"):
            await s.run("/bin/true", uid=1234)

    session("single", root, body)


def test_changing_owners_seems_to_work_in_a_single_id_session(root):
    async def body(s: Session):
        return await s.sh("touch /f && chown 12:34 /f && ls -ln /f")

    code, out, _ = session("single", root, body)
    assert (code, out.split()[2:4]) == (0, ["0", "0"])


def test_changing_owners_works_with_ranges(root):
    async def body(s: Session):
        return (await s.sh("touch /f && chown 12:34 /f && ls -ln /f"))[1].split()[2:4]

    assert session("ranges", root, body) == ["12", "34"]


def test_no_network_is_only_a_loopback_device(mode, root):
    async def body(s: Session):
        return (await s.sh("tail -n +3 /proc/net/dev | wc -l", network="none"))[1]

    for applet in ("tail", "wc"):
        (root / "bin" / applet).symlink_to("busybox")
    assert session(mode, root, body).strip() == "1"


def test_cancelling_leaves_no_process(mode, root, long):
    async def body(s: Session):
        started = anyio.Event()

        async def run() -> None:
            script = f"trap '' TERM; (sleep {long} &) ; echo; sleep {long}"
            await s.sandbox.run(s.spec("/bin/sh", "-c", script), lambda _: started.set(), print)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await started.wait()
            group.cancel_scope.cancel()
        return host_processes_with(long)

    assert "sleep" not in session(mode, root, body)


def test_cancelling_at_once_leaves_no_process(mode, root, long):
    async def body(s: Session):
        for _ in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await s.run("/bin/sleep", long)
        return host_processes_with(long)

    assert "sleep" not in session(mode, root, body)


def test_what_the_command_left_running_is_dead_when_the_run_ends(mode, root, long):
    async def body(s: Session):
        code, out, _ = await s.sh(f"sleep {long} & (sleep {long} >/dev/null 2>&1 &) ; echo done")
        return code, out, host_processes_with(long)

    code, out, left = session(mode, root, body)
    assert (code, out) == (0, "done\n")
    assert "sleep" not in left


def test_an_error_in_a_sink_ends_the_run(mode, root, long):
    async def body(s: Session):
        def full(chunk: bytes) -> None:
            raise OSError(errno.ENOSPC, "full")

        with pytest.raises(OSError, match="full"):
            await s.sandbox.run(s.spec("/bin/sh", "-c", f"echo; sleep {long}"), full, full)
        return host_processes_with(long)

    assert "sleep" not in session(mode, root, body)


def test_runs_leave_no_descriptor_and_start_no_thread(mode, root):
    async def body(s: Session):
        await s.run("/bin/true")
        before = sorted(os.listdir("/proc/self/fd"))
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(s.run, "/bin/true")
        threads = len(os.listdir("/proc/self/task"))
        return before == sorted(os.listdir("/proc/self/fd")), threads

    assert session(mode, root, body) == (True, 1)


def test_much_output_is_whole_and_takes_no_memory(root):
    async def body(s: Session):
        import resource

        sizes: list[int] = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        command = ("/bin/busybox", "dd", "if=/dev/zero", "bs=1M", "count=256")
        total = [0]

        def count(chunk: bytes) -> None:
            total[0] += len(chunk)

        await s.sandbox.run(s.spec(*command), count, sizes.append)
        return total[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    total, grown = session("single", root, body)
    assert total == 256 * 2**20
    assert grown < 8 * 1024  # KiB


def test_bwrap_is_not_reachable_as_a_file_of_the_host(mode, root):
    async def body(s: Session):
        return await s.sh("echo x >> /proc/1/exe")

    code, _, err = session(mode, root, body)
    assert code != 0
    assert "Read-only" in err or "denied" in err or "busy" in err
