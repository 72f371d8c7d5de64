"""Write the dependency locks: `python -m ci.lock`.

Three files from one resolution, so that no two of them disagree: `dev.txt` holds everything,
`run.txt` and `build.txt` are resolved with it as a constraint. Every line is pinned and carries the
hashes of all wheels; the lock is valid for every Python from 3.11 on and names no index: pip brings
its own configuration.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["LOCKS", "main"]

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "dev.txt": ("pyproject.toml", "requirements/build.in", "requirements/dev.in"),
    "run.txt": ("pyproject.toml",),
    "build.txt": ("requirements/build.in",),
}
FLAGS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--only-binary=:all:",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
)
HEADER = "# Written by `python -m ci.lock`; edit requirements/*.in or pyproject.toml instead.\n"


def main() -> int:
    """Resolve and write all locks; `--upgrade` takes newer versions."""
    with tempfile.TemporaryDirectory(prefix="lock-") as scratch:
        uv = _uv(Path(scratch))
        for name, sources in LOCKS.items():
            _lock(uv, name, sources, upgrade="--upgrade" in sys.argv[1:])
    return 0


def _lock(uv: str, name: str, sources: tuple[str, ...], *, upgrade: bool) -> None:
    target = ROOT / "requirements" / name
    # Without --upgrade uv keeps the versions that the target already holds.
    extra = ["--upgrade"] if upgrade else []
    if name != "dev.txt":
        extra = ["--constraint", "requirements/dev.txt"]
    command = [uv, "pip", "compile", *sources, *FLAGS, *extra, "-o", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    text = target.read_text()
    target.write_text(text if text.startswith(HEADER) else HEADER + text)
    print(f"{name}: {text.count('==')} pins")


def _uv(scratch: Path) -> str:
    """Find uv, or install it into a directory that is thrown away."""
    if found := shutil.which("uv"):
        return found
    subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
    python = scratch / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return str(scratch / "venv" / "bin" / "uv")


if __name__ == "__main__":
    sys.exit(main())
