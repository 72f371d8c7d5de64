"""What a Dockerfile is made of, as values. Variables are not expanded yet.

An instruction knows where it stands (`where`) and how it was written (`text`).
"""

from dataclasses import dataclass

from pipelines.engine.dockerfile.source import Heredoc, Where

__all__ = [
    "Arg",
    "Cmd",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "Healthcheck",
    "Instruction",
    "Label",
    "Maintainer",
    "Onbuild",
    "Run",
    "Shell",
    "Stage",
    "Stopsignal",
    "User",
    "Volume",
    "Workdir",
]


@dataclass(frozen=True, slots=True)
class Instruction:
    """Any instruction."""

    where: Where
    text: str


@dataclass(frozen=True, slots=True)
class From(Instruction):
    """Begin a stage; `name` is in lower case, "" for none."""

    base: str
    name: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Arg(Instruction):
    """Declare build arguments; None for one without a default."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Env(Instruction):
    """Set variables."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Label(Instruction):
    """Set labels."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Run(Instruction):
    """Run a command: one line for the shell (`shell`), or an argument list."""

    args: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[str, ...] = ()
    network: str = ""
    security: str = ""


@dataclass(frozen=True, slots=True)
class Copy(Instruction):
    """COPY, or ADD if `add`. `link`, `unpack` and `keep_git_dir` are None if not said."""

    sources: tuple[str, ...]
    target: str
    heredocs: tuple[Heredoc, ...] = ()
    add: bool = False
    from_: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Workdir(Instruction):
    """Change the working directory."""

    path: str


@dataclass(frozen=True, slots=True)
class User(Instruction):
    """Change the user."""

    name: str


@dataclass(frozen=True, slots=True)
class Expose(Instruction):
    """Say which ports the image listens on."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cmd(Instruction):
    """Set the default arguments."""

    args: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True)
class Entrypoint(Instruction):
    """Set the entrypoint."""

    args: tuple[str, ...]
    shell: bool


@dataclass(frozen=True, slots=True)
class Healthcheck(Instruction):
    """Say how to check the container; `test` is () for NONE. Durations as written."""

    test: tuple[str, ...]
    shell: bool = False
    interval: str = ""
    timeout: str = ""
    start_period: str = ""
    start_interval: str = ""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Shell(Instruction):
    """Change the shell of shell forms."""

    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stopsignal(Instruction):
    """Say which signal ends the container."""

    signal: str


@dataclass(frozen=True, slots=True)
class Volume(Instruction):
    """Say where volumes are mounted."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Onbuild(Instruction):
    """Keep an instruction for whoever builds from this image."""

    trigger: str


@dataclass(frozen=True, slots=True)
class Maintainer(Instruction):
    """Name the author."""

    name: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: where it begins, and what follows."""

    number: int
    begin: From
    instructions: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        """What it is called: its name, or else its number."""
        return self.begin.name or str(self.number)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile: arguments of all stages, then the stages."""

    file: str
    escape: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
