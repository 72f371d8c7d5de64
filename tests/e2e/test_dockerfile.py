"""Dockerfiles through the SDK: what is built, and what runs again."""

import hashlib
import http.server
import threading

import dagger
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

TOUR = r"""# syntax=docker/dockerfile:1
ARG BASE=busybox
FROM ${BASE} AS build
ARG TARGETARCH
ARG GREETING="hello you"
WORKDIR /src
COPY a.txt b* ./
COPY --chmod=u=rwx,go=rx <<EOF /bin/say
#!/bin/sh
echo $GREETING on ${TARGETARCH}
EOF
RUN say > said
RUN <<EOF
set -e
echo one > one
EOF
RUN <<SCRIPT
#!/bin/sh
echo "$0" > two
SCRIPT
RUN cat <<A <<B > three
first
A
second
B
RUN --mount=type=tmpfs,target=/t --mount=type=bind,target=/all \
    --mount=type=bind,source=sub,target=/sub --mount=type=bind,source=sub/c,target=/c,rw \
    touch /t/x && echo changed >> /c && cat /sub/c /c /all/sub/c > four

FROM build AS unused
RUN false

FROM scratch
COPY --from=build /src/ /out/
COPY --from=busybox --chown=7:8 /bin/busybox /bin/sh
COPY --link --chmod=600 sub /linked/
RUN ["/bin/sh", "-c", "echo $PATH > /path"]
"""
FILES = {"Dockerfile": TOUR, "a.txt": "A", "b1": "B", "sub/c": "C\n", ".dockerignore": "b2\n*.md\n"}


@pytest.fixture
def context(tmp_path):
    """Write files into the directory that is built, and give it."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "context" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / "context")

    return write


async def test_a_tour_of_everything(dag, context):
    built = dag.host().directory(context(FILES)).docker_build()
    root = built.rootfs()
    assert sorted(await root.entries(path="/out")) == [
        "a.txt", "b1", "four", "one", "said", "three", "two",
    ]  # fmt: skip
    said = await root.file("/out/said").contents()
    assert said.startswith("hello you on ")
    assert await root.file("/out/two").contents() == "/dev/pipes/SCRIPT\n"
    assert await root.file("/out/three").contents() == "second\n"
    assert await root.file("/out/four").contents() == "C\nC\nchanged\nC\n"
    assert (await root.file("/path").contents()).startswith("/usr/local/sbin:")
    assert await root.stat("/linked/c").permissions() == 0o600


EDITS = """
FROM busybox AS base
COPY kept /kept
RUN cp /kept /one
ARG V=1
RUN echo $V > /two
FROM base AS side
RUN echo side > /side
FROM base
COPY src/ /src/
COPY --from=side /side /side
RUN --mount=type=bind,source=mounted,target=/m cat /m/* /src/* > /three
"""
BEGIN = {
    "Dockerfile": EDITS, "kept": "k", "src/a": "a", "mounted/m": "m", "loose": "l",
    ".dockerignore": "ignored\n", "ignored": "i",
}  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "arguments", "again"),
    [
        ({}, {}, []),
        ({"ignored": "other"}, {}, []),
        ({"loose": "other"}, {}, []),
        ({".dockerignore": "ignored\nloose\n"}, {}, []),
        ({"Dockerfile": "# comment\n" + EDITS.replace("FROM base\n", "FROM base AS z\n")}, {}, []),
        ({"src/a": "b"}, {}, ["three"]),
        ({"src/b": "b"}, {}, ["three"]),
        ({"mounted/m": "n"}, {}, ["three"]),
        ({"kept": "l"}, {}, ["one", "two", "side", "three"]),
        ({}, {"V": "2"}, ["two", "side", "three"]),
        ({"Dockerfile": EDITS.replace("echo side", "echo  side")}, {}, ["side"]),
    ],
)  # fmt: skip
async def test_what_runs_again_is_what_reads_the_edit(session, context, edit, arguments, again):
    args = [dagger.BuildArg(*pair) for pair in arguments.items()]
    where = context(BEGIN)
    async with session() as (dag, heard):
        await dag.host().directory(where).docker_build().sync()
    assert len(heard.ran) == 4
    context(edit)
    async with session() as (dag, heard):
        await dag.host().directory(where).docker_build(build_args=args).sync()
    ran = [name for name in ("one", "two", "side", "three") if any(name in r for r in heard.ran)]
    assert ran == again
    assert len(heard.ran) == len(again)


async def test_a_cache_mount_lives_from_one_build_to_the_next(session, context):
    text = (
        "FROM busybox\nCOPY n /n\nRUN --mount=type=cache,target=/c cat /n >> /c/all; cp /c/all /\n"
    )
    for number in "12":
        where = context({"Dockerfile": text, "n": number})
        async with session() as (dag, _):
            built = dag.host().directory(where).docker_build()
            found = await built.rootfs().file("/all").contents()
    assert found == "12"


async def test_a_secret_is_there_and_leaves_nothing(dag, context):
    text = (
        "FROM busybox\nRUN --mount=type=secret,id=token --mount=type=secret,id=token,env=T "
        'test "$(cat /run/secrets/token)" = "$T" && echo ${#T} > /length\n'
    )
    secret = dag.set_secret("token", "hunter2hunter2")
    built = dag.host().directory(context({"Dockerfile": text})).docker_build(secrets=[secret])
    assert await built.rootfs().file("/length").contents() == "14\n"
    assert "token" not in await built.rootfs().entries(path="/run")


@pytest.fixture
def served(tmp_path):
    """Serve a directory on loopback; gives the directory and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_an_address_is_added_and_checked(dag, context, served):
    place, url = served
    (place / "tool").write_text("tool")
    good = hashlib.sha256(b"tool").hexdigest()
    text = f"FROM busybox\nADD --checksum=sha256:{good} --chmod=755 {url}/tool /bin/\n"
    built = dag.host().directory(context({"Dockerfile": text})).docker_build()
    assert await built.rootfs().file("/bin/tool").contents() == "tool"
    assert await built.rootfs().stat("/bin/tool").permissions() == 0o755
    where = context({"Dockerfile": text.replace(good, "0" * 64), "n": ""})
    with pytest.raises(dagger.QueryError, match="Dockerfile:2: ADD"):
        await dag.host().directory(where, no_cache=True).docker_build().sync()


async def test_what_copy_does_not_find_is_told_with_its_line(dag, context):
    where = context({"Dockerfile": "FROM busybox\n\nCOPY nope /\n"})
    with pytest.raises(dagger.QueryError, match="Dockerfile:3: COPY: nope: not found"):
        await dag.host().directory(where).docker_build().sync()


async def test_a_mistake_is_told_with_file_and_line(dag, context):
    where = context({"Dockerfile": "FROM busybox\nRUNN x\n"})
    with pytest.raises(dagger.QueryError) as caught:
        await dag.host().directory(where).docker_build().sync()
    assert "Dockerfile:2: unknown instruction RUNN (did you mean RUN?)" in str(caught.value)


async def test_a_command_that_fails_is_an_exec_error(dag, context):
    where = context({"Dockerfile": "FROM busybox\nRUN echo oh >&2; exit 3\n"})
    with pytest.raises(dagger.ExecError) as caught:
        await dag.host().directory(where).docker_build().sync()
    assert (caught.value.exit_code, caught.value.stderr) == (3, "oh")
