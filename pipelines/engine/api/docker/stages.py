"""Stages: which of them are needed, and what each begins with.

Only stages that the target begins with, copies from or mounts are made. Making one only extends
the graph; that independent ones run side by side is the solver's business.
"""

from collections.abc import Sequence

from pipelines.engine.api.config import Config
from pipelines.engine.api.container import Container
from pipelines.engine.api.docker.copying import copy
from pipelines.engine.api.docker.remote import remote_pieces
from pipelines.engine.api.docker.running import run
from pipelines.engine.api.docker.settings import SETTINGS
from pipelines.engine.api.docker.state import Building, Options
from pipelines.engine.api.session import Session
from pipelines.engine.dockerfile import Dockerfile, Stage, parse_one
from pipelines.engine.dockerfile.arguments import did_you_mean
from pipelines.engine.dockerfile.expand import Expansion, ExpansionError
from pipelines.engine.dockerfile.instructions import Copy, From, Instruction, Run
from pipelines.engine.dockerfile.mounts import mount_sources
from pipelines.engine.dockerfile.source import Where
from pipelines.engine.errors import ImageError, QueryError
from pipelines.engine.keys import DEFAULT_PATH, normal_platform
from pipelines.engine.op import Edge, Rootfs, Scratch

__all__ = ["Stages"]


class Stages:
    """The stages of one build; each is made at most once."""

    def __init__(
        self, session: Session, dockerfile: Dockerfile, context: Edge, options: Options
    ) -> None:
        self._session = session
        self._file = dockerfile
        self._context = context
        self._options = options
        self._made: dict[int, Building] = {}

    def find(self, target: str) -> Stage:
        """Find the stage to build: by name, by number, or the last.

        Raises:
            DockerfileError: there is no such stage.
        """
        stages = self._file.stages
        if not target:
            return stages[-1]
        found = _stage(target, stages)
        if found is None:
            names = [stage.name for stage in stages]
            raise stages[-1].begin.where.error(
                f"there is no stage {target!r}{did_you_mean(target.lower(), names)}; "
                f"stages: {', '.join(names)}"
            )
        return found

    async def build(self, stage: Stage) -> Building:
        """Make a stage, and those that it needs."""
        made = self._made.get(stage.number)
        if made is None:
            b = await self._begin(stage)
            triggers, b = b.config.onbuild, b.configured(onbuild=())
            ran = [parse_one(text, stage.begin.where) for text in triggers]
            for one in (*ran, *stage.instructions):
                b = await self._follow(b, one, stage.number)
            made = self._made[stage.number] = b
        return made

    async def _follow(self, b: Building, one: Instruction, number: int) -> Building:
        if isinstance(one, Copy):
            name = b.expand(one.from_, one.where)
            source = await self._source(name, one.where, number)
            return copy(b, one, source, await remote_pieces(self._session, b, one))
        if isinstance(one, Run):
            names = {"", *mount_sources(one.mounts, one.where)}
            sources = {name: await self._source(name, one.where, number) for name in names}
            return run(b, one, self._options, sources)
        return SETTINGS[type(one)](b, one, self._options)

    async def _source(self, name: str, where: Where, number: int) -> Edge:
        """Give what COPY and mounts are from: the context, an earlier stage, or an image."""
        if not name:
            return self._context
        found = _stage(name, self._file.stages)
        if found is not None and found.number >= number:
            raise where.error(f"from={name}: that stage comes later; only earlier ones can be used")
        if found is None and name.isdecimal():
            raise where.error(f"from={name}: there are {number} stages before this one")
        if found is not None:
            return (await self.build(found)).it.rootfs
        return (await self._image(name, self._options.platform, where)).rootfs

    # --- beginning -----------------------------------------------------------------------

    async def _begin(self, stage: Stage) -> Building:
        begin = stage.begin
        base = self._global(begin.base, begin.where)
        platform = self._platform(begin)
        found = _stage(base, self._file.stages[: stage.number])
        if found is not None and not base.isdecimal():
            b = await self.build(found)
            return Building.begin(b.it, b.variables, self._file.escape)
        if not base:
            raise begin.where.error(f"FROM {begin.base}: the name of the base is empty")
        if base == "scratch":
            config = Config(env=(("PATH", DEFAULT_PATH),), workdir="/")
            return Building.begin(
                Container(platform, Edge(Scratch()), config), {}, self._file.escape
            )
        it = await self._image(base, platform, begin.where)
        return Building.begin(it, {}, self._file.escape)

    def _platform(self, begin: From) -> str:
        text = self._global(begin.platform, begin.where)
        try:
            return normal_platform(text) if text else self._options.platform
        except QueryError as exc:
            raise begin.where.error(f"FROM --platform={text}: {exc}") from exc

    def _global(self, text: str, where: Where) -> str:
        try:
            return Expansion(self._options.scope, self._file.escape).text(text)
        except ExpansionError as exc:
            raise where.error(str(exc)) from exc

    async def _image(self, ref: str, platform: str, where: Where) -> Container:
        try:
            image = await self._session.engine.resolve_image(ref, platform)
        except ImageError as exc:
            names = [stage.name for stage in self._file.stages]
            raise ImageError(f"{where}: {exc}{did_you_mean(ref.lower(), names)}") from exc
        root = Edge(Rootfs(str(image.digest), platform, image.reference))
        config = Config.of_image(image.config)
        return Container(platform, root, config, image=image.reference)


def _stage(name: str, stages: Sequence[Stage]) -> Stage | None:
    """Find a stage by name, the last of equal names, or by number."""
    named = [stage for stage in stages if stage.begin.name == name.lower()]
    if named:
        return named[-1]
    number = int(name) if name.isdecimal() else len(stages)
    return stages[number] if number < len(stages) else None
