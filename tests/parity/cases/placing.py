"""Files in containers: put, removed, looked at; owners and permissions."""

import dagger

from tests.parity.case import Differs, Fails, Given, case

C = "Container."


def some(given: Given) -> dagger.Directory:
    return given.dag.directory().with_new_file("x", "1").with_new_file("sub/y", "2")


def text(given: Given) -> dagger.File:
    return given.dag.file("text", "one\n")


@case(
    C + "withFile", C + "withFiles", C + "withNewFile", C + "withDirectory", C + "withSymlink",
    gives=["dir/sub/y", "more/other", "more/text", "new", "one", "one-again"],
)  # fmt: skip
async def containers_take_files_in_every_way(given: Given):
    it = (
        given.box.with_file("/f/one", text(given))
        .with_files("/f/more", [text(given), text(given).with_name("other")])
        .with_new_file("/f/new", "new")
        .with_directory("/f/dir", some(given), exclude=["x"])
        .with_symlink("one", "/f/link")
        .with_exec(["sh", "-c", "cat /f/link > /f/one-again; cd /f; find . -type f | sort"])
    )
    return [line.removeprefix("./") for line in (await it.stdout()).splitlines()]


@case(C + "withFile", C + "withNewFile", C + "stat", gives=[0o600, 0o755, 0o644])
async def files_have_permissions(given: Given):
    it = given.box.with_file("/a", text(given), permissions=0o600)
    it = it.with_new_file("/b", "", permissions=0o755).with_new_file("/c", "")
    return [await it.stat(name).permissions() for name in ("/a", "/b", "/c")]


@case(C + "withFile", C + "withNewFile", C + "withDirectory",
      gives="77:77\n77:99\n5:6\n77:77\n5:5\n0:0\n")  # fmt: skip
async def owners_by_name_come_from_the_image(given: Given):
    it = (
        given.box.with_file("/one", text(given), owner="bob")
        .with_new_file("/two", "", owner="bob:staff")
        .with_new_file("/three", "", owner="5:6")
        .with_directory("/four", some(given), owner="bob")
        .with_new_file("/five", "", owner="5")
        .with_new_file("/six", "")
    )
    names = ["/one", "/two", "/three", "/four/sub/y", "/five", "/six"]
    return await it.with_exec(["stat", "-c", "%u:%g", *names]).stdout()


@case(C + "withNewFile", gives=Fails("nope"))
async def an_owner_that_is_not_there_is_an_error(given: Given):
    return await given.box.with_new_file("/f", "", owner="nope").sync()


@case(C + "withUser", C + "withNewFile", gives="0:0\n")
async def files_belong_to_root_whoever_is_the_user(given: Given):
    it = given.box.with_user("bob").with_new_file("/f", "")
    return await it.with_exec(["stat", "-c", "%u:%g", "/f"]).stdout()


@case(C + "withWorkdir", C + "withNewFile", C + "file", gives=["1", "2"])
async def relative_paths_start_from_the_working_directory(given: Given):
    it = given.box.with_workdir("/w").with_new_file("f", "1").with_env_variable("N", "g")
    it = it.with_new_file("${N}", "2", expand=True)
    return [await it.file("/w/f").contents(), await it.file("$N", expand=True).contents()]


@case(C + "withoutFile", C + "withoutFiles", C + "withoutDirectory", C + "directory", gives=["x"])
async def what_is_removed_is_gone(given: Given):
    it = given.box.with_directory("/d", some(given)).with_new_file("/d/z", "")
    left = it.without_file("/d/z").without_directory("/d/sub").without_files(["/d/nope"])
    return await left.directory("/d").entries()


@case(C + "exists", gives=[True, True, False, True, False])
async def a_container_tells_what_exists(given: Given):
    it = given.box.with_new_file("/n", "").with_mounted_file("/m", text(given))
    return [
        await it.exists("/n"),
        await it.exists("/m", expected_type=dagger.ExistsType.REGULAR_TYPE),
        await it.exists("/nope"),
        await it.exists("/bin", expected_type=dagger.ExistsType.DIRECTORY_TYPE),
        await it.exists("/bin", expected_type=dagger.ExistsType.REGULAR_TYPE),
    ]


@case(C + "file", gives=Fails("nope: no such file or directory"))
async def a_file_that_is_not_there_is_named(given: Given):
    return await given.box.file("/nope").contents()


@case(C + "directory", gives=Fails("nope: no such file or directory"))
async def a_directory_that_is_not_there_is_named(given: Given):
    return await given.box.directory("/nope").entries()


@case(C + "stat", gives=Fails("stat /nope: no such file or directory"))
async def what_is_not_there_is_not_described(given: Given):
    return await given.box.stat("/nope").size()


@case(C + "file", gives=Fails("bin"))
async def a_directory_is_no_file(given: Given):
    return await given.box.file("/bin").contents()


@case(C + "directory", gives=Fails("busybox"))
async def a_file_is_no_directory(given: Given):
    return await given.box.directory("/bin/busybox").entries()


