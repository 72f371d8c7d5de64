"""What the checks ask of a Dockerfile: facts of stages and commands. Pure functions."""

import re
from collections.abc import Iterator

from pipelines.engine.dockerfile.expand import Expansion, ExpansionError
from pipelines.engine.dockerfile.instructions import (
    Copy,
    Dockerfile,
    Env,
    Instruction,
    Run,
    Stage,
)

__all__ = [
    "BUILD_CACHE",
    "MODULE_CACHE",
    "apt_leaves_lists",
    "builds_go",
    "copies_everything",
    "copies_manifests",
    "cross_variables",
    "downloads",
    "go_commands",
    "is_copied_from",
    "line_of",
    "mounted",
    "platform_of",
    "runs",
]

MODULE_CACHE, BUILD_CACHE = "/go/pkg/mod", "/root/.cache/go-build"

_GO = re.compile(r"(?<![\w./-])go\s+(build|install|test|vet|run|generate|list|mod\s+\w+)\b")
_MANIFEST = re.compile(r"(^|/)go\.(mod|sum|work|\*)")


def line_of(run: Run) -> str:
    """Give a command as one line."""
    heredocs = (heredoc.content for heredoc in run.heredocs)
    return " ".join([*run.args, *heredocs])


def runs(stage: Stage) -> Iterator[Run]:
    """Yield a stage's commands."""
    return (one for one in stage.instructions if isinstance(one, Run))


def go_commands(run: Run) -> list[str]:
    """List what a command has Go do: `build`, `mod download`."""
    return [re.sub(r"\s+", " ", found) for found in _GO.findall(line_of(run))]


def builds_go(stage: Stage) -> bool:
    """Tell whether a stage compiles Go."""
    return any({"build", "install"} & set(go_commands(run)) for run in runs(stage))


def downloads(run: Run) -> bool:
    """Tell whether a command downloads modules by their manifests."""
    return "mod download" in go_commands(run)


def copies_everything(one: Instruction) -> bool:
    """Tell whether an instruction copies the whole context."""
    if not isinstance(one, Copy) or one.from_:
        return False
    return any(source.rstrip("/") in {"", "."} for source in one.sources)


def copies_manifests(one: Instruction) -> bool:
    """Tell whether an instruction copies go.mod by name."""
    if not isinstance(one, Copy) or one.from_:
        return False
    return any(_MANIFEST.search(source) for source in one.sources)


def mounted(run: Run) -> set[str]:
    """List the cache mounts of a command by target; a bind mount of the context is "."."""
    targets = set()
    for text in run.mounts:
        fields = dict(field.partition("=")[::2] for field in text.split(","))
        target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
        if fields.get("type") == "cache":
            targets.add(target.rstrip("/"))
        elif fields.get("type", "bind") == "bind" and "from" not in fields:
            targets.add(".")
    return targets


def cross_variables(stage: Stage) -> dict[str, str]:
    """Give GOOS and GOARCH where a stage sets them to a value of its own."""
    found: dict[str, str] = {}
    for one in stage.instructions:
        if isinstance(one, Env):
            found |= {name: value for name, value in one.pairs if name in {"GOOS", "GOARCH"}}
        if isinstance(one, Run):
            found |= dict(re.findall(r"\b(GOOS|GOARCH)=(\S+)", line_of(one)))
    return found


def platform_of(stage: Stage, dockerfile: Dockerfile) -> str:
    """Give the `--platform` that a stage runs on: its own, or that of the stage it goes on from."""
    defaults = {n: value or "" for one in dockerfile.arguments for n, value in one.pairs}
    while not stage.begin.platform:
        try:
            base = Expansion(defaults).text(stage.begin.base).lower()
        except ExpansionError:
            return ""
        earlier = [one for one in dockerfile.stages[: stage.number] if one.begin.name == base]
        if not earlier:
            return ""
        stage = earlier[-1]
    return stage.begin.platform


def is_copied_from(stage: Stage, dockerfile: Dockerfile) -> bool:
    """Tell whether a later stage takes files from a stage."""
    names = {stage.name, str(stage.number)}
    later = dockerfile.stages[stage.number + 1 :]
    return any(
        isinstance(one, Copy) and one.from_.lower() in names
        for after in later
        for one in after.instructions
    )


def apt_leaves_lists(run: Run) -> bool:
    """Tell whether apt-get leaves its lists or packages in the layer."""
    text = line_of(run)
    if not re.search(r"\bapt(-get)?\s+(-\S+\s+)*(install|update)\b", text):
        return False
    return "/var/lib/apt/lists" not in text and not mounted(run) & {
        "/var/lib/apt", "/var/lib/apt/lists", "/var/cache/apt",
    }  # fmt: skip
