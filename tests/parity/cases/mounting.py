"""Mounts: directories, files, caches, temporary filesystems."""

import uuid

import dagger

from tests.parity.case import Differs, Fails, Given, case

C = "Container."


def some(given: Given) -> dagger.Directory:
    return given.dag.directory().with_new_file("x", "1\n").with_new_file("sub/y", "2\n")


@case(C + "withMountedDirectory", C + "withMountedFile", C + "mounts",
      gives=["1\n2\none", ["/m", "/f"]])  # fmt: skip
async def directories_and_files_are_mounted(given: Given):
    it = given.box.with_mounted_directory("/m", some(given))
    it = it.with_mounted_file("/f", given.dag.file("f", "one"))
    ran = it.with_exec(["sh", "-c", "cat /m/x /m/sub/y /f"])
    return [await ran.stdout(), await it.mounts()]


@case(C + "withMountedDirectory", gives=["new\n", "new\n", False])
async def what_is_written_into_a_mount_is_kept_for_the_chain(given: Given):
    it = given.box.with_mounted_directory("/m", some(given))
    ran = it.with_exec(["sh", "-c", "echo new > /m/x"])
    again = ran.with_exec(["cat", "/m/x"])
    return [
        await again.stdout(),
        await ran.file("/m/x").contents(),
        await ran.rootfs().exists("m/x"),
    ]


@case(C + "withMountedDirectory", gives=Fails("Read-only", "ExecError"))
async def a_read_only_mount_is_not_written_to(given: Given):
    it = given.box.with_mounted_directory("/m", some(given), read_only=True)
    return await it.with_exec(["sh", "-c", "echo new > /m/x"]).sync()


@case(C + "withMountedDirectory", C + "withMountedFile", gives="77:77\n5:6\n0:0\n")
async def mounts_have_owners(given: Given):
    it = (
        given.box.with_mounted_directory("/a", some(given), owner="bob")
        .with_mounted_file("/b", given.dag.file("b", ""), owner="5:6")
        .with_mounted_directory("/c", some(given))
    )
    return await it.with_exec(["stat", "-c", "%u:%g", "/a/sub/y", "/b", "/c/x"]).stdout()


@case(C + "withoutMount", C + "mounts", gives=[["/b"], "gone\n"])
async def a_mount_is_taken_away(given: Given):
    it = given.box.with_mounted_directory("/a", some(given))
    it = it.with_mounted_directory("/b", some(given)).without_mount("/a")
    ran = it.with_exec(["sh", "-c", "test -e /a/x || echo gone"])
    return [await it.mounts(), await ran.stdout()]


@case(C + "withMountedDirectory", gives=["below\n", ["/m", "/m/sub"]])
async def a_mount_lies_in_another(given: Given):
    inner = given.dag.directory().with_new_file("y", "below\n")
    it = given.box.with_mounted_directory("/m", some(given)).with_mounted_directory("/m/sub", inner)
    return [await it.with_exec(["cat", "/m/sub/y"]).stdout(), await it.mounts()]


@case(C + "withMountedDirectory", gives=["2\n", ["/m"]])
async def a_mount_hides_the_mounts_below_it(given: Given):
    inner = given.dag.directory().with_new_file("y", "below\n")
    it = given.box.with_mounted_directory("/m/sub", inner).with_mounted_directory("/m", some(given))
    return [await it.with_exec(["cat", "/m/sub/y"]).stdout(), await it.mounts()]


@case(
    C + "withMountedDirectory",
    C + "withNewFile",
    C + "directory",
    gives=["n", ["new", "sub/", "x"]],
)
async def files_are_put_into_a_mount(given: Given):
    it = given.box.with_mounted_directory("/m", some(given)).with_new_file("/m/new", "n")
    return [await it.file("/m/new").contents(), await it.directory("/m").entries()]


@case(C + "withMountedDirectory", gives="1\n")
async def a_mount_point_is_expanded(given: Given):
    it = given.box.with_env_variable("D", "m")
    it = it.with_mounted_directory("/${D}", some(given), expand=True)
    return await it.with_exec(["cat", "/m/x"]).stdout()


@case(C + "withMountedTemp", gives=["tmpfs\n", "gone\n"])
async def a_temporary_filesystem_is_forgotten(given: Given):
    it = given.box.with_mounted_temp("/t")
    ran = it.with_exec(["sh", "-c", "touch /t/f; stat -f -c %T /t"])
    return [
        await ran.stdout(),
        await ran.with_exec(["sh", "-c", "test -e /t/f || echo gone"]).stdout(),
    ]


