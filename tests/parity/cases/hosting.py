"""The host's directories and files."""

import os
import socket
import subprocess
import tempfile
import uuid

from tests.parity.case import Differs, Fails, Given, case

H = "Host."


def fill(given: Given) -> str:
    for name in ("a.go", "b.txt", "sub/c.go", "sub/deep/d.go"):
        (given.path / name).parent.mkdir(parents=True, exist_ok=True)
        (given.path / name).write_text(name)
    return str(given.path)


@case("Query.host", H + "directory", gives=[["a.go", "b.txt", "l", "sub/"], 0o755, "sub/c.go"])
async def a_directory_is_read_with_modes_and_links(given: Given):
    root = fill(given)
    (given.path / "a.go").chmod(0o755)
    (given.path / "l").symlink_to("sub/c.go")
    it = given.dag.host().directory(root)
    return [
        await it.entries(),
        await it.stat("a.go").permissions(),
        await it.file("l").contents(),
    ]


@case(H + "directory", gives=[["a.go", "sub/"], ["c.go"]])
async def include_and_exclude_choose(given: Given):
    it = given.dag.host().directory(fill(given), include=["**/*.go"], exclude=["sub/deep"])
    return [await it.entries(), await it.entries(path="sub")]


@case(H + "directory", gives=["a.go", "sub/c.go"], needs=("git",))
async def gitignore_is_obeyed_when_asked_for(given: Given):
    root = fill(given)
    subprocess.run(["git", "init", "-q", root], check=True)
    (given.path / ".gitignore").write_text("*.txt\n")
    (given.path / "sub/.gitignore").write_text("deep/\n")
    it = given.dag.host().directory(root, gitignore=True, exclude=[".git"])
    return [one for one in await it.glob("**/*.*") if one.endswith((".go", ".txt"))]


@case(H + "directory", H + "file", gives=["a.go", "a.go", "changed", "b.txt"])
async def a_directory_is_read_once_a_session_unless_told_otherwise(given: Given):
    root, host = fill(given), given.dag.host()
    first = await host.directory(root).file("a.go").contents()
    (given.path / "a.go").write_text("changed")
    return [
        first,
        await host.directory(root).file("a.go").contents(),
        await host.directory(root, no_cache=True).file("a.go").contents(),
        await host.file(f"{root}/b.txt", no_cache=True).contents(),
    ]


@case(H + "directory", gives=Fails("(?i)nope.*no such file or directory"))
async def a_directory_that_is_not_there_is_named(given: Given):
    return await given.dag.host().directory(str(given.path / "nope")).sync()


@case(H + "file", gives=Fails("(?i)nope"))
async def a_file_that_is_not_there_is_named(given: Given):
    return await given.dag.host().file(str(given.path / "nope")).sync()


@case(H + "directory", gives=Fails("(?i)a.go.*not a directory"))
async def a_file_is_no_directory(given: Given):
    return await given.dag.host().directory(fill(given) + "/a.go").sync()


@case(H + "directory", gives=[Fails("up"), "../secret"])
async def a_link_out_of_the_directory_stays_a_link(given: Given):
    source = given.path / "source"
    source.mkdir()
    (given.path / "secret").write_text("of the host")
    (source / "up").symlink_to("../secret")
    it = given.dag.host().directory(str(source))
    await it.export(str(given.path / "out"))
    found = os.readlink(given.path / "out/up")
    try:
        return [await it.file("up").contents(), found]
    except Exception as error:  # noqa: BLE001  # compared with what is declared
        return [error, found]


@case(H + "directory", gives="0:0 640\n")
async def files_of_the_host_belong_to_root_and_keep_their_modes(given: Given):
    root = fill(given)
    (given.path / "a.go").chmod(0o640)
    it = given.box.with_directory("/d", given.dag.host().directory(root))
    return await it.with_exec(["stat", "-c", "%u:%g %a", "/d/a.go"]).stdout()


@case(
    H + "directory",
    gives=False,
    differs=Differs(
        "Modification times are not content: files that nobody pinned have times of the engine's "
        "own, so that a fresh checkout changes nothing.",
        dagger=True,
    ),
)
async def modification_times_of_the_host_are_kept(given: Given):
    (given.path / "f").write_text(str(uuid.uuid4()))
    os.utime(given.path / "f", (1_000_000_000, 1_000_000_000))
    it = given.box.with_directory("/d", given.dag.host().directory(str(given.path)))
    return await it.with_exec(["stat", "-c", "%Y", "/d/f"]).stdout() == "1000000000\n"


@case(H + "file", "File.name", gives=["a.go", "a.go"])
async def a_file_is_read(given: Given):
    it = given.dag.host().file(fill(given) + "/a.go")
    return [await it.contents(), await it.name()]


@case(H + "directory", "Directory.digest", gives=True)
async def times_are_not_in_a_directorys_digest(given: Given):
    root, host = fill(given), given.dag.host()
    before = await host.directory(root).digest()
    os.utime(given.path / "a.go", (1, 1))
    return await host.directory(root, no_cache=True).digest() == before


@case(H + "directory", gives=True)
async def an_unchanged_tree_does_not_run_a_command_again(given: Given):
    root, host = fill(given), given.dag.host()
    script = ["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"]
    one = await given.box.with_directory("/d", host.directory(root)).with_exec(script).stdout()
    os.utime(given.path / "a.go", (1, 1))
    again = host.directory(root, no_cache=True)
    return await given.box.with_directory("/d", again).with_exec(script).stdout() == one


@case(
    H + "directory",
    "Container.withDirectory",
    gives=True,
    differs=Differs(
        "What `include` leaves out is not an input of the copy, so it is not in its key.",
        dagger=False,
    ),
)
async def what_a_copy_leaves_out_does_not_run_a_command_again(given: Given):
    root, host = fill(given), given.dag.host()
    script = ["sh", "-c", "head -c8 /dev/urandom | od -An -tx1"]
    answers = []
    for content in ("1", "2"):
        (given.path / "b.txt").write_text(content)
        source = host.directory(root, no_cache=True)
        it = given.box.with_directory("/d", source, include=["**/*.go"])
        answers.append(await it.with_exec(script).stdout())
    return answers[0] == answers[1]


@case(H + "findUp", gives=None)
async def what_is_nowhere_above_is_not_found(given: Given):
    return await given.dag.host().find_up("no-such-name-anywhere")


@case(H + "unixSocket", "Container.withUnixSocket", "Socket.id", gives=["socket 77:78\n", False])
async def a_socket_of_the_host_is_there_for_a_command(given: Given):
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s")
        listening.listen()
        of_host = given.dag.host().unix_socket(f"{short}/s")
        it = given.box.with_unix_socket("/run/s", of_host, owner="77:78")
        ran = it.with_exec(["stat", "-c", "%F %u:%g", "/run/s"])
        return [await ran.stdout(), await ran.rootfs().exists("run/s")]


@case("Container.withoutUnixSocket", "Container.withUnixSocket", gives="gone\n")
async def a_socket_of_the_host_is_taken_away(given: Given):
    of_host = given.dag.host().unix_socket("/run/none")
    it = given.box.with_unix_socket("/run/s", of_host).without_unix_socket("/run/s")
    return await it.with_exec(["sh", "-c", "test -S /run/s || echo gone"]).stdout()


@case("Address.socket", "Container.withUnixSocket", gives="socket\n")
async def an_address_leads_to_a_socket(given: Given):
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s")
        listening.listen()
        found = given.dag.address(f"unix://{short}/s").socket()
        it = given.box.with_unix_socket("/run/s", found)
        return await it.with_exec(["stat", "-c", "%F", "/run/s"]).stdout()