@case(C + "rootfs", C + "withRootfs", gives=["1", "gone\n", None])
async def a_root_filesystem_is_replaced(given: Given):
    it = given.box.with_new_file("/marker", "1")
    again = given.dag.container().with_rootfs(it.rootfs())
    trimmed = given.dag.container().with_rootfs(it.rootfs().filter(exclude=["marker"]))
    ran = trimmed.with_exec(["/bin/sh", "-c", "test -e /marker || echo gone"])
    return [
        await again.with_exec(["/bin/cat", "/marker"]).stdout(),
        await ran.stdout(),
        await trimmed.env_variable("PATH"),
    ]


@case(C + "rootfs", gives=[False, True])
async def what_is_mounted_is_not_in_the_root_filesystem(given: Given):
    it = given.box.with_mounted_directory("/m", some(given)).with_new_file("/n", "")
    return [await it.rootfs().exists("m/x"), await it.rootfs().exists("n")]


@case(C + "withNewFile", gives="via\n")
async def a_write_follows_a_link_inside(given: Given):
    it = given.sh("mkdir /real; ln -s /real /link").with_new_file("/link/f", "via\n")
    return await it.with_exec(["cat", "/real/f"]).stdout()


@case(C + "withSymlink", gives="a.txt\n")
async def a_link_is_what_it_was_said_to_be(given: Given):
    it = given.box.with_env_variable("T", "a").with_symlink("${T}.txt", "/l", expand=True)
    return await it.with_exec(["readlink", "/l"]).stdout()


@case(C + "withError", gives=Fails("mine"))
async def an_error_of_the_callers_own_is_raised(given: Given):
    return await given.box.with_error("mine").sync()


@case(C + "withDirectory", gives="755 644 4755\n")
async def permissions_go_along(given: Given):
    it = given.sh("mkdir /d; touch /d/f; cp /bin/busybox /d/s; chmod 4755 /d/s")
    copied = given.box.with_directory("/e", it.directory("/d"))
    return await copied.with_exec(["sh", "-c", "echo $(stat -c %a /e /e/f /e/s)"]).stdout()


@case(C + "withDirectory", gives="one\n")
async def hard_links_are_kept_in_a_copy_of_a_directory(given: Given):
    made = given.sh("mkdir /d; echo 1 > /d/a; ln /d/a /d/b").directory("/d")
    it = given.box.with_directory("/e", made)
    return await it.with_exec(["sh", "-c", "test /e/a -ef /e/b && echo one"]).stdout()


@case(C + "withFile", gives=["/d/text", "/d/sub/text"])
async def a_file_put_on_a_directory_goes_into_it(given: Given):
    it = given.sh("mkdir -p /d/sub").with_file("/d", text(given)).with_file("/d/sub", text(given))
    found = it.with_exec(["sh", "-c", "find /d -type f | sort"])
    return (await found.stdout()).splitlines()[::-1]


@case(C + "withDirectory", gives="3:3\n3:3\n0:0\n3:3\n")
async def an_owner_gets_the_directory_itself_and_not_those_above(given: Given):
    it = given.sh("mkdir /old").with_directory("/old", some(given), owner="3")
    it = it.with_directory("/p/new", some(given), owner="3")
    return await it.with_exec(["stat", "-c", "%u:%g", "/old", "/old/x", "/p", "/p/new"]).stdout()


@case(C + "withDirectory", gives="l\n2\n")
async def a_copied_directory_goes_through_a_link(given: Given):
    it = given.sh("mkdir -p /d/usr; ln -s usr /d/l")
    it = it.with_directory("/d", given.dag.directory().with_new_file("l/y", "2\n"))
    return await it.with_exec(["sh", "-c", "ls -ld /d/l | cut -c1; cat /d/usr/y"]).stdout()


@case(
    C + "withDirectory",
    gives="700 700\n",
    differs=Differs(
        "`permissions` holds for containers as for directories; the Dagger engine drops it here.",
        dagger="755 644\n",
    ),
)
async def a_copied_directory_may_get_other_permissions(given: Given):
    it = given.box.with_directory("/d", some(given), permissions=0o700)
    return await it.with_exec(["sh", "-c", "echo $(stat -c %a /d /d/x)"]).stdout()


@case(
    C + "withDirectory",
    C + "directory",
    gives="755 0:0\n",
    differs=Differs(
        "A directory is what is in it: its own mode and owner are those of the place it is put.",
        dagger="700 5:6\n",
    ),
)
async def the_top_of_a_directory_keeps_its_mode_and_owner(given: Given):
    made = given.sh("mkdir -m 700 /k; chown 5:6 /k; touch /k/f").directory("/k")
    it = given.box.with_directory("/d", made)
    return await it.with_exec(["stat", "-c", "%a %u:%g", "/d"]).stdout()


@case(
    C + "rootfs",
    gives=False,
    differs=Differs("Mount points of the sandbox are taken away again.", dagger=True),
)
async def a_command_leaves_mount_points(given: Given):
    return await given.sh("true").rootfs().exists("proc")
