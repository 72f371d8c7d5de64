"""The same Dockerfiles built here and by BuildKit in Debian's docker.io: the same images.

A daemon of our own, with everything it keeps in a temporary directory and no network of its own.
Base images are made here and loaded into it. Compared are all files (kind, mode, owner, link
target, content), what `docker inspect` says of the config, and the history.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import dagger
import pytest

from ci.bench.dockerd import Absent, Docker, daemon
from pipelines import connect
from tests.e2e.conftest import remove

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]


class Images(Docker):
    """What a daemon of our own says of its images."""

    def files(self, image: str, into: Path) -> dict[str, tuple[object, ...]]:
        """List the files of an image."""
        container = self("create", "--network=none", image, "none")
        self("export", "-o", str(into), container)
        self("rm", container)
        with tarfile.open(into) as tar:
            return {m.name.rstrip("/"): _file(tar, m) for m in tar if not _of_docker(m.name)}

    def config(self, image: str) -> dict[str, object]:
        """Give what an image says of its containers."""
        row = json.loads(self("image", "inspect", image))[0]
        config = {k: v for k, v in row["Config"].items() if v and k in CONFIG}
        if "Env" in config:
            config["Env"] = list(config["Env"])
        return {**config, "Author": row.get("Author") or "", "Arch": row["Architecture"]}

    def history(self, image: str) -> list[str]:
        """Give what was done, first to last, as far as all versions of BuildKit tell it alike."""
        told = self("history", "--no-trunc", "--format={{.CreatedBy}}", image).splitlines()
        lines = [line.removesuffix(" # buildkit") for line in reversed(told)]
        lines = [re.sub(r"^(COPY|ADD)( --\S+)*", r"\1", line) for line in lines]
        return [re.sub(r"^(EXPOSE|ARG|HEALTHCHECK) .*", r"\1", line) for line in lines]


CONFIG = ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "Labels", "ExposedPorts", "Volumes",
          "Healthcheck", "StopSignal", "OnBuild", "Shell")  # fmt: skip


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    content = ""
    if member.isreg() or member.islnk():
        file = tar.extractfile(member)
        assert file is not None
        content = hashlib.sha256(file.read()).hexdigest()[:12]
    kind = "file" if member.isreg() or member.islnk() else "dir" if member.isdir() else "link"
    target = member.linkname if member.issym() else ""
    return kind, oct(member.mode), member.uid, member.gid, target, content


def _of_docker(name: str) -> bool:
    """Tell what `docker create` adds, and mount points that only a running container has."""
    path = name.rstrip("/")
    return path in {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab",
                    "dev", "proc", "sys", "etc"} or path.startswith("dev/")  # fmt: skip


@pytest.fixture(scope="module")
def docker():
    try:
        with daemon() as made:
            yield Images(made.program, made.env)
    except Absent as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def bench(docker, tmp_path_factory):
    """One store for all cases, and the base image loaded into Docker."""
    root = tmp_path_factory.mktemp("bench")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    patch.delenv("PIPELINES_CACHE_DIR", raising=False)

    async def base() -> None:
        async with connect(engine="embedded") as dag:
            await dag.container().from_("busybox").export(str(root / "base.tar"))

    # In a thread: other tests' fixtures may have a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, base).result()
    docker.load(root / "base.tar", "busybox:latest")
    yield root
    remove(root / "cache")
    patch.undo()


def go_version() -> str:
    if (program := shutil.which("go")) is None:
        pytest.skip("no Go on this host: its image would have to be downloaded")
    found = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True)
    return found.stdout.strip().removeprefix("go")


@pytest.fixture(scope="module")
def golang(docker, bench):
    """The Go image, loaded into Docker: its version."""
    version = go_version()

    async def base() -> None:
        async with connect(engine="embedded") as dag:
            await dag.container().from_(f"golang:{version}").export(str(bench / "go.tar"))

    # In a thread: other tests' fixtures may have a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, base).result()
    docker.load(bench / "go.tar", f"golang:{version}")
    (bench / "go.tar").unlink()
    return version


async def ours(where: Path, into: Path, arguments: dict[str, str]) -> None:
    async with connect(engine="embedded") as dag:
        args = [dagger.BuildArg(*pair) for pair in arguments.items()]
        built = dag.host().directory(str(where)).docker_build(build_args=args)
        await built.export(str(into))


MULTI = """
ARG TAG=latest
FROM busybox:$TAG AS build
ARG NAME=world
ENV GREETING="hello $NAME" EMPTY=
WORKDIR /src/app
COPY . .
RUN echo "$GREETING" > greeting && mkdir -p out/deep && ln -s ../greeting out/link
RUN chmod 600 greeting
FROM busybox
COPY --from=build /src/app/out /out
COPY --from=build /src/app/greeting /src/app/a.txt /g/
COPY --from=build --chown=1000:1000 /src/app/sub/ /owned
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "true"]
"""
SETTINGS = """
FROM busybox AS base
CMD ["base"]
ONBUILD RUN echo trigger > /trigger
FROM base
ENV A=1 B="two words" C=$A
ENV OLD style value
LABEL one=1 "two three"="4 5"
EXPOSE 80 53/udp 8000-8002
VOLUME /data /more
USER 1000:1000
WORKDIR /made
WORKDIR below
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --retries=2 CMD echo ok
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT echo $A
MAINTAINER someone@example.com
"""
COPIES = r"""
FROM busybox
WORKDIR /w
COPY a.txt new
COPY a.txt b.txt ./
COPY sub dir
COPY sub/ dir2/
COPY sub/deep /w/dir
COPY *.txt globbed/
COPY s*b/*/ globdirs/
COPY a.txt /existing/
COPY b.txt /existing
COPY sub/link /followed
COPY --chown=5:6 sub /made/by/chown/
COPY --chmod=750 exec.sh /bin/tool
RUN mkdir /moded
COPY --chmod=700 sub /moded/
COPY ["with space.txt", "spaced/"]
COPY nothing* /none/
RUN ln -s /existing /alias && mkdir -m 711 /kept
COPY a.txt /alias/via
COPY sub /kept
COPY link-to-dir /linked
COPY with*/ /
"""
RUNS = r"""
FROM busybox
ARG A
ARG B=b
RUN echo "$A $B" > /args && mkdir /b /c /m /s /tmpfs
RUN ["/bin/busybox", "touch", "/exec form"]
RUN --mount=type=cache,target=/c,id=diff,uid=3,mode=0700 touch /c/x && stat -c '%u %a' /c > /cache
RUN --mount=type=bind,target=/m --mount=type=bind,source=sub,target=/s,rw \
    cat /m/a.txt /s/b > /bound && touch /s/new
