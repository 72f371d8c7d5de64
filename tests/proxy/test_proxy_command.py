"""`pipelines proxy` with a real `go`: through an outage, and against go.sum."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.cli.main import main
from pipelines.cli.proxy import _bytes, beside
from pipelines.proxy.sums import zip_sum
from tests.webserver import Reply, web

ROOT = Path(__file__).parents[2]
GO = shutil.which("go")
NAME, VERSION = "example.com/Leaf", "v1.2.0"

needs_go = pytest.mark.skipif(GO is None, reason="there is no go on PATH")


@pytest.fixture
def upstream(tmp_path):
    """A file tree that is a module proxy."""
    place = tmp_path / "upstream" / "example.com" / "!leaf" / "@v"
    place.mkdir(parents=True)
    (place / "list").write_text(f"{VERSION}\n")
    (place / f"{VERSION}.info").write_text(json.dumps({"Version": VERSION}))
    (place / f"{VERSION}.mod").write_text(f"module {NAME}\n\ngo 1.21\n")
    with zipfile.ZipFile(place / f"{VERSION}.zip", "w") as archive:
        archive.writestr(f"{NAME}@{VERSION}/go.mod", f"module {NAME}\n\ngo 1.21\n")
        archive.writestr(f"{NAME}@{VERSION}/leaf.go", "package leaf\n\nconst Word = 1\n")
    return place


@pytest.fixture
def project(tmp_path):
    path = tmp_path / "project"
    path.mkdir()
    (path / "go.mod").write_text(f"module p\n\ngo 1.21\n\nrequire {NAME} {VERSION}\n")
    return path


@contextmanager
def proxy(tmp_path, upstream, *arguments):
    """The command; gives GOPROXY as it prints it."""
    upstream = upstream if isinstance(upstream, str) else f"file://{upstream}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipelines.cli.main", "proxy", "--until-eof"),
            *(f"--directory={tmp_path / 'kept'}", *arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GOPROXY": f"{upstream},off"},
    )
    with process:
        yield process.stdout.readline().strip().removeprefix("export GOPROXY=")
        process.stdin.close()
        said = process.stderr.read()
    assert process.returncode == 0, said


def download(project, tmp_path, goproxy, number):
    process = start(project, tmp_path, goproxy, number)
    output, said = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, said)


def start(project, tmp_path, goproxy, number):
    return subprocess.Popen(
        [GO, "mod", "download", "-x", "all"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "GOPROXY": goproxy,
            "GONOSUMDB": "*",
            "GOFLAGS": "-modcacherw",
            "GOMODCACHE": str(tmp_path / f"modules{number}"),
        },
    )


@needs_go
def test_go_downloads_through_it_and_an_outage_stops_nobody(tmp_path, upstream, project):
    top = upstream.parents[2]
    with proxy(tmp_path, top) as goproxy:
        assert goproxy.endswith(",off")
        first = download(project, tmp_path, goproxy, 1)
        assert first.returncode == 0, first.stderr
        shutil.rmtree(upstream)
        again = download(project, tmp_path, goproxy, 2)
        assert again.returncode == 0, again.stderr
    # What go has written into go.sum is what the proxy computes.
    zipped = next((tmp_path / "modules1").rglob("*.zip"))
    assert zip_sum(zipped, f"{NAME}@{VERSION}/") in (project / "go.sum").read_text()


@needs_go
def test_a_module_that_is_not_there_is_not_there(tmp_path, upstream, project):
    (project / "go.mod").write_text("module p\n\ngo 1.21\n\nrequire example.com/other v1.0.0\n")
    with proxy(tmp_path, upstream.parents[2]) as goproxy:
        failed = download(project, tmp_path, goproxy, 1)
    assert failed.returncode != 0
    assert "404" in failed.stderr


@needs_go
def test_upstream_must_send_what_go_sum_says(tmp_path, upstream, project):
    (tmp_path / "sums").write_text(f"{NAME} {VERSION} h1:{'A' * 43}=\n")
    with proxy(tmp_path, upstream.parents[2], f"--sums={tmp_path / 'sums'}") as goproxy:
        failed = download(project, tmp_path, goproxy, 1)
    assert failed.returncode != 0
    assert "go.sum has h1:AAA" in failed.stderr


@needs_go
def test_six_jobs_fetch_every_byte_once(tmp_path, upstream, project):
    top = upstream.parents[2]
    with web() as served:
        for path in upstream.iterdir():
            served.pages[f"/{path.relative_to(top)}"] = Reply(body=path.read_bytes())
        with proxy(tmp_path, served.url) as goproxy:
            jobs = [start(project, tmp_path, goproxy, number) for number in range(6)]
            said = [(job.communicate()[1], job.returncode) for job in jobs]
    assert [words for words, code in said if code] == []
    assert sorted(served.paths) == sorted(set(served.paths))
    assert any(path.endswith(".zip") for path in served.paths)


def test_beside_a_run_goproxy_leads_to_it_and_back(tmp_path, upstream, monkeypatch):
    monkeypatch.setenv("GOPROXY", f"file://{upstream.parents[2]}|direct")
    monkeypatch.setenv("PIPELINES_CACHE_DIR", str(tmp_path / "store"))
    with beside(tmp_path):
        url, rest = os.environ["GOPROXY"].split("|")
        assert rest == "direct"
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
            wire.sendall(
                b"GET /example.com/!leaf/@v/list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(f"\r\n\r\n{VERSION}\n".encode())
    assert os.environ["GOPROXY"].startswith("file://")


def test_without_a_server_it_is_a_usage_error(monkeypatch, capsys):
    monkeypatch.setenv("GOPROXY", "direct")
    assert main(["proxy"]) == 2
    assert "names no server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("4GiB", 4 << 30), ("2K", 2048), ("1MB", 1 << 20)]
)
def test_sizes_are_read(text, size):
    assert _bytes(text) == size
