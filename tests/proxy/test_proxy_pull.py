"""Pulling through: once, verified, and through an outage."""

import io
import json
import os
import zipfile

import anyio
import httpx
import pytest

from pipelines.proxy.protocol import parse
from pipelines.proxy.pull import Pull
from pipelines.proxy.shelf import Shelf
from pipelines.proxy.sums import Refused, read_sums
from pipelines.proxy.upstream import Failed, NotThere, Upstream, split

pytestmark = pytest.mark.anyio

LIST = "/example.com/a/@v/list"
INFO = "/example.com/a/@v/v1.0.0.info"
ZIP = "/example.com/a/@v/v1.0.0.zip"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def module(content="package a\n"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("example.com/a@v1.0.0/a.go", content)
    return data.getvalue()


class Server:
    """An upstream that answers from a table; `down` makes it fail, `asked` counts."""

    def __init__(self, **files):
        self.files = {
            LIST: b"v1.0.0\n",
            INFO: json.dumps({"Version": "v1.0.0"}).encode(),
            ZIP: module(),
        }
        self.down = 0
        self.asked = []
        self.gate = None

    async def __call__(self, request):
        self.asked.append(request.url.path)
        if self.gate is not None:
            await self.gate.wait()
        if self.down == -1:
            raise httpx.ConnectError("refused")
        if self.down:
            return httpx.Response(self.down, text="why")
        content = self.files.get(request.url.path)
        return (
            httpx.Response(404, text="no such")
            if content is None
            else httpx.Response(200, content=content)
        )


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def proxy(server, tmp_path):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        upstream = Upstream(split("http://upstream"), client, pause=0)
        yield Pull(Shelf(tmp_path / "shelf", 10**6), upstream, {})


async def read(proxy, target):
    return (await proxy.get(parse(target))).read_bytes()


async def test_what_never_changes_is_fetched_once(proxy, server):
    for _ in range(3):
        assert await read(proxy, ZIP) == server.files[ZIP]
    assert server.asked == [ZIP]
    assert (proxy.counts.fetched, proxy.counts.kept) == (1, 2)


async def test_what_changes_is_asked_for_again(proxy, server):
    assert await read(proxy, LIST) == b"v1.0.0\n"
    server.files[LIST] = b"v1.1.0\n"
    assert await read(proxy, LIST) == b"v1.1.0\n"


@pytest.mark.parametrize("down", [-1, 503, 500])
async def test_an_outage_after_the_first_fetch_stops_nobody(proxy, server, down):
    before = [await read(proxy, target) for target in (LIST, INFO, ZIP)]
    server.down = down
    assert [await read(proxy, target) for target in (LIST, INFO, ZIP)] == before
    assert proxy.counts.stale == 1


@pytest.mark.parametrize("down", [-1, 503, 403])
async def test_an_outage_before_it_is_an_error_that_says_so(proxy, server, down):
    server.down = down
    with pytest.raises(Failed, match=r"refused|status"):
        await read(proxy, ZIP)


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_not_there_is_passed_on_and_asked_for_again(proxy, server, status):
    server.down = status
    with pytest.raises(NotThere) as caught:
        await read(proxy, ZIP)
    assert (caught.value.status, str(caught.value)) == (status, "why")
    server.down = 0
    assert await read(proxy, ZIP)


async def test_requests_at_once_are_one_fetch(proxy, server):
    server.gate = anyio.Event()
    answers = []

    async def ask():
        answers.append(await read(proxy, ZIP))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        server.gate.set()
    assert answers == [server.files[ZIP]] * 10
    assert server.asked == [ZIP]


async def test_those_who_wait_fail_as_the_fetch_fails(proxy, server):
    server.gate, server.down = anyio.Event(), 404
    failures = []

    async def ask():
        with pytest.raises(NotThere) as caught:
            await read(proxy, ZIP)
        failures.append(caught.value.status)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        server.gate.set()
    assert failures == [404, 404, 404]


@pytest.mark.parametrize(
    ("target", "content"),
    [
        (ZIP, b"no zip"),
        (ZIP, module()[:-30]),
        (INFO, b"<html>"),
        (INFO, b'{"Version": "v6.6.6"}'),
    ],
)
async def test_bytes_that_make_no_sense_are_refused_and_not_kept(proxy, server, target, content):
    right, server.files[target] = server.files[target], content
    with pytest.raises(Refused):
        await read(proxy, target)
    assert server.asked == [target] * 2  # once more, in case it was the way
    server.files[target] = right
    assert await read(proxy, target) == right


async def test_another_zip_than_go_sum_has_is_refused(server, tmp_path):
    (tmp_path / "go.sum").write_text("example.com/a v1.0.0 h1:AAAA\n")
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as client:
        upstream = Upstream(split("http://upstream"), client, pause=0)
        sums = read_sums([tmp_path / "go.sum"])
        proxy = Pull(Shelf(tmp_path / "shelf", 10**6), upstream, sums)
        with pytest.raises(Refused, match=r"example\.com/a@v1\.0\.0.*go\.sum has h1:AAAA"):
            await read(proxy, ZIP)
        assert not [path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]


@pytest.mark.parametrize(("separator", "falls"), [(",", False), ("|", True)])
async def test_after_an_error_the_next_server_is_asked_only_behind_a_bar(
    separator, falls, tmp_path
):
    def answer(request):
        return httpx.Response(403 if request.url.host == "one" else 200, content=b"v2\n")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        upstream = Upstream(split(f"http://one{separator}http://two"), client, pause=0)
        proxy = Pull(Shelf(tmp_path, 10**6), upstream, {})
        if falls:
            assert await read(proxy, LIST) == b"v2\n"
        else:
            with pytest.raises(Failed):
                await read(proxy, LIST)


async def test_after_not_there_the_next_server_is_asked(tmp_path):
    (tmp_path / "files" / "example.com" / "a" / "@v").mkdir(parents=True)
    (tmp_path / "files" / LIST[1:]).write_bytes(b"v3\n")

    def answer(request):
        return httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        upstream = Upstream(split(f"http://one,file://{tmp_path}/files"), client, pause=0)
        proxy = Pull(Shelf(tmp_path / "shelf", 10**6), upstream, {})
        assert await read(proxy, LIST) == b"v3\n"
        with pytest.raises(NotThere):
            await read(proxy, ZIP)


async def test_a_file_that_rotted_is_fetched_again(proxy, server, tmp_path):
    path = await proxy.get(parse(ZIP))
    path.write_bytes(b"rotten")
    fresh = Pull(Shelf(tmp_path / "shelf", 10**6), proxy._upstream, {})
    assert await read(fresh, ZIP) == server.files[ZIP]


async def test_the_disk_is_bounded_and_the_least_used_goes_first(server, tmp_path):
    size = len(server.files[ZIP])
    shelf = Shelf(tmp_path, 3 * size)
    for number in range(6):
        with shelf.draft() as draft:
            draft.write(bytes([number]) * size)
            path = shelf.put(str(number), draft)
        os.utime(path, (number, number))
    assert shelf.held <= 3 * size
    assert [name for name in map(str, range(6)) if shelf.find(name)][-1] == "5"
    assert shelf.find("0") is None
    assert Shelf(tmp_path, 3 * size).held == shelf.held
    assert not list(tmp_path.glob(".new-*"))
