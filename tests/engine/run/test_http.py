"""Downloads: verified, revalidated, resumed, never with credentials for somebody else."""

import hashlib
import itertools

import pytest

from pipelines.engine.errors import SourceError, SourceMismatch, SourceUnreachable
from pipelines.engine.images.registry.retry import Patience
from pipelines.engine.images.registry.transport import Http
from pipelines.engine.op import HttpFile, HttpSource, SecretRef
from pipelines.engine.run.http import HttpSources
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.store.mirrors import Downloads
from tests.webserver import Reply, web

pytestmark = pytest.mark.anyio

BODY = bytes(range(256)) * 4096


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def server():
    with web() as made:
        yield made


@pytest.fixture
def layout(tmp_path):
    return Layout.open(tmp_path / "store")


@pytest.fixture
def slept():
    return []


@pytest.fixture
def look(tmp_path, layout, slept):
    """Make the downloads of a session; waiting takes no time."""
    count, opened = itertools.count(), []

    def make():
        files, downloads = Files(layout, owners=False), Downloads(layout)
        patience = Patience(sleep=slept.append, jitter=lambda: 1.0)
        opened.append(Http({}, 5.0))
        room = tmp_path / f"scratch{next(count)}"
        return HttpSources(opened[-1], files, downloads, room, patience)

    yield make
    for one in opened:
        one.close()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def secret(value):
    return SecretRef("token", lambda: value)


async def test_a_body_is_pinned_and_becomes_a_file(look, server, layout):
    server.pages["/f"] = Reply(body=BODY)
    here = look()
    body, size = await here.body(HttpSource(f"{server.url}/f"))
    assert (body, size) == (sha(BODY), len(BODY))
    tree = await here.file(HttpFile(body, size, "f", 0o640))
    name, entry = tree.file
    assert (name, entry.mode, here.files.read(entry) == BODY) == ("f", 0o640, True)
    assert list(here.scratch.iterdir()) == []


async def test_a_session_asks_once(look, server):
    server.pages["/f"] = Reply(body=b"x")
    here = look()
    for _ in range(3):
        await here.body(HttpSource(f"{server.url}/f"))
    assert server.paths == ["/f"]


async def test_another_session_asks_whether_it_changed(look, server):
    server.pages["/f"] = lambda headers: (
        Reply(304) if headers.get("if-none-match") == '"e"' else Reply(200, BODY, {"ETag": '"e"'})
    )
    first = await look().body(HttpSource(f"{server.url}/f"))
    assert await look().body(HttpSource(f"{server.url}/f")) == first
    server.pages["/f"] = Reply(body=b"new", headers={"ETag": '"f"'})
    assert (await look().body(HttpSource(f"{server.url}/f")))[0] == sha(b"new")
    assert [h.get("if-none-match") for _, h in server.asked] == [None, '"e"', '"e"']


async def test_a_known_body_that_the_store_lost_is_downloaded_again(look, server, layout):
    server.pages["/f"] = lambda headers: Reply(200, b"x", {"ETag": '"e"'})
    await look().body(HttpSource(f"{server.url}/f"))
    for path in layout.files.rglob("*"):
        if path.is_file():
            path.unlink()
    await look().body(HttpSource(f"{server.url}/f"))
    assert [h.get("if-none-match") for _, h in server.asked] == [None, None]


