"""Containers of other platforms, as an SDK client sees them."""

import dagger
import pytest

from tests.engine.sandbox.test_emulation import TEXT, needs_qemu, program

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

ARM64 = dagger.Platform("linux/arm64")


@pytest.fixture
def box(tmp_path):
    (tmp_path / "program").write_bytes(program())
    (tmp_path / "program").chmod(0o755)

    def made(dag, platform=ARM64):
        box = dag.container(platform=platform)
        box = box.with_file("/program", dag.host().file(str(tmp_path / "program")))
        return box.with_new_file("/script", "#!/program\n", permissions=0o755)

    return made


@needs_qemu
@pytest.mark.parametrize("args", [["/program"], ["/script"]])
async def test_a_foreign_command_is_emulated(dag, box, args):
    ran = box(dag).with_exec(args, expect=dagger.ReturnType.ANY)
    assert (await ran.stdout(), await ran.exit_code()) == (TEXT.decode(), 3)
    assert await ran.platform() == ARM64


@needs_qemu
async def test_the_platform_is_part_of_the_key(session, box):
    args = ["/program"]
    async with session() as (dag, heard):
        await box(dag).with_exec(args, expect=dagger.ReturnType.ANY).sync()
    async with session() as (dag, heard):
        await box(dag).with_exec(args, expect=dagger.ReturnType.ANY).sync()
        # The same under another name of the platform.
        same = box(dag, dagger.Platform("linux/aarch64"))
        await same.with_exec(args, expect=dagger.ReturnType.ANY).sync()
    assert heard.ran == []
    async with session() as (dag, heard):
        other = box(dag, dagger.Platform("linux/amd64"))
        with pytest.raises(dagger.ExecError):
            await other.with_exec(args).sync()
    assert len(heard.ran) == 1


async def test_a_platform_that_nothing_runs_is_named(dag, box):
    with pytest.raises(dagger.QueryError, match="linux/vax"):
        await box(dag, dagger.Platform("linux/vax")).with_exec(["/program"]).sync()
    with pytest.raises(dagger.QueryError, match="containers of Linux only"):
        await box(dag, dagger.Platform("windows/amd64")).with_exec(["/program"]).sync()
