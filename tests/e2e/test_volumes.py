"""Cache volumes, temporary mounts and variables: what commands find, and what keys them."""

import anyio
import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

PRIVATE, LOCKED, SHARED = (
    dagger.CacheSharingMode.PRIVATE,
    dagger.CacheSharingMode.LOCKED,
    dagger.CacheSharingMode.SHARED,
)


@pytest.fixture
def box(dag):
    return dag.container().from_("busybox")


def sh(box, script):
    return box.with_exec(["sh", "-c", script])


async def test_private_users_at_once_do_not_see_one_another(dag, box):
    seed = dag.directory().with_new_file("f", "seed\n")
    volume = dag.cache_volume("p", source=seed, sharing=PRIVATE)
    cached = box.with_mounted_cache("/c", volume)
    script = "cat /c/f; echo {n} > /c/f; touch /c/{n}; sleep 0.3; cat /c/f; ls /c | wc -l"
    said = {}

    async def one(n):
        said[n] = await sh(cached, script.format(n=n)).stdout()

    async with anyio.create_task_group() as group:
        group.start_soon(one, 1)
        group.start_soon(one, 2)
    assert said == {1: "seed\n1\n2\n", 2: "seed\n2\n2\n"}


async def test_a_private_volume_is_kept_for_the_next_user(dag, box):
    cached = box.with_mounted_cache("/c", dag.cache_volume("p", sharing=PRIVATE))
    await sh(cached, "echo kept > /c/f").sync()
    assert await sh(cached, "cat /c/f").stdout() == "kept\n"


@pytest.mark.parametrize("sharing", [SHARED, PRIVATE, LOCKED])
async def test_a_volume_mounted_twice_is_one(dag, box, sharing):
    volume = dag.cache_volume("twice", sharing=sharing)
    cached = box.with_mounted_cache("/a", volume).with_mounted_cache("/b", volume)
    with anyio.fail_after(30):
        assert await sh(cached, "echo x > /a/f; cat /b/f").stdout() == "x\n"


async def test_an_owner_by_name_gets_the_volume_and_its_seed(dag, box):
    users = box.with_new_file("/etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:77:78::/:/bin/sh\n")
    users = users.with_new_file("/etc/group", "root:x:0:\nstaff:x:78:\n")
    seed = dag.directory().with_new_file("sub/f", "s")
    cached = users.with_mounted_cache(
        "/c", dag.cache_volume("owned"), source=seed, owner="app:staff"
    )
    found = await sh(cached, "stat -c%u:%g /c /c/sub /c/sub/f; id -u").stdout()
    owned = "77:78\n" * 3 + "0\n"
    assert found in {owned, "0:0\n" * 3 + "0\n"}  # the latter with a single id
    if found == owned:
        ran = sh(cached.with_user("app"), "touch /c/made; stat -c%u /c/made")
        assert await ran.stdout() == "77\n"


async def test_a_temporary_mount_has_the_size_that_it_was_given(box):
    small = box.with_mounted_temp("/t", size=1 << 20)
    script = "df -k /t | tail -1 | tr -s ' ' | cut -d' ' -f2; dd if=/dev/zero of=/t/f bs=2M count=1"
    ran = small.with_exec(["sh", "-c", script], expect=dagger.ReturnType.ANY)
    assert await ran.stdout() == "1024\n"
    assert await ran.exit_code() == 1
    assert "No space left" in await ran.stderr()
    assert await sh(box.with_mounted_temp("/t", size=4 << 20), script).exit_code() == 0


async def test_what_is_mounted_is_listed(dag, box):
    mounted = box.with_mounted_temp("/t").with_mounted_cache("/c", dag.cache_volume("k"))
    mounted = mounted.with_mounted_directory("/d/e", dag.directory())
    assert await mounted.mounts() == ["/t", "/c", "/d/e"]
    assert await mounted.without_mount("/c").mounts() == ["/t", "/d/e"]
    assert await sh(mounted.without_mount("/t"), "test ! -e /t && echo gone").stdout() == "gone\n"


async def test_a_secret_variable_is_taken_away(dag, box):
    secret = dag.set_secret("token", "s3cr3t-value")
    told = box.with_secret_variable("TOKEN", secret)
    show = "echo ${TOKEN:-none} | wc -c"
    assert await sh(told, show).stdout() == "13\n"
    assert await sh(told.without_secret_variable("TOKEN"), show).stdout() == "5\n"


async def test_a_volatile_variables_value_keys_nothing_and_taking_it_away_does(session):
    async def show(dag, value, *, keep=True):
        box = dag.container().from_("busybox").with_volatile_variable("RUN", value)
        box = box if keep else box.without_volatile_variable("RUN")
        return await sh(box, "echo ${RUN:-none}").stdout()

    async with session() as (dag, heard):
        assert await show(dag, "1") == "1\n"
    async with session() as (dag, heard):
        assert await show(dag, "2") == "1\n"
        assert await show(dag, "2", keep=False) == "none\n"
    assert len(heard.ran) == 1


@pytest.fixture
def made(box):
    """Give a root with every kind of path, made by a command."""
    script = (
        "mkdir -p /w/dir/sub; echo x > /w/file; ln -s file /w/link; ln -s /w/dir /w/to-dir; "
        "ln -s nowhere /w/dangling; ln -s loop /w/loop; chmod 640 /w/file; mkfifo /w/pipe"
    )
    return sh(box, script)


REGULAR, DIRECTORY, SYMLINK = (
    dagger.ExistsType.REGULAR_TYPE,
    dagger.ExistsType.DIRECTORY_TYPE,
    dagger.ExistsType.SYMLINK_TYPE,
)


@pytest.mark.parametrize(
    ("path", "options", "there"),
    [
        ("/w/file", {}, True),
        ("w/file", {}, True),
        ("/w/file/", {"expected_type": DIRECTORY}, False),
        ("/w/file/below", {}, False),
        ("/w/no", {}, False),
        ("/w/link", {"expected_type": REGULAR}, True),
        ("/w/link", {"expected_type": SYMLINK}, True),
        ("/w/link", {"expected_type": REGULAR, "do_not_follow_symlinks": True}, False),
        ("/w/to-dir/sub", {"expected_type": DIRECTORY}, True),
        ("/w/dangling", {}, False),
        ("/w/dangling", {"do_not_follow_symlinks": True}, True),
        ("/w/dangling", {"expected_type": SYMLINK}, True),
        ("/w/loop", {}, False),
        ("/w/dir/../file", {}, True),
        ("/", {"expected_type": DIRECTORY}, True),
        ("/../../w/file", {}, True),
    ],
)
async def test_a_path_exists_or_not(made, path, options, there):
    assert await made.exists(path, **options) is there


async def test_a_path_is_described(made):
    async def told(path, **options):
        stat = made.stat(path, **options)
        return await stat.name(), await stat.file_type(), await stat.size()

    assert await told("/w/file") == ("file", dagger.FileType.REGULAR, 2)
    assert (await told("/w/link"))[1:] == (dagger.FileType.REGULAR, 2)
    follow = {"do_not_follow_symlinks": True}
    assert await told("/w/link", **follow) == ("link", dagger.FileType.SYMLINK, 4)
    assert (await told("/w/to-dir"))[1] == dagger.FileType.DIRECTORY
    assert await made.stat("/w/file").permissions() == 0o640
    with pytest.raises(dagger.QueryError, match="stat /w/dangling: no such file"):
        await told("/w/dangling")