@case(C + "withMountedTemp", gives=Fails("exit code: 1", "ExecError"))
async def a_temporary_filesystem_has_a_size(given: Given):
    it = given.box.with_mounted_temp("/t", size=65536)
    return await it.with_exec(["sh", "-c", "head -c 200000 /dev/zero > /t/f || exit 1"]).sync()


@case(C + "withMountedTemp", C + "file", gives=Fails("cannot retrieve path from tmpfs"))
async def a_temporary_filesystem_is_not_read_from_outside(given: Given):
    return await given.box.with_mounted_temp("/t").file("/t/f").contents()


# --- cache volumes -----------------------------------------------------------------------


def volume(given: Given) -> dagger.CacheVolume:
    return given.dag.cache_volume(f"parity-{uuid.uuid4()}")


@case("Query.cacheVolume", "CacheVolume.id", C + "withMountedCache", gives="1\n")
async def a_cache_volume_outlives_its_command(given: Given):
    cache = volume(given)
    await given.box.with_mounted_cache("/c", cache).with_exec(["sh", "-c", "echo 1 > /c/f"]).sync()
    return await given.box.with_mounted_cache("/d", cache).with_exec(["cat", "/d/f"]).stdout()


@case(C + "withMountedCache", gives="1\n")
async def a_cache_volume_begins_with_its_source(given: Given):
    it = given.box.with_mounted_cache("/c", volume(given), source=some(given))
    return await it.with_exec(["cat", "/c/x"]).stdout()


@case("Query.cacheVolume", gives="1\n")
async def a_cache_volume_names_its_source(given: Given):
    cache = given.dag.cache_volume(f"parity-{uuid.uuid4()}", source=some(given))
    return await given.box.with_mounted_cache("/c", cache).with_exec(["cat", "/c/x"]).stdout()


@case(C + "withMountedCache", gives="77:77\n")
async def a_cache_volume_has_an_owner(given: Given):
    it = given.box.with_mounted_cache("/c", volume(given), owner="bob")
    return await it.with_exec(["stat", "-c", "%u:%g", "/c"]).stdout()


@case(C + "withMountedCache", C + "file", gives=Fails("cannot retrieve path from cache"))
async def a_cache_volume_is_not_read_from_outside(given: Given):
    return await given.box.with_mounted_cache("/c", volume(given)).file("/c/x").contents()


@case(C + "withMountedCache", gives=True)
async def what_is_in_a_cache_volume_keys_nothing(given: Given):
    cache = volume(given)
    it = given.box.with_mounted_cache("/c", cache)
    ran = it.with_exec(["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"])
    first = await ran.stdout()
    await it.with_exec(["touch", "/c/new"]).sync()
    return await it.with_exec(["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"]).stdout() == first


@case(C + "withMountedCache", "Query.cacheVolume", gives=False)
async def two_keys_are_two_cache_volumes(given: Given):
    one, two = volume(given), volume(given)
    await given.box.with_mounted_cache("/c", one).with_exec(["touch", "/c/f"]).sync()
    shown = given.box.with_mounted_cache("/c", two).with_exec(["ls", "/c"])
    return "f" in await shown.stdout()


@case(C + "withMountedCache", gives="ok\n")
async def a_locked_cache_volume_is_had_by_one_at_a_time(given: Given):
    import anyio

    locked = dagger.CacheSharingMode.LOCKED
    cache = volume(given)
    script = "mkdir /c/lock && sleep 0.2 && rmdir /c/lock && echo ok"
    async with anyio.create_task_group() as group:
        for n in range(2):
            it = given.box.with_env_variable("N", str(n))
            it = it.with_mounted_cache("/c", cache, sharing=locked)
            group.start_soon(it.with_exec(["sh", "-c", script]).sync)
    last = given.box.with_mounted_cache("/c", cache, sharing=locked)
    return await last.with_exec(["sh", "-c", script]).stdout()


@case(C + "withoutMount", C + "withMountedCache", gives=[])
async def a_cache_volume_is_unmounted(given: Given):
    return await given.box.with_mounted_cache("/c", volume(given)).without_mount("/c").mounts()


@case(
    C + "withMountedFile",
    gives="one\n",
    differs=Differs(
        "A mounted file is an input: what a command writes into it is gone with the command.",
        dagger="two\n",
    ),
)
async def what_is_written_into_a_mounted_file_is_kept_for_the_chain(given: Given):
    it = given.box.with_mounted_file("/m", given.dag.file("f", "one\n"))
    return await it.with_exec(["sh", "-c", "echo two > /m"]).with_exec(["cat", "/m"]).stdout()
