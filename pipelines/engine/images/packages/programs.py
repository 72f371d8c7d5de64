"""The host's programs that package images ask: go, pip, apt, mmdebstrap.

Their own configuration decides which registries and proxies they use; nothing here does.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines.engine.errors import ImageError
from pipelines.engine.images.info import Evidence

__all__ = ["Programs", "evidence"]

_TAIL = 1500
_GLANCE = 0.2  # seconds between two looks at whether the result is still wanted


class Programs:
    """Runs programs of the host with the host's environment.

    `alive` is called again and again while one runs; if it raises, the program is killed.
    """

    def __init__(
        self, environ: Mapping[str, str], alive: Callable[[], None] = lambda: None
    ) -> None:
        self._environ = dict(environ)
        self._alive = alive

    def find(self, name: str) -> str | None:
        """Find a program in PATH."""
        return shutil.which(name, path=self._environ.get("PATH", os.defpath))

    def run(
        self,
        args: Sequence[str],
        purpose: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 900,
    ) -> str:
        """Run a program to its end and give its standard output.

        Raises:
            ImageError: it is missing, fails, or does not end in time; with its last lines.
        """
        try:
            started = subprocess.Popen(
                list(args),
                env=self._environ | dict(env or {}),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as exc:
            raise ImageError(f"{purpose}: {args[0]} can not be run: {exc.strerror}") from exc
        try:
            out, err = self._wait(started, timeout)
        except subprocess.TimeoutExpired as exc:
            raise ImageError(f"{purpose}: {args[0]} did not end within {timeout:g} s") from exc
        if started.returncode != 0:
            said = (err or out).decode(errors="replace").strip()[-_TAIL:]
            raise ImageError(
                f"{purpose}: {' '.join(args[:4])} ended with {started.returncode}: {said}"
            )
        return out.decode(errors="replace")

    def _wait(self, started: "subprocess.Popen[bytes]", timeout: float) -> tuple[bytes, bytes]:
        """Wait for the end; whatever else happens, the program is gone then."""
        deadline = time.monotonic() + timeout
        with started:
            try:
                while True:
                    self._alive()
                    try:
                        return started.communicate(timeout=_GLANCE)
                    except subprocess.TimeoutExpired:
                        if time.monotonic() > deadline:
                            raise
            except BaseException:
                started.kill()
                raise

    def pip(self) -> list[str]:
        """Give the command that runs pip: this interpreter's, or the copy that Python carries.

        Raises:
            ImageError: this Python has neither.
        """
        if importlib.util.find_spec("pip") is not None:
            return [sys.executable, "-m", "pip"]
        if importlib.util.find_spec("ensurepip") is not None:
            import ensurepip

            carried = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
            if carried:
                return [sys.executable, str(carried[-1] / "pip")]
        if (found := self.find("pip3") or self.find("pip")) is not None:
            return [found]
        raise ImageError(
            f"pip is not installed for {sys.executable}, and package images come through it; "
            "install pip there (python -m ensurepip, or your package manager's python3-pip)"
        )


def evidence(path: str) -> Evidence:
    """Note a host file as it is now.

    Raises:
        ImageError: it can not be looked at.
    """
    try:
        found = os.stat(path)
    except OSError as exc:
        raise ImageError(f"looking at {path}: {exc.strerror}") from exc
    return Evidence(path, found.st_mtime_ns, found.st_size)
