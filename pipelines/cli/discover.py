"""Find a repository's stages.

The module is what `-f FILE` or `[tool.pipelines] module` in pyproject.toml names, else `ci.py`,
else the package `ci/`. Its stages are the names in its `__all__`, else the public coroutine
functions that are *defined* in it: a rule, no registry.
"""

import importlib
import importlib.util
import inspect
import sys
import tomllib
import traceback
import types
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines._errors import UsageError
from pipelines.cli.words import did_you_mean

__all__ = ["Stage", "find", "load", "select", "stages"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as the command sees it. `help` is the first line of its docstring."""

    name: str
    call: Callable[..., Awaitable[Any]]
    help: str


def find(directory: Path, file: str = "") -> tuple[Path, str]:
    """Give the file or the directory to import from, and the module's name.

    Raises:
        UsageError: there is none; the message says what was looked for.
    """
    if file:
        path = Path(file)
        if not path.is_file():
            raise UsageError(f"no such file: {file}")
        return path.resolve(), path.stem
    if module := _configured(directory / "pyproject.toml"):
        return directory, module
    if (directory / "ci.py").is_file() or (directory / "ci" / "__init__.py").is_file():
        return directory, "ci"
    raise UsageError(
        f"no stages in {directory}: there is no ci.py, no ci/__init__.py and no [tool.pipelines] "
        "module in pyproject.toml; name a file with -f FILE"
    )


def load(where: Path, module: str) -> types.ModuleType:
    """Import the module. No bytecode is written: the source directory is a stage's input.

    Raises:
        UsageError: it can not be imported; the message ends with the user's part of the traceback.
    """
    sys.path.insert(0, str(where if where.is_dir() else where.parent))
    try:
        with _no_bytecode():
            if where.is_dir():
                return importlib.import_module(module)
            return _load_file(where, module)
    except Exception as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name == module.split(".", maxsplit=1)[0]:
            raise UsageError(f"there is no module {module!r} in {where}") from exc
        trace = "".join(_users_part(exc)).rstrip()
        raise UsageError(f"cannot import {module} from {where}:\n{trace}") from exc


def stages(module: types.ModuleType) -> dict[str, Stage]:
    """Apply the rule. Sorted as in `__all__`, else as defined.

    Raises:
        UsageError: a name in `__all__` is no stage.
    """
    named: list[str] | None = getattr(module, "__all__", None)
    if named is not None:
        for name in named:
            if not hasattr(module, name):
                raise UsageError(f"{module.__name__}.__all__ names {name!r}, which is not there")
        names = [name for name in named if inspect.iscoroutinefunction(getattr(module, name))]
    else:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_")
            and inspect.iscoroutinefunction(value)
            and value.__module__ == module.__name__
        ]
    return {name: _stage(name, getattr(module, name)) for name in names}


def select(available: dict[str, Stage], names: list[str]) -> list[Stage]:
    """Give the stages called `names`, each once; dashes may stand for underscores.

    Raises:
        UsageError: one is not there; the message says which comes close.
    """
    chosen = []
    for name in dict.fromkeys(name.replace("-", "_") for name in names):
        if name not in available:
            raise UsageError(
                f"there is no stage {name!r}{did_you_mean(name, available)}; "
                f"stages: {', '.join(available) or 'none'}"
            )
        chosen.append(available[name])
    return chosen


def _stage(name: str, call: Callable[..., Awaitable[Any]]) -> Stage:
    lines = (inspect.getdoc(call) or "").strip().splitlines()
    return Stage(name, call, lines[0] if lines else "")


def _configured(pyproject: Path) -> str:
    try:
        text = pyproject.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    try:
        module = tomllib.loads(text).get("tool", {}).get("pipelines", {}).get("module", "")
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"cannot read {pyproject}: {exc}") from exc
    if not isinstance(module, str):
        raise UsageError(f"[tool.pipelines] module in {pyproject} must be a module's name")
    return module


def _load_file(path: Path, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _users_part(exc: Exception) -> list[str]:
    """Format the traceback without the frames of this command and of the import system."""
    frames = traceback.extract_tb(exc.__traceback__)
    ours = str(Path(__file__).parent)
    kept = [f for f in frames if not f.filename.startswith(("<frozen", ours))]
    outside = [f for f in kept if not f.filename.endswith("importlib/__init__.py")]
    return [*traceback.format_list(outside), *traceback.format_exception_only(exc)]


@contextmanager
def _no_bytecode() -> Iterator[None]:
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
