"""Running tests for what they print."""

from typing import Unpack

from pipelines._dagger import dagger
from pipelines._matrix import gather
from pipelines.go._diagnosis import diagnosis
from pipelines.go._plan import Cell, Plan, planned, tell
from pipelines.go._ready import chosen_for, ready
from pipelines.go._share import printed
from pipelines.go._testing import Testing
from pipelines.go._unmatched import unmatched

__all__ = ["test"]


async def test(source: dagger.Directory, *packages: str, **options: Unpack[Testing]) -> str:
    """Run the tests of packages, by default of all; give what `go test` printed.

    Args:
        source: The repository. Its `.git` is left out.
        packages: Packages or patterns; by default `./...`.
        options: run, skip, count, short, timeout, tags, trimpath, flags, inputs, affected, shard,
            shards, timings (`go.Testing`), and those of `env`: version, module, image, cgo, race,
            goprivate, netrc.

    Raises:
        dagger.ExecError: a test failed; `stdout` has its output, `stderr` the compiler's lines.
            With several cells an ExceptionGroup of these.
        SourceError: there is no go.mod, or no version in it.
        UsageError: no package matches.
        StageFailed, InfrastructureError, CacheIntegrityError: Go refused a package for a reason
            that is known and whose way out the message says; `__cause__` is the ExecError, whose
            `stdout` has how the other packages ended.
    """
    chosen = await chosen_for(source, options)
    plan = await planned(source, packages or ("./...",), chosen)
    tell(plan)

    async def run(cell: Cell) -> str:
        container = await ready(source, cell.packages, chosen)
        command = chosen.command(cell.packages, seconds=cell.seconds)
        try:
            return await printed(container.with_exec(command))
        except dagger.ExecError as error:
            known = unmatched(cell.packages, error) or diagnosis(error.stderr)
            if known is None:
                raise
            raise known from error

    if len(plan.cells) == 1:
        return _said(plan) + await run(plan.cells[0])
    work = {f"cell {n}": run(cell) for n, cell in enumerate(plan.cells, 1)}
    return _said(plan) + "".join((await gather(work, fail_fast=False)).values())


def _said(plan: Plan) -> str:
    """Say which packages were chosen, and why."""
    if not plan.by_change:
        return ""
    lines = [f"{path}: {why}\n" for path, why in sorted(plan.why.items())]
    return f"affected: {len(lines)} packages\n" + "".join(lines)
