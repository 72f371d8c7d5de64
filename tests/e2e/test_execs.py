"""Commands, as an SDK client sees them."""

import anyio
import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]


@pytest.fixture
def box(dag):
    return dag.container().from_("busybox")


def sh(box, script):
    return box.with_exec(["sh", "-c", script])


async def test_a_command_prints(box):
    assert await sh(box, "echo out; echo err >&2").stdout() == "out\n"


async def test_stderr_and_combined_output_are_kept_apart(box):
    ran = sh(box, "echo out; sleep 0.2; echo err >&2")
    assert await ran.stderr() == "err\n"
    assert await ran.combined_output() == "out\nerr\n"


async def test_a_failed_command_is_an_exec_error_with_everything_in_it(box):
    with pytest.raises(dagger.ExecError) as caught:
        await sh(box, "echo out; echo err >&2; exit 3").sync()
    error = caught.value
    assert (error.exit_code, error.stdout, error.stderr) == (3, "out", "err")
    assert error.command == ["sh", "-c", "echo out; echo err >&2; exit 3"]


@pytest.mark.parametrize(
    ("expect", "code", "fine"),
    [
        (dagger.ReturnType.SUCCESS, 0, True),
        (dagger.ReturnType.SUCCESS, 1, False),
        (dagger.ReturnType.FAILURE, 1, True),
        (dagger.ReturnType.FAILURE, 0, False),
        (dagger.ReturnType.ANY, 0, True),
        (dagger.ReturnType.ANY, 200, True),
        (dagger.ReturnType.ANY, 130, False),
    ],
)
async def test_expect_says_which_exit_codes_are_fine(box, expect, code, fine):
    ran = box.with_exec(["sh", "-c", f"exit {code}"], expect=expect)
    if fine:
        assert await ran.exit_code() == code
    else:
        with pytest.raises(dagger.ExecError):
            await ran.sync()


async def test_a_command_that_is_not_there_is_named(box):
    with pytest.raises(dagger.ExecError) as caught:
        await box.with_exec(["no-such-command"]).sync()
    assert 'exec: "no-such-command": executable file not found in $PATH' in caught.value.stderr


async def test_output_that_is_not_utf8_is_replaced_not_lost(box):
    assert await sh(box, r"printf 'a\377b'").stdout() == "a�b"


async def test_stdin_is_given(box):
    assert await box.with_exec(["cat"], stdin="given").stdout() == "given"


async def test_redirected_streams_become_files_and_stdin(box):
    ran = box.with_exec(["echo", "one"], redirect_stdout="/out.txt").with_exec(
        ["cat"], redirect_stdin="/out.txt"
    )
    assert await ran.stdout() == "one\n"


async def test_what_a_command_writes_is_there_for_the_next(box):
    assert await sh(sh(box, "echo kept > /file"), "cat /file").stdout() == "kept\n"


async def test_stdout_without_a_command_is_an_error(box):
    with pytest.raises(dagger.QueryError):
        await box.stdout()


