"""From a stage's annotations to flags. Pure rules; `values` makes the values.

Directory --source DIR          File --input FILE          Platform --platform OS/ARCH
Secret --token env:NAME         Literal --level {a,b}      bool --race / --no-race
Shard: no flag of the stage's own; it gets what `pipelines run --shard I/N` says
int, float, str, Path, Enum     list[T] --tag A --tag B    T | None: optional
"""

import enum
import inspect
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines._errors import UsageError
from pipelines._shard import Shard
from pipelines.cli.words import did_you_mean

__all__ = ["RESERVED", "Flag", "assign", "flags"]

# Flags of `pipelines run` itself.
RESERVED = frozenset(
    {"engine", "export", "fail_fast", "help", "jobs", "keep_going", "progress", "shard"}
)
SIMPLE = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH", bool: ""}
DAGGER = {
    "Directory": "DIR",
    "File": "FILE",
    "Platform": "OS/ARCH",
    "Secret": "env:NAME|file:PATH|cmd:COMMAND",
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One parameter of a stage. `kind` is a type, or the allowed words of a `Literal`."""

    stage: str
    name: str
    kind: Any
    shown: str
    repeated: bool = False
    required: bool = False
    default: Any = None

    @property
    def spelled(self) -> str:
        """As on the command line: `--dry-run`."""
        return "--shard" if self.kind == "Shard" else "--" + self.name.replace("_", "-")

    @property
    def usage(self) -> str:
        """As in help: `--source DIR`, `[--race]`."""
        text = f"{self.spelled} {self.shown}".rstrip()
        return text if self.required else f"[{text}]"


def flags(stage: str, call: Callable[..., Any]) -> tuple[Flag, ...]:
    """Read the parameters of a stage.

    Raises:
        UsageError: a parameter has no annotation, or one that no flag can give.
    """
    try:
        hints = typing.get_type_hints(call)
    except Exception as exc:
        raise UsageError(f"cannot read the annotations of stage {stage}: {exc}") from exc
    result = []
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        result.append(_flag(stage, parameter, hints))
    return tuple(result)


def assign(available: Sequence[Flag], arguments: Sequence[str]) -> dict[str, list[str]]:
    """Read `--flag value`, `--flag=value`, `--switch`, `--no-switch` into texts by name.

    Raises:
        UsageError: a flag that no stage here has, or one without its value.
    """
    available = [flag for flag in available if flag.kind != "Shard"]
    switches = {f.name for f in available if f.kind is bool}
    known = {f.spelled: f.name for f in available}
    known |= {f"--no-{name.replace('_', '-')}": name for name in switches}
    given: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        spelled, joined, value = rest.pop(0).partition("=")
        if not spelled.startswith("-"):
            raise UsageError(f"{spelled!r} stands after the flags: name stages first, then flags")
        if spelled not in known:
            raise UsageError(
                f"there is no flag {spelled}{did_you_mean(spelled, known)}; "
                f"flags here: {', '.join(known) or 'none'}"
            )
        name = known[spelled]
        if not joined and name in switches:
            value = "false" if spelled.startswith("--no-") else "true"
        elif not joined:
            if not rest or rest[0].startswith("--"):
                raise UsageError(f"{spelled} needs a value: {_of(available, name).shown}")
            value = rest.pop(0)
        given.setdefault(name, []).append(value)
    return given


def _of(available: Sequence[Flag], name: str) -> Flag:
    return next(flag for flag in available if flag.name == name)


def _flag(stage: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> Flag:
    where = f"parameter {parameter.name!r} of stage {stage}"
    if parameter.name not in hints:
        raise UsageError(f"{where} has no annotation, so it is not known which values it takes")
    kind = _without_none(hints[parameter.name])
    if kind is Shard:
        return Flag(stage, parameter.name, "Shard", "I/N", default=parameter.default)
    if parameter.name in RESERVED:
        raise UsageError(f"{where} is called like a flag of `pipelines run`; rename it")
    repeated = typing.get_origin(kind) in (list, tuple)
    if repeated:
        kind = typing.get_args(kind)[0]
    kind, shown = _kind(kind, where)
    has_default = parameter.default is not parameter.empty
    return Flag(
        stage,
        parameter.name,
        kind,
        shown,
        repeated,
        required=not has_default and shown != DAGGER["Directory"] and not repeated,
        default=parameter.default if has_default else parameter.empty,
    )


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(annotation) if part is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return annotation


def _kind(annotation: Any, where: str) -> tuple[Any, str]:
    if typing.get_origin(annotation) is typing.Literal:
        words = typing.get_args(annotation)
        return words, "{" + ",".join(str(word) for word in words) + "}"
    if isinstance(annotation, type):
        if annotation in SIMPLE:
            return annotation, SIMPLE[annotation]
        if issubclass(annotation, enum.Enum):
            return annotation, "{" + ",".join(member.name for member in annotation) + "}"
        dagger = sys.modules.get("dagger")  # who annotates with its types has imported it
        for name, shown in DAGGER.items():
            if dagger and issubclass(annotation, getattr(dagger, name)):
                return name, shown
    raise UsageError(
        f"{where} is a {annotation}, which no flag can give; a flag can give: "
        + ", ".join(
            [*DAGGER, "Shard", *(t.__name__ for t in SIMPLE), "Literal", "Enum", "list of these"]
        )
    )
