"""Go stages over what is wrong: each is told as what it is, with its exit code and the way out.

Modules come from a proxy in this process, which does what a test tells it. Nothing is compiled
but a few lines, with one store for all.
"""

import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines import (
    CacheIntegrityError,
    InfrastructureError,
    Platform,
    SourceError,
    StageFailed,
    UsageError,
    connect,
    go,
)

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

MAIN = 'package main\n\nimport _ "example.com/lib"\n\nfunc main() {}\n'
MODULES = {"example.com/lib": "package lib\n", "example.com/new": "package newer\n"}
WRONG = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def served(path):
    """Answer as a module proxy that has v1.0.0 of each module."""
    module, _, asked = path.removeprefix("/").partition("/@v/")
    text = MODULES.get(module)
    if text is None or not asked.startswith("v1.0.0"):
        return None
    manifest = f"module {module}\n\ngo {'1.99' if 'new' in module else '1.21'}\n"
    if asked.endswith(".info"):
        return b'{"Version":"v1.0.0"}'
    if asked.endswith(".mod"):
        return manifest.encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{module}@v1.0.0/go.mod", manifest)
        archive.writestr(f"{module}@v1.0.0/lib.go", text)
    return packed.getvalue()


class Proxy:
    """A module proxy; `faults` are the statuses of its next answers, `always` of all."""

    def __init__(self):
        self.faults, self.always, self.asked = [], 0, 0
        proxy = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self):
                proxy.asked += 1
                status = proxy.always or (proxy.faults.pop(0) if proxy.faults else 0)
                body = None if status else served(self.path)
                self.send_response(status or (200 if body is not None else 404))
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxy(monkeypatch):
    made = Proxy()
    monkeypatch.setenv("GOPROXY", f"http://127.0.0.1:{made.server.server_address[1]}")
    monkeypatch.setenv("GOSUMDB", "off")
    yield made
    made.end()


@pytest.fixture
def source(go_version, proxy, tmp_path):
    def written(requires="", **files):
        root = tmp_path / "source"
        root.mkdir(exist_ok=True)
        manifest = f"module example.com/m\n\ngo {go_version}\n\n{requires}\n"
        # A comment of its own: the manifests of no two tests are the same question.
        manifest += f"// {tmp_path.name}\n"
        for name, text in ({"go.mod": manifest} | files).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    return written


async def build(source, *packages, **options):
    async with connect(engine="embedded") as dag:
        tree = dag.host().directory(str(source))
        return await go.build(tree, Platform("linux", "amd64"), *packages, **options)


LIB = "require example.com/lib v1.0.0"


@pytest.mark.parametrize(
    ("status", "kind", "what"),
    [
        (404, StageFailed, r"example\.com/lib@v1\.0\.0 is not to be had \(404"),
        (410, StageFailed, r"is not to be had \(410 Gone\)"),
        (401, UsageError, r"example\.com/lib@v1\.0\.0 .* no credentials \(401\).*goprivate="),
        (503, InfrastructureError, r"the module proxy failed \(503\)"),
    ],
)
async def test_a_proxy_that_gives_no_module_is_told(source, proxy, status, kind, what):
    proxy.always = status
    with pytest.raises(kind, match=what):
        await build(source(LIB, **{"main.go": MAIN}))
    assert proxy.asked == (3 if kind is InfrastructureError else 1)  # of which two are again


async def test_a_proxy_that_is_down_is_the_network_s_fault(source, proxy):
    proxy.end()
    with pytest.raises(InfrastructureError, match="the network or the module proxy") as caught:
        await build(source(LIB, **{"main.go": MAIN}))
    assert caught.value.exit_code == 6


async def test_a_download_that_the_network_broke_is_tried_again(source, proxy):
    proxy.faults = [503]
    root = source(LIB, **{"main.go": MAIN, "go.sum": ""})
    # What comes after the download is another matter: here, that go.sum is empty.
    with pytest.raises(StageFailed, match=r"what example\.com/lib needs; run `go mod tidy`"):
        await build(root)
    assert proxy.asked > 1


async def test_content_that_is_not_what_go_sum_says_is_refused(source):
    lines = f"example.com/lib v1.0.0 h1:{WRONG}\nexample.com/lib v1.0.0/go.mod h1:{WRONG}\n"
    with pytest.raises(CacheIntegrityError, match=r"example\.com/lib@v1\.0\.0.* is not what"):
        await build(source(LIB, **{"main.go": MAIN, "go.sum": lines}))


async def test_a_go_that_there_is_not_yet_is_told(source):
    root = source(**{"main.go": "package main\n\nfunc main() {}\n"})
    (root / "go.mod").write_text("module m\n\ngo 1.99\n")
    with pytest.raises(SourceError, match=r"Go 1\.99 is wanted by go\.mod"):
        await build(root)
    with pytest.raises(SourceError, match=r"example\.com/new@v1\.0\.0 wants Go 1\.99"):
        await build(source("require example.com/new v1.0.0", **{"main.go": MAIN}))


async def test_a_source_that_go_can_not_load_is_told(source):
    root = source(**{
        "a/a.go": 'package a\n\nimport _ "example.com/m/b"\n',
        "b/b.go": 'package b\n\nimport _ "example.com/m/a"\n',
        "empty/readme.md": "",
        "other/x.go": "package other\n",
        "windows/x_windows.go": "package main\n",
    })  # fmt: skip
    cases = {
        "./a": (StageFailed, r"import each other in a circle[^\0]*from b\.go"),
        "./empty/...": (UsageError, r"there is no package \./empty/\.\.\."),
        "./nowhere": (UsageError, "there is no package /src/nowhere"),
        "./empty": (SourceError, "/src/empty has no Go files"),
        "./other": (UsageError, "none of the packages is a command"),
        "example.com/m/none": (UsageError, "no required module provides package example.com/m/n"),
        "./windows": (UsageError, "there is no package .* file of it is for this build"),
    }
    for package, (kind, what) in cases.items():
        with pytest.raises(kind, match=what):
            await build(root, package)
    async with connect(engine="embedded") as dag:
        with pytest.raises(StageFailed, match="in a circle") as refused:
            await go.test(dag.host().directory(str(root)), "./a", "./other")
    assert "FAIL\texample.com/m/a [setup failed]" in refused.value.__cause__.stdout
    assert "?   \texample.com/m/other" in refused.value.__cause__.stdout


async def test_cgo_without_a_compiler_names_the_packages_and_the_way_out(source):
    root = source(**{
        "main.go": 'package main\n\nimport _ "example.com/m/c"\n\nfunc main() {}\n',
        "c/c.go": 'package c\n\nimport "C"\n',
    })  # fmt: skip
    with pytest.raises(UsageError, match=r'^C is in: example\.com/m/c; .*pass cgo="zig"'):
        await build(root, cgo=True)
