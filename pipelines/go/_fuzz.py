"""Fuzzing. Time that is spent on search is not saved by a record: it always runs.

What the search found worth keeping (Go's corpus) stays in a cache volume for the next time, and is
part of the result, so that it can be kept elsewhere and given back as `corpus`.
"""

from typing import Unpack

from pipelines._cache import Cache, mount
from pipelines._dagger import dagger
from pipelines._errors import StageFailed, UsageError
from pipelines._given import number
from pipelines._memo import mark_forced
from pipelines._spans import note
from pipelines.go._caches import BUILD_PATH
from pipelines.go._ready import chosen_for, ready
from pipelines.go._run import anew, equipped, keeping
from pipelines.go._testing import Testing

__all__ = ["FuzzFailed", "fuzz"]

CORPUS = Cache("go-fuzz", f"{BUILD_PATH}/fuzz")
LOG = "fuzz.txt"
LINES = 20
INPUT = 2000  # characters of a failing input that are shown


class FuzzFailed(StageFailed):
    """An input was found that makes a target fail. `outputs` has it, below `crashers`."""

    def __init__(self, message: str, outputs: dagger.Directory) -> None:
        super().__init__(message)
        self.outputs = outputs


async def fuzz(
    source: dagger.Directory,
    package: str,
    target: str,
    *,
    seconds: float = 60.0,
    corpus: dagger.Directory | None = None,
    **options: Unpack[Testing],
) -> dagger.Directory:
    """Fuzz one target; give a directory with `corpus`, `crashers` and `fuzz.txt`.

    `crashers` holds the input that failed as `testdata/fuzz/<target>/<name>`: copied into the
    package's directory it is a test from then on. `pipelines run --export DIR` writes it.

    Args:
        source: The repository.
        package: The package that the target is in, such as `./parse`.
        target: The name of the fuzz test, such as `FuzzParse`.
        seconds: How long to search.
        corpus: What an earlier search found: its `corpus`.
        options: The arguments of `test`.

    Raises:
        FuzzFailed: an input failed; the message shows it.
        UsageError: there is no such target.
    """
    chosen = await chosen_for(source, options)
    container = equipped(anew((await ready(source, (package,), chosen)).with_(mount(CORPUS))))
    if corpus is not None:
        container = container.with_mounted_directory("/corpus", corpus)
        container = container.with_exec(["cp", "-r", "/corpus/.", CORPUS.path])
    seconds = number("seconds", seconds, "how long to search")
    search = [f"-fuzz=^{target}$", f"-fuzztime={round(seconds * 1000)}ms"]
    command = chosen.command([package], *search, run="^$")
    files, failure = await keeping(container, [package, *command], "fuzz")
    said = await files.file(LOG).contents()
    if "no fuzz tests to fuzz" in said:
        raise UsageError(f"{package} has no fuzz test {target}")
    if failure is not None:
        raise await _failure(files, package, target, said)
    return mark_forced(files)


async def _failure(files: dagger.Directory, package: str, target: str, said: str) -> FuzzFailed:
    lines = [f"{package} {target} failed:"]
    for name in await files.glob("crashers/testdata/fuzz/**"):
        if not name.endswith("/"):
            text = await files.file(name).contents()
            lines += [f"  {name}:", *(f"    {line}" for line in text[:INPUT].splitlines())]
    lines += [f"  {line}" for line in said.rstrip().splitlines()[-LINES:]]
    note(fuzz={"package": package, "target": target})
    return FuzzFailed("\n".join(lines), files)
