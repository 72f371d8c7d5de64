"""Drives the corpus of hostile layers through a door, in a real session."""

from collections.abc import Awaitable, Callable

import dagger

from tests.escapes.corpus import CASES, Case
from tests.escapes.guard import SECRET, Guard

__all__ = ["look", "wrong"]

Door = Callable[[list[bytes]], Awaitable[dagger.Container]]


async def look(root: dagger.Directory, path: str) -> str | None:
    """What an image has at a path that has no links in it."""
    above, _, name = path.rstrip("/").rpartition("/")
    below = root.directory(above) if above else root
    if not await below.exists(name, do_not_follow_symlinks=True):
        return None
    found = await below.stat(name, do_not_follow_symlinks=True).file_type()
    if found == dagger.FileType.SYMLINK:
        return "link"
    return "dir" if found == dagger.FileType.DIRECTORY else await below.file(name).contents()


async def wrong(guard: Guard, door: Door) -> dict[str, str]:
    """Give what came of the cases that did not end as they should; `door` makes an image."""
    found = {}
    for case in CASES:
        try:
            box = await door(case.layers(str(guard)))
            problem = await _verdict(case, box.rootfs(), str(guard))
        except dagger.QueryError as exc:
            problem = "" if case.refused and SECRET not in str(exc) else str(exc)
        if problem:
            found[case.name] = problem
        guard.check()
    return found


async def _verdict(case: Case, root: dagger.Directory, guard: str) -> str:
    names = " ".join(await root.glob("**"))
    inside = case.inside(guard)
    wanted = {
        path: "link" if str(what).startswith("->") else what
        for path, what in inside.items()
        if path.isprintable() and path.isascii()
    }
    found = {path: await look(root, path) for path in wanted}
    if case.refused or found != wanted or SECRET in str(found):
        return f"{found} in {names}"
    return ""
