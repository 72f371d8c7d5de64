"""A stage runs a Go test suite against PostgreSQL and our example service, on private networks.

PostgreSQL is Debian's, as it is installed on this machine: the server, its libraries and its
files become a container on top of a static shell, which takes a second and no network.
"""

import glob
import os
import shutil
import subprocess
from pathlib import Path

import dagger
import pytest

from pipelines import connect, go, stage
from pipelines._session import Session

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.e2e,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.network,
]

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("bitcode", "llvmjit*", "pgxs", "man", "*.bc")
START = (
    "initdb -D /tmp/data -U app -A trust -E UTF8 --locale=C --no-sync >/dev/null && "
    "echo 'host all all all trust' >> /tmp/data/pg_hba.conf && "
    "exec postgres -D /tmp/data -c listen_addresses='*' -c fsync=off -c unix_socket_directories=''"
)


def postgres_root(into: Path) -> tuple[Path, str]:
    """Copy the machine's PostgreSQL, and give the directory of its programs."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        pytest.skip("PostgreSQL is not installed (package postgresql)")
    programs = Path(found[-1]).parent
    version = programs.parent.name
    for directory in (f"/usr/lib/postgresql/{version}", f"/usr/share/postgresql/{version}"):
        shutil.copytree(
            directory, into / directory[1:], ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True
        )
    for name in ("GMT", "Etc/UTC"):
        (into / "usr/share/zoneinfo" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f"/usr/share/zoneinfo/{name}", into / "usr/share/zoneinfo" / name)
    for library in libraries(*(programs / name for name in ("postgres", "initdb", "pg_isready"))):
        target = into / library[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    (into / "etc").mkdir()
    (into / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:70:70::/tmp:/bin/sh\n")
    return into, str(programs)


def libraries(*programs: Path) -> set[str]:
    """List the files that the loader would load for programs, the loader included."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    words = (word for line in said.splitlines() for word in line.split())
    return {word for word in words if word.startswith("/") and not word.endswith(":")}


@stage(timeout=600)
async def integration(
    tests: dagger.Directory, service: dagger.Directory, postgres: dagger.Directory, programs: str
) -> str:
    """Run the tests against a database and the service."""
    box = dagger.dag.container().from_("busybox")
    database = (
        box.with_directory("/", postgres)
        .with_env_variable("PATH", f"{programs}:/bin")
        .with_user("app")
        .with_exposed_port(5432)
        .with_docker_healthcheck(["pg_isready", "-h", "127.0.0.1", "-U", "app"])
        .as_service(args=["sh", "-c", START])
    )
    built = await go.build(service, None, "./cmd/golinks")
    links = (
        box.with_file("/golinks", built.file("golinks"))
        .with_new_file("/links.json", '{"docs": "https://example.com/docs/"}')
        .with_exposed_port(8080)
        .as_service(args=["/golinks", "serve", "--addr=:8080", "--links=/links.json"])
    )
    return await (
        (await go.env(tests))
        .with_service_binding("db", database)
        .with_service_binding("links", links)
        .with_env_variable("DATABASE_URL", "postgres://app@db/postgres?sslmode=disable")
        .with_env_variable("LINKS_URL", "http://links:8080")
        .with_exec(["go", "test", "-v", "./..."])
        .stdout()
    )


async def test_a_go_test_suite_runs_against_a_database_and_the_example_service(store, tmp_path):
    if shutil.which("go") is None:
        pytest.skip("no Go on this host: its image would have to be downloaded")
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    suite = shutil.copytree(Path(__file__).with_name("integration"), tmp_path / "suite")
    text = (suite / "go.mod").read_text().replace("{version}", said.strip().removeprefix("go"))
    (suite / "go.mod").write_text(text)
    root, programs = postgres_root(tmp_path / "postgres")
    heard: list[dict[str, object]] = []
    async with connect(session=Session.start(listen=heard.append)):
        host = dagger.dag.host()
        printed = await integration(
            host.directory(str(suite)),
            host.directory(str(ROOT / "examples/go_service"), exclude=["dist"]),
            host.directory(str(root)),
            programs,
        )
    assert "--- PASS: TestTheDatabaseKeepsWhatTheServiceServes" in printed
    ready = [e for e in heard if e["event"] == "service" and e["state"] == "ready"]
    assert len(ready) == 2
    networks = {e["network"] for e in heard if e["event"] == "exec" and e["state"] == "finished"}
    if shutil.which("slirp4netns") and os.access("/dev/net/tun", os.R_OK | os.W_OK):
        assert networks == {"private"}
