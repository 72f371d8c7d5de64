"""What the solver answers, where content may still be with other machines.

Without travelling caches this is the solver and nothing else. With them an answer waits until it is
known what other machines have made, and what looks into a snapshot waits for its layers.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipelines.engine.op import Edge, Op, Rootfs
from pipelines.engine.result import Ran, Result, Snapshot, output
from pipelines.engine.solver import Solver
from pipelines.engine.tree import Tree

if TYPE_CHECKING:
    from pipelines.engine.travel.travel import Travel

__all__ = ["Answers"]


class Answers:
    """Solves ops; `images` makes the layers of an image, and blocks."""

    def __init__(
        self, solver: Solver, travel: "Travel | None", images: Callable[[Rootfs], object]
    ) -> None:
        self._solver = solver
        self._travel = travel
        self._images = images

    @property
    def idle(self) -> bool:
        """Whether nothing was solved yet."""
        return self._solver.idle

    async def solve(self, op: Op) -> Result:
        """Give an op's result; its layers may be elsewhere."""
        if self._travel is not None:
            await self._travel.ready()
        return await self._solver.solve(op)

    async def whole(self, op: Op) -> Result:
        """Give an op's result with its layers."""
        result = await self.solve(op)
        values = result.outputs.values() if isinstance(result, Ran) else (result,)
        await self.bring(op, *values)
        return result

    async def wholes(self, edges: Sequence[Edge]) -> list[Tree | Snapshot]:
        """Give what edges stand for, with its layers."""
        if self._travel is not None:
            await self._travel.ready()
        results = await self._solver.solve_all(edges)
        picked = [output(r, e.output) for r, e in zip(results, edges, strict=True)]
        for edge, value in zip(edges, picked, strict=True):
            await self.bring(edge.op, value)
        return picked

    async def bring(self, op: Op, *values: Tree | Snapshot) -> None:
        """Fetch the layers of what an op gave, if another machine has made them."""
        if self._travel is not None:
            await self._travel.stacks(op, values, self._images)

    def coming(self, tree: Tree) -> None:
        """Begin to fetch the files of a tree that is about to be read."""
        if self._travel is not None:
            self._travel.coming(tree)

    def mended(self) -> bool:
        """Hear that content is missing; True if it can be made here, and the question asked again.

        Content of another machine did not come: from now on nothing of it is believed.
        """
        if self._travel is None or not self._travel.abandon():
            return False
        self._solver.forget()
        return True
