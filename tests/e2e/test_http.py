"""Files of the web as sources, as an SDK client sees them."""

import hashlib
import subprocess

import dagger
import pytest

from pipelines import connect
from tests.gitserver import Repository
from tests.webserver import Reply, web

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


@pytest.fixture
def server():
    with web() as made:
        made.pages["/d/tool.tar"] = Reply(body=b"text", headers={"ETag": '"1"'})
        yield made


async def test_a_file_has_its_name_mode_and_contents(dag, server):
    file = dag.http(f"{server.url}/d/tool.tar?x=1", name=None)
    server.pages["/d/tool.tar?x=1"] = server.pages["/d/tool.tar"]
    assert await file.contents() == "text"
    assert await file.name() == "tool.tar"
    assert await file.stat().permissions() == 0o600
    other = dag.http(f"{server.url}/d/tool.tar", name="t", permissions=0o755)
    assert (await other.name(), await other.stat().permissions()) == ("t", 0o755)
    assert await dag.directory().with_file("x", other).entries() == ["x"]


async def test_it_is_pinned_for_a_session(dag, server):
    url = f"{server.url}/d/tool.tar"
    assert await dag.http(url).contents() == "text"
    server.pages["/d/tool.tar"] = Reply(body=b"changed")
    assert await dag.http(url).contents() == "text"


@pytest.mark.sandbox
async def test_equal_bytes_from_elsewhere_run_nothing_again(session, server):
    server.pages["/moved/tool.tar"] = server.pages["/d/tool.tar"]
    ran = []
    for path in ("/d/tool.tar", "/moved/tool.tar"):
        async with session() as (dag, heard):
            box = dag.container().from_("busybox")
            mounted = box.with_mounted_file("/t", dag.http(f"{server.url}{path}"))
            assert await mounted.with_exec(["cat", "/t"]).stdout() == "text"
            ran.append(heard.ran)
    assert ran == [["cat /t"], []]


async def test_with_its_checksum_it_needs_no_server(store):
    checksum = "sha256:" + hashlib.sha256(b"text").hexdigest()
    for served in (True, False):
        with web() as server:
            server.pages["/f"] = Reply(body=b"text") if served else Reply(500)
            async with connect(engine="embedded") as dag:
                file = dag.http(f"{server.url}/f", checksum=checksum)
                assert await file.contents() == "text"
            assert server.paths == (["/f"] if served else [])


async def test_a_private_file_needs_its_header(dag, server, tmp_path):
    server.pages["/p"] = lambda headers: Reply(
        200 if headers.get("authorization") == "Bearer top-s3cret" else 401, b"private"
    )
    header = dag.set_secret("header", "Bearer top-s3cret")
    assert await dag.http(f"{server.url}/p", auth_header=header).contents() == "private"
    with pytest.raises(dagger.QueryError, match="credentials as authHeader"):
        await dag.http(f"{server.url}/p").contents()
    found = subprocess.run(["grep", "-rlaF", "top-s3cret", tmp_path / "cache"], capture_output=True)
    assert found.stdout == b""


@pytest.mark.parametrize(
    ("url", "more", "message"),
    [
        ("/none", {}, "answered 404; check the address"),
        ("/d/tool.tar", {"checksum": "sha256:" + "a" * 64}, "expected sha256:aaaa"),
        ("/d/tool.tar", {"checksum": "abc"}, "is not a digest"),
        ("/d/tool.tar", {"name": "a/b"}, "a name is wanted"),
    ],
)
async def test_what_cannot_be_had_is_said(dag, server, url, more, message):
    with pytest.raises(dagger.QueryError, match=message):
        await dag.http(f"{server.url}{url}", **more).contents()


@pytest.mark.sandbox
async def test_a_service_serves_a_file_and_a_repository(dag, tmp_path):
    repository = Repository(tmp_path / "one")
    commit = repository.commit(a="of-the-service")
    repository.git("update-server-info")
    root = dag.host().directory(str(tmp_path), include=["one/.git"]).with_new_file("f", "text")
    box = dag.container().from_("busybox").with_directory("/www", root).with_exposed_port(80)
    served = box.as_service(args=["httpd", "-f", "-p", "80", "-h", "/www"])
    assert await dag.http("http://www/f", experimental_service_host=served).contents() == "text"
    git = dag.git("http://www/one/.git", experimental_service_host=served)
    assert await git.branch("main").commit() == commit
    assert await git.branch("main").tree().file("a").contents() == "of-the-service"
