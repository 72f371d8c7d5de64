"""Dockerfiles whose instructions go through links to the host, and archives that ADD unpacks."""

import lzma

import dagger
import pytest

from tests.escapes.corpus import CASES
from tests.escapes.guard import SECRET
from tests.escapes.test_paths_of_images import outcome

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

LINKS = """
FROM busybox AS linked
RUN ln -s {g} /in && ln -s /proc/self/root{g} /root-in && ln -s ../../../../../../../..{g} /up
RUN ln -s /proc/self/root/oldroot{g} /old
"""
STEPS = [
    "COPY f {way}/new",
    "COPY f {way}/canary",
    "COPY f {way}/",
    "COPY --chown=1:1 --chmod=777 d {way}/made",
    "ADD f {way}/new",
    "ADD a.tar {way}/",
    "WORKDIR {way}/made\nRUN touch x",
    "RUN touch {way}/x; rm -rf {way}/dir; cat {way}/canary",
    "RUN --mount=type=cache,target={way}/made touch {way}/made/x",
    "RUN --mount=type=bind,target={way}/made ls {way}/made",
    "RUN --mount=type=tmpfs,target={way}/made touch {way}/made/x",
    "FROM scratch\nCOPY --from=linked {way}/canary /",
    "FROM scratch\nCOPY --from=linked {way} /",
    "RUN --mount=type=bind,from=linked,source={way},target=/m cat /m/canary",
]
WAYS = ["/in", "/root-in", "/up", "/old"]


@pytest.fixture
def context(tmp_path, guard):
    """A directory that is built, with links out of it."""
    made = tmp_path / "context"
    (made / "d").mkdir(parents=True)
    for name in ("f", "d/f"):
        (made / name).write_text("new")
    (made / "out").symlink_to(guard.root)
    (made / "canary").symlink_to(guard.root / "canary")
    (made / "up").symlink_to("../guarded")
    return made


async def built(dag, context, text: str) -> str:
    """Build, and give all that there is to be read in the end, or what is said instead."""
    (context / "Dockerfile").write_text(text)
    root = dag.host().directory(str(context), no_cache=True).docker_build().rootfs()
    try:
        names = [n for n in await root.glob("**") if n.isascii() and "bin/" not in n]
    except dagger.QueryError as exc:
        names, said = [], str(exc)
    else:
        said = ""
    for name in names:
        if not name.endswith("/") and await root.exists(name, expected_type=REGULAR):
            said += await outcome(root.file(name).contents())
    assert SECRET not in said
    return said


REGULAR = dagger.ExistsType.REGULAR_TYPE


async def test_instructions_do_not_go_through_links_to_the_host(dag, guard, context):
    (context / "a.tar").write_bytes(CASES[3].layers(str(guard))[0])
    for step in STEPS:
        for way in WAYS:
            await built(dag, context, LINKS.format(g=guard) + step.format(way=way))
            guard.check()


SOURCES = [
    *("COPY out/canary /x", "COPY out /x", "COPY canary /x", "COPY up/canary /x"),
    *("COPY ../guarded/canary /x", "COPY /../guarded /x", "ADD ../guarded /x"),
    "COPY ou*/can* /x",
    "RUN --mount=type=bind,source=out,target=/m cat /m/canary > /x",
    "RUN --mount=type=bind,source=../guarded,target=/m cat /m/canary > /x",
]


async def test_sources_do_not_leave_the_context(dag, guard, context):
    for step in SOURCES:
        await built(dag, context, f"FROM busybox\n{step}\n")


async def test_archives_that_are_added_touch_nothing_else(dag, guard, context):
    for case in CASES:
        layers = case.layers(str(guard))
        for number, content in enumerate(layers):
            (context / f"{number}.tar").write_bytes(content)
        adds = "\n".join(f"ADD {number}.tar /" for number in range(len(layers)))
        await built(dag, context, f"FROM scratch\n{adds}\n")
        guard.check()


async def test_an_archive_that_is_cut_is_a_clear_error(dag, guard, context):
    whole = lzma.compress(CASES[3].layers(str(guard))[0] + bytes(range(256)) * 4000)
    (context / "cut.tar.xz").write_bytes(whole[: len(whole) // 2])
    said = await built(dag, context, "FROM scratch\nADD cut.tar.xz /\n")
    assert "internal error" not in said.lower()


async def test_a_dockerfile_that_is_a_link_out_of_the_context_is_not_read(dag, guard, context):
    (context / "Dockerfile").symlink_to(guard.root / "canary")
    tree = dag.host().directory(str(context))
    said = await outcome(tree.docker_build().rootfs().entries())
    assert said.startswith("error: ")
