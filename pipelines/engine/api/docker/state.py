"""A stage on its way: what the instructions so far have made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipelines.engine.api.config import Config, Step, put
from pipelines.engine.api.container import Container
from pipelines.engine.api.secret import Secret
from pipelines.engine.dockerfile.expand import Expansion, ExpansionError
from pipelines.engine.dockerfile.source import Where
from pipelines.engine.keys import DEFAULT_PATH
from pipelines.engine.op import Edge

__all__ = ["COMMENT", "Building", "Options"]

COMMENT = "pipelines.dockerfile"
"""Says in an image's history what made an entry."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a build was asked for.

    `scope` are the arguments of all stages: the platforms', then those before the first FROM.
    """

    platform: str
    arguments: Mapping[str, str]
    secrets: tuple[Secret, ...] = ()
    scope: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Building:
    """A stage.

    `variables` are what commands and expansions see: the image's variables and the arguments
    that were declared, the later one of equal names. `declared` names the arguments alone.
    """

    it: Container
    variables: Mapping[str, str]
    declared: tuple[str, ...] = ()
    escape: str = "\\"
    cmd_given: bool = False

    @classmethod
    def begin(cls, it: Container, inherited: Mapping[str, str], escape: str) -> "Building":
        """Begin a stage on a container; there is always a PATH."""
        if "PATH" not in dict(it.config.env):
            it = it.configured(env=put(it.config.env, "PATH", DEFAULT_PATH))
        if not it.config.history:
            it = it.configured(history=(Step("", it.rootfs),))
        return cls(it, {**inherited, **dict(it.config.env)}, (), escape)

    @property
    def config(self) -> Config:
        """The container's configuration."""
        return self.it.config

    def expand(self, text: str, where: Where, *, quotes: bool = True) -> str:
        """Expand variables.

        Raises:
            DockerfileError: the text can not be expanded.
        """
        try:
            return Expansion(self.variables, self.escape, quotes).text(text)
        except ExpansionError as exc:
            raise where.error(str(exc)) from exc

    def words(self, text: str, where: Where) -> list[str]:
        """Expand variables, then cut at white space."""
        try:
            return Expansion(self.variables, self.escape).words(text)
        except ExpansionError as exc:
            raise where.error(str(exc)) from exc

    def said(self, text: str, *, empty: bool = True) -> "Building":
        """Add to the history; `empty` says that no layer comes of it."""
        step = Step(text, None if empty else self.it.rootfs, COMMENT)
        history = (*self.config.history, step)
        return self.configured(history=history)

    def configured(self, **changes: object) -> "Building":
        """Change the configuration."""
        return replace(self, it=self.it.configured(**changes))

    def variable(self, name: str, value: str) -> "Building":
        """Set what commands and expansions see."""
        return replace(self, variables={**self.variables, name: value})

    def rooted(self, root: Edge) -> "Building":
        """Go on from another root filesystem."""
        return replace(self, it=replace(self.it, rootfs=root, image=""))
