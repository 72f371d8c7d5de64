"""Which packages a change reaches.

A package is reached if a file of its input set was added or changed, or if one of the set that
it had was removed or changed. Where an input set is the whole source, every change reaches it. So
what is not reached has the same files as before, and its tests the same results.
"""

from collections.abc import Mapping, Sequence

import anyio

from pipelines._dagger import dagger
from pipelines._errors import UsageError
from pipelines._memo import once
from pipelines.go._closure import Inputs, closure
from pipelines.go._constraints import Tags
from pipelines.go._inputs import whole_source
from pipelines.go._project import inspect
from pipelines.go._survey import Survey, survey
from pipelines.go._testing import Choices

__all__ = ["Changed", "reached", "reasons"]

Changed = Mapping[str, str]  # path -> "added", "changed" or "removed"


async def reasons(
    source: dagger.Directory,
    base: dagger.Directory | dagger.GitRef | str,
    directories: Sequence[str],
    chosen: Choices,
) -> dict[str, str]:
    """Say of directories of packages why their tests may end otherwise than in `base`.

    Raises:
        UsageError: `base` is a name, and the source's git has no such ref or nothing in common.
    """
    now = await once(source, "go whole source", lambda: whole_source(source))
    then = await whole_source(await _tree_of(source, base))
    changed = await _changed(now, then)
    if not changed:
        return {}
    project = await inspect(source, chosen.module)
    tags = Tags.of(
        None,
        "" if chosen.setup.get("image") else chosen.setup.get("version") or project.version,
        cgo=bool(chosen.setup.get("cgo", False)),
        race=chosen.setup.get("race", False),
        chosen=chosen.tags,
    )
    surveys = [await survey(now), await survey(then)]
    return await anyio.to_thread.run_sync(reached, directories, changed, surveys, tags)


async def _tree_of(
    source: dagger.Directory, base: dagger.Directory | dagger.GitRef | str
) -> dagger.Directory:
    if isinstance(base, str):
        base = await _merge_base(source, base)
    return base.tree() if isinstance(base, dagger.GitRef) else base


async def _merge_base(source: dagger.Directory, name: str) -> dagger.GitRef:
    """Find where what is checked out left a branch: a ref's name is looked up as git does it."""
    repository = source.as_git()
    failed = ""
    for full in (name, f"refs/remotes/{name}", f"refs/remotes/origin/{name}"):
        try:
            found = repository.head().common_ancestor(repository.ref(full))
            await found.commit()
        except dagger.QueryError as error:
            failed = failed or str(error)
            if "no common ancestor" in str(error):
                failed = str(error)
                break
        else:
            return found
    raise UsageError(
        f"affected={name!r} is compared from where the checkout left that ref, which needs the "
        "source's .git with the history of both (on GitHub Actions `fetch-depth: 0`): " + failed
    )


async def _changed(now: dagger.Directory, then: dagger.Directory) -> Changed:
    changes = now.changes(then)
    found: dict[str, str] = dict.fromkeys(await changes.added_paths(), "added")
    found |= dict.fromkeys(await changes.modified_paths(), "changed")
    found |= dict.fromkeys(await changes.removed_paths(), "removed")
    return {path: how for path, how in found.items() if not path.endswith("/")}


def reached(
    directories: Sequence[str], changed: Changed, surveys: Sequence[Survey], tags: Tags
) -> dict[str, str]:
    """Say of directories why they are reached; those that are not are left out. Pure."""
    now, then = surveys
    found: dict[str, str] = {}
    for directory in directories:
        if directory not in then.directories:
            found[directory] = "it is new"
            continue
        for state in (now, then):
            inputs = _inputs(state, tags, directory)
            if why := _why(inputs, changed):
                found[directory] = why
                break
    return found


def _inputs(state: Survey, tags: Tags, directory: str) -> Inputs:
    return closure(state, tags, [f"./{directory}" if directory != "." else "."], tests=True)


def _why(inputs: Inputs, changed: Changed) -> str:
    """Name one file that makes the difference, the nearest by name."""
    paths = changed if inputs.whole else sorted(changed.keys() & set(inputs.paths))
    if not paths:
        return ""
    first = min(paths)
    more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
    doubt = f" ({inputs.whole})" if inputs.whole else ""
    return f"{first} {changed[first]}{more}{doubt}"