async def test_the_environment_is_the_containers_alone(box, monkeypatch):
    shown = await box.with_env_variable("A", "1").with_exec(["env"]).stdout()
    names = {line.split("=")[0] for line in shown.splitlines()}
    assert {"A", "PATH", "HOME"} <= names
    assert names & {"VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "XDG_CACHE_HOME"} == set()


async def test_expand_uses_the_containers_variables(box):
    ran = box.with_env_variable("NAME", "x").with_exec(["echo", "${NAME}y"], expand=True)
    assert await ran.stdout() == "xy\n"


async def test_entrypoint_and_default_arguments_are_used_when_asked_for(box):
    ready = box.with_entrypoint(["echo", "entry"]).with_default_args(["default"])
    assert await ready.with_exec([], use_entrypoint=True).stdout() == "entry default\n"


async def test_a_working_directory_is_made(box):
    assert await box.with_workdir("/a/b").with_exec(["pwd"]).stdout() == "/a/b\n"


async def test_nothing_of_the_sandbox_stays_in_the_image(box):
    entries = await sh(box, "touch /made").rootfs().entries()
    before = await box.rootfs().entries()
    assert set(entries) - set(before) == {"made"}


async def test_a_mounted_directory_is_writable_and_kept_for_the_chain_only(dag, box):
    source = dag.directory().with_new_file("a", "1")
    ran = sh(box.with_mounted_directory("/src", source), "echo 2 > /src/b")
    assert sorted(await ran.directory("/src").entries()) == ["a", "b"]
    assert await source.entries() == ["a"]
    assert await ran.rootfs().directory("/").entries() == await box.rootfs().entries()


async def test_a_read_only_mount_refuses_writes(dag, box):
    source = dag.directory().with_new_file("a", "1")
    ran = box.with_mounted_directory("/src", source, read_only=True)
    with pytest.raises(dagger.ExecError) as caught:
        await sh(ran, "touch /src/b").sync()
    assert "Read-only" in caught.value.stderr


async def test_mounts_inside_mounts_find_their_places(dag, box):
    outer = dag.directory().with_new_file("a", "1")
    inner = dag.directory().with_new_file("b", "2")
    ran = box.with_mounted_directory("/m", outer).with_mounted_directory("/m/deep/in", inner)
    assert await sh(ran, "cat /m/a /m/deep/in/b").stdout() == "12"


async def test_a_temporary_mount_is_empty_and_gone(box):
    ran = sh(box.with_mounted_temp("/t"), "touch /t/x; ls /t")
    assert await ran.stdout() == "x\n"
    assert "t" not in await ran.rootfs().entries()


async def test_a_cache_volume_keeps_what_commands_write(dag, box):
    cached = box.with_mounted_cache("/c", dag.cache_volume("k"))
    await sh(cached, "echo kept > /c/f").sync()
    assert await sh(cached, "cat /c/f").stdout() == "kept\n"


async def test_a_cache_volume_is_one_however_it_is_shared(dag, box):
    locked = dag.cache_volume("k", sharing=dagger.CacheSharingMode.LOCKED)
    await sh(box.with_mounted_cache("/c", dag.cache_volume("k")), "echo 1 > /c/f").sync()
    assert await sh(box.with_mounted_cache("/c", locked), "cat /c/f").stdout() == "1\n"


async def test_a_cache_volume_starts_with_its_seed(dag, box):
    seed = dag.directory().with_new_file("f", "seed")
    cached = box.with_mounted_cache("/c", dag.cache_volume("seeded", source=seed))
    assert await sh(cached, "cat /c/f; echo changed > /c/f").stdout() == "seed"
    assert await sh(cached, "cat /c/f #").stdout() == "changed\n"
    assert await seed.file("f").contents() == "seed"


async def test_a_path_in_a_cache_volume_can_not_be_taken_out(dag, box):
    cached = box.with_mounted_cache("/c", dag.cache_volume("k"))
    with pytest.raises(dagger.QueryError, match="cannot retrieve path from cache"):
        await cached.directory("/c").entries()


async def test_locked_volumes_are_used_one_at_a_time(dag, box):
    volume = dag.cache_volume("one", sharing=dagger.CacheSharingMode.LOCKED)
    cached = box.with_mounted_cache("/c", volume)
    script = "mkdir /c/taken && sleep 0.1 && rmdir /c/taken # {}"
    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(sh(cached, script.format(n)).sync)


async def test_a_numeric_user_runs_as_that_user(box):
    try:
        shown = await box.with_user("1234:55").with_exec(["id", "-u"]).stdout()
    except dagger.QueryError as error:
        assert "uidmap" in str(error)  # told what to install
        pytest.skip("single id: other users cannot be had here")
    assert shown == "1234\n"


async def test_an_unknown_user_is_named(box):
    with pytest.raises(dagger.QueryError, match="nobody-here"):
        await box.with_user("nobody-here").with_exec(["true"]).sync()


async def test_the_hosts_certificates_are_in_every_exec(box):
    script = 'test -s "$SSL_CERT_FILE" && test -s /etc/ssl/certs/ca-certificates.crt && echo yes'
    ran = sh(box, script)
    assert await ran.stdout() == "yes\n"
    assert "ssl" not in await ran.rootfs().entries(path="/etc")


async def test_cancelling_a_query_kills_its_command(box, tmp_path):
    with anyio.move_on_after(0.5):
        await sh(box, "sleep 1000").sync()
    with anyio.fail_after(10):
        assert await sh(box, "echo alive").stdout() == "alive\n"


async def test_long_output_costs_no_memory_and_is_whole(box):
    ran = sh(box, "head -c 30000000 /dev/zero | tr '\\0' x")
    assert len(await ran.stdout()) == 30_000_000