async def test_with_its_checksum_a_cached_body_needs_nobody(look, server):
    server.pages["/f"] = Reply(body=BODY)
    source = HttpSource(f"{server.url}/f", "sha256:" + sha(BODY))
    assert await look().body(source) == await look().body(source)
    assert server.paths == ["/f"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_wrong_checksum_keeps_nothing(look, server, layout, algorithm):
    server.pages["/f"] = Reply(body=BODY)
    wrong = f"{algorithm}:" + hashlib.new(algorithm, b"other").hexdigest()
    with pytest.raises(SourceMismatch, match="expected " + wrong):
        await look().body(HttpSource(f"{server.url}/f", wrong))
    assert [p for p in layout.files.rglob("*") if p.is_file()] == []
    assert not layout.http.exists() or list(layout.http.iterdir()) == []
    right = f"{algorithm}:" + hashlib.new(algorithm, BODY).hexdigest()
    assert (await look().body(HttpSource(f"{server.url}/f", right)))[0] == sha(BODY)


async def test_a_broken_download_goes_on_where_it_broke_off(look, server):
    def rest(headers):
        start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        shown = {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}", "ETag": '"e"'}
        return Reply(206, BODY[start:], shown)

    server.pages["/f"] = rest
    server.next = [Reply(200, BODY, {"ETag": '"e"'}, cut=300_000)]
    assert (await look().body(HttpSource(f"{server.url}/f")))[0] == sha(BODY)
    ((_, first), (_, second)) = server.asked
    assert "range" not in first
    assert second["if-range"] == '"e"'
    assert 0 < int(second["range"].removeprefix("bytes=").rstrip("-")) <= 300_000


async def test_a_body_that_changed_meanwhile_is_taken_whole(look, server):
    server.pages["/f"] = Reply(200, BODY[::-1], {"ETag": '"new"'})
    server.next = [Reply(200, BODY, {"ETag": '"e"'}, cut=300_000)]
    assert (await look().body(HttpSource(f"{server.url}/f")))[0] == sha(BODY[::-1])


async def test_without_a_strong_etag_it_begins_anew(look, server):
    server.pages["/f"] = Reply(200, BODY)
    server.next = [Reply(200, BODY, {"ETag": 'W/"e"'}, cut=300_000)]
    assert (await look().body(HttpSource(f"{server.url}/f")))[0] == sha(BODY)
    assert all("range" not in headers for _, headers in server.asked)


async def test_a_range_that_is_refused_begins_anew_and_only_once(look, server):
    server.pages["/f"] = Reply(416)
    server.next = [Reply(200, BODY, {"ETag": '"e"'}, cut=300_000), Reply(416), Reply(200, BODY)]
    assert (await look().body(HttpSource(f"{server.url}/f")))[0] == sha(BODY)
    with pytest.raises(SourceError, match="answered 416"):
        await look().body(HttpSource(f"{server.url}/f"))


async def test_later_is_heeded(look, server, slept):
    server.pages["/f"] = Reply(body=b"x")
    server.next = [Reply(503), Reply(429, headers={"Retry-After": "7"}), Reply(500)]
    await look().body(HttpSource(f"{server.url}/f"))
    assert slept[1] == 7
    assert len(slept) == 3


async def test_a_server_that_stays_down_is_an_error(look, server):
    server.next = [Reply(503)] * 9
    with pytest.raises(SourceUnreachable, match=r"/f answered 503; try again later"):
        await look().body(HttpSource(f"{server.url}/f?sig=hidden"))
    assert len(server.asked) == 5


async def test_nobody_there_is_an_error(look):
    with pytest.raises(SourceUnreachable, match="connection refused; check the network"):
        await look().body(HttpSource("http://127.0.0.1:1/f"))


@pytest.mark.parametrize(("status", "way"), [(401, "as authHeader"), (404, "check the address")])
async def test_a_refusal_is_not_asked_again(look, server, status, way):
    server.pages["/f"] = Reply(status)
    with pytest.raises(SourceError, match=way):
        await look().body(HttpSource(f"{server.url}/f"))
    assert len(server.asked) == 1


async def test_the_header_goes_to_its_server_and_to_no_other(look, server):
    with web() as other:
        other.pages["/f"] = Reply(body=b"x")
        server.pages["/a"] = Reply(302, headers={"Location": "/b"})
        server.pages["/b"] = Reply(307, headers={"Location": f"{other.url}/f"})
        source = HttpSource(f"{server.url}/a", header=secret(b"Bearer hidden\n"))
        assert (await look().body(source))[0] == sha(b"x")
        assert [h.get("authorization") for _, h in server.asked] == ["Bearer hidden"] * 2
        assert [h.get("authorization") for _, h in other.asked] == [None]


async def test_a_wrong_header_is_an_error_that_does_not_say_it(look, server):
    server.pages["/f"] = Reply(403)
    with pytest.raises(SourceError, match="does not accept this authHeader") as caught:
        await look().body(HttpSource(f"{server.url}/f", header=secret(b"Bearer hidden")))
    assert "hidden" not in str(caught.value)


async def test_redirects_end(look, server):
    server.pages["/f"] = Reply(302, headers={"Location": "/f"})
    with pytest.raises(SourceError, match="redirects more than 10 times"):
        await look().body(HttpSource(f"{server.url}/f"))
    assert len(server.asked) == 11


async def test_a_pinned_body_that_is_gone_is_downloaded_again_or_said_to_have_changed(look, server):
    server.pages["/f"] = Reply(body=b"x")
    here, source = look(), HttpSource(f"{server.url}/f")
    tree = await here.file(HttpFile(sha(b"x"), 1, "f", source=source))
    assert here.files.read(tree["f"]) == b"x"
    with pytest.raises(SourceError, match="when it was pinned; run again"):
        await here.file(HttpFile(sha(b"y"), 1, "f", source=source))