RUN --mount=type=tmpfs,target=/tmpfs touch /tmpfs/x
RUN --mount=type=bind,from=busybox,source=/bin,target=/b ls /b | wc -l > /count
RUN mkdir /gone && touch /gone/x /stays
RUN rm -r /gone && chown 7:8 /stays
USER 12
RUN id -u > /tmp/id && touch /tmp/mine
"""
ADDS = """
FROM busybox
ADD a.txt /x
ADD sub /sub/
ADD plain.tar /plain/
ADD zipped.tar.gz /zipped
ADD not.tar.gz /not/
"""
GO = """
FROM golang:{version} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN {mounts}CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOFLAGS=-trimpath go build -o /service .
FROM scratch
COPY --from=build /service /service
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/service"]
"""
CACHES = "--mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg/mod "
CASES = {
    "stages": (MULTI, {"NAME": "you"}),
    "settings": (SETTINGS, {}),
    "copies": (COPIES, {}),
    "runs": (RUNS, {"A": "a $x"}),
    "adds": (ADDS, {}),
    "scratch": ("FROM scratch\nCOPY --chown=1 a.txt /\nCOPY sub/ /\nENV X=1\n", {}),
    "ignored": ("FROM busybox\nCOPY . /all/\n", {}),
}


def context(where: Path, dockerfile: str) -> Path:
    where.mkdir()
    files = {
        "a.txt": "A\n", "b.txt": "B\n", "sub/b": "sub b\n", "sub/deep/c": "c\n",
        "with space.txt": "", "exec.sh": "#!/bin/sh\n", "ignored/x": "", "kept.md": "",
        "other.md": "", "not.tar.gz": "no",
        ".dockerignore": "# comment\n/ignored\n*.md\n!kept.md\n**/*.tmp\n", "sub/x.tmp": "",
        "withdir/in": "", "Dockerfile": dockerfile,
    }  # fmt: skip
    for name, text in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (where / "exec.sh").chmod(0o755)
    (where / "sub/deep").chmod(0o750)
    (where / "sub/link").symlink_to("b")
    (where / "link-to-dir").symlink_to("sub/deep")
    for name in ("plain.tar", "zipped.tar.gz"):
        with tarfile.open(where / name, "w:gz" if name.endswith("gz") else "w") as tar:
            tar.add(where / "sub", "packed", filter=_as_seven)
    return where


def _as_seven(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid, member.gid, member.uname, member.gname = 7, 8, "", ""
    return member


@pytest.mark.parametrize("name", CASES)
async def test_buildkit_makes_the_same_image(docker, bench, name, tmp_path):
    dockerfile, arguments = CASES[name]
    where = context(tmp_path / "context", dockerfile)
    given = [f"--build-arg={n}={v}" for n, v in arguments.items()]
    docker("build", "--network=host", "-t", f"theirs-{name}", *given, str(where))
    await ours(where, tmp_path / "ours.tar", arguments)
    mine = docker.load(tmp_path / "ours.tar", f"ours-{name}")
    theirs = f"theirs-{name}"
    assert docker.files(mine, tmp_path / "m.tar") == docker.files(theirs, tmp_path / "t.tar")
    assert docker.config(mine) == docker.config(theirs)
    assert docker.history(mine) == docker.history(theirs)


@pytest.mark.parametrize("mounts", ["", CACHES], ids=["plain", "cache mounts"])
async def test_buildkit_makes_the_same_go_service(docker, bench, golang, mounts, tmp_path):
    where = tmp_path / "service"
    where.mkdir()
    (where / "Dockerfile").write_text(GO.format(version=golang, mounts=mounts))
    (where / "go.mod").write_text(f"module example.com/service\n\ngo {golang}\n")
    (where / "go.sum").write_text("")
    (where / "main.go").write_text(
        'package main\n\nimport ("fmt"; "os")\n\nfunc main() { fmt.Println("up", len(os.Args)) }\n'
    )
    docker("build", "--network=host", "-t", "theirs-go", str(where))
    await ours(where, tmp_path / "ours.tar", {})
    mine = docker.load(tmp_path / "ours.tar", "ours-go")
    assert docker.files(mine, tmp_path / "m.tar") == docker.files("theirs-go", tmp_path / "t.tar")
    assert docker.config(mine) == docker.config("theirs-go")
    assert docker("run", "--rm", "--network=none", mine, "x") == "up 2"
