"""Which engines take part, and the environment that makes an SDK program talk to each."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Engine", "dagger", "embedded"]

RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
CLI = "_EXPERIMENTAL_DAGGER_CLI_BIN"
# An installed package has its bytecode; from an editable one Python keeps it at the first run.
_UNSET = {RUNNER, CLI, "DAGGER_SESSION_PORT", "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine under test."""

    name: str
    env: dict[str, str]


def embedded(store: Path) -> Engine:
    """Return ours, with its store in the bench's own directory."""
    env = {k: v for k, v in os.environ.items() if k not in _UNSET}
    env |= {CLI: command(), "XDG_CACHE_HOME": str(store), "DAGGER_NO_NAG": "1"}
    return Engine("embedded", env | _python_path())


def dagger() -> Engine | None:
    """Return the Dagger engine when both variables of the SDK name one."""
    if RUNNER in os.environ and CLI in os.environ:
        return Engine("dagger", dict(os.environ) | _python_path())
    return None


def command() -> str:
    """Find the `pipelines` command that belongs to this interpreter."""
    beside = Path(sys.executable).with_name("pipelines")
    found = str(beside) if beside.exists() else shutil.which("pipelines")
    if found is None:
        msg = "no `pipelines` command: install the package first (ci/venv dev)"
        raise FileNotFoundError(msg)
    return found


def _python_path() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
