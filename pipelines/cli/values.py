"""From the text of a flag to the value that a stage gets."""

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from pathlib import Path
from typing import Any

from pipelines._errors import SourceError, UsageError
from pipelines._shard import Shard
from pipelines.cli.flags import Flag

__all__ = ["Reader", "excluded"]

TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def excluded(directory: Path, *others: Path | None) -> list[str]:
    """Say what of a host directory is not a stage's input.

    `.git` changes with every commit and fetch, though the files do not; a stage that wants history
    asks for it. Where results are exported to, and where travelling caches are kept, is no input
    either, or a second run would find something new.
    """
    result = [".git"]
    result += [
        other.relative_to(directory).as_posix()
        for other in others
        if other is not None and other != directory and other.is_relative_to(directory)
    ]
    return result


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes values: knows where results and caches go, `env:NAME`, and which shard this is."""

    export: Path | None
    environ: Mapping[str, str]
    caches: Path | None = None
    shard: Shard | None = None

    def values(self, flags: Sequence[Flag], given: Mapping[str, list[str]]) -> dict[str, Any]:
        """Give the keyword arguments of a stage.

        Raises:
            UsageError: a flag is missing, given twice, or its text is not one of its values.
        """
        result: dict[str, Any] = {}
        for flag in flags:
            if flag.kind == "Shard":
                result[flag.name] = self._shard(flag)
                continue
            texts = given.get(flag.name)
            if texts is None and flag.kind == "Directory" and flag.default is Parameter.empty:
                texts = ["."]
            if texts is None:
                if flag.required:
                    raise UsageError(f"stage {flag.stage} needs {flag.spelled} {flag.shown}")
                if flag.default is Parameter.empty:
                    result[flag.name] = []
                continue
            if flag.repeated:
                result[flag.name] = [self.value(flag, text) for text in texts]
            elif len(texts) > 1:
                raise UsageError(f"{flag.spelled} is given {len(texts)} times; it takes one value")
            else:
                result[flag.name] = self.value(flag, texts[0])
        return result

    def value(self, flag: Flag, text: str) -> Any:
        """Read one value."""
        match flag.kind:
            case "Directory":
                return self._directory(flag, text)
            case "File":
                return _dag().host().file(str(_existing(flag, text, "file")))
            case "Secret":
                return self._secret(flag, text)
            case "Platform":
                return _platform(flag, text)
            case tuple():
                return _word(flag, text)
            case kind if kind is bool:
                return _known(flag, text.lower(), TRUTHS)
            case kind if issubclass(kind, enum.Enum):
                return _known(flag, text, dict(kind.__members__))
            case _:
                return _converted(flag, text)

    def _shard(self, flag: Flag) -> Shard:
        if self.shard is not None:
            return self.shard
        return flag.default if isinstance(flag.default, Shard) else Shard()

    def _directory(self, flag: Flag, text: str) -> Any:
        path = _existing(flag, text, "directory")
        return _dag().host().directory(str(path), exclude=excluded(path, self.export, self.caches))

    def _secret(self, flag: Flag, text: str) -> Any:
        source, _, name = text.partition(":")
        name = name.removeprefix("//")
        if source == "env" and name:
            if name not in self.environ:
                raise UsageError(f"{flag.spelled}: environment variable {name} is not set")
            return _dag().secret(f"env://{name}")
        if source == "file" and name:
            return _dag().secret(f"file://{_existing(flag, name, 'file')}")
        if source == "cmd" and name:
            return _dag().secret(f"cmd://{name}")
        # The text may be the secret itself: it is not repeated.
        raise UsageError(
            f"{flag.spelled} takes env:NAME, file:PATH or cmd:COMMAND, never the secret itself"
        )


def _dag() -> Any:
    from pipelines._dagger import dagger

    return dagger.dag


def _existing(flag: Flag, text: str, what: str) -> Path:
    path = Path(text).expanduser().absolute()
    there = path.is_dir() if what == "directory" else path.is_file()
    if not there:
        seen = "is not a " + what if path.exists() else "does not exist"
        raise SourceError(f"{flag.spelled} {text}: {path} {seen}")
    if not os.access(path, os.R_OK | (os.X_OK if what == "directory" else 0)):
        raise SourceError(f"{flag.spelled} {text}: {path} is not readable by this user")
    return path.resolve()


def _platform(flag: Flag, text: str) -> Any:
    from pipelines._platform import Platform

    try:
        return Platform.parse(text)
    except UsageError as exc:
        raise UsageError(f"{flag.spelled} {text}: {exc}") from exc


def _word(flag: Flag, text: str) -> Any:
    return _known(flag, text, {str(word): word for word in flag.kind})


def _known(flag: Flag, text: str, known: Mapping[str, Any]) -> Any:
    if text not in known:
        raise UsageError(f"{flag.spelled} takes one of {', '.join(known)}; got {text!r}")
    return known[text]


def _converted(flag: Flag, text: str) -> Any:
    convert: Callable[[str], Any] = flag.kind
    try:
        return convert(text)
    except ValueError as exc:
        raise UsageError(f"{flag.spelled} takes {flag.shown}; got {text!r}") from exc
