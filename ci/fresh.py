"""Show what is left of a test run in a fresh clone: `python -m ci.fresh [--place DIR]`.

go-containerregistry is tested, then copied to another path as a clone would leave it, with new
times everywhere and a comment more in one command, and tested again on the same store. The line of
the second run's table says how many packages' tests Go still had in its cache.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from ci.bench.engines import embedded
from ci.bench.inputs import CRANE, checkout, fetch, go_version
from ci.bench.measure import BenchError

__all__ = ["main", "share"]

PIPELINE = Path(__file__).parent / "mutate" / "pipeline"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run twice; print the share; 1 if a package's tests ran again."""
    parser = argparse.ArgumentParser(prog="python -m ci.fresh", description=__doc__)
    parser.add_argument("--place", type=Path, help="keep the store and the sources here")
    options = parser.parse_args(arguments)
    place = (options.place or Path(tempfile.mkdtemp(prefix="pipelines-fresh-"))).resolve()
    try:
        cached, packages = _share(place)
    finally:
        if options.place is None:
            shutil.rmtree(place, ignore_errors=True)
    print(f"{cached}/{packages} packages from cache")
    return 0 if cached == packages > 0 else 1


def _share(place: Path) -> tuple[int, int]:
    first = place / f"first-{uuid.uuid4().hex[:8]}"
    fetch(CRANE, first)
    for _ in range(2):  # Go keeps no result of a test that opened a file two seconds old
        _edit(first)
        print(_run(place, first))
    clone = checkout(first, place / f"clone-{uuid.uuid4().hex[:8]}")
    shutil.rmtree(first)
    _edit(clone)
    printed = _run(place, clone)
    print(printed)
    shutil.rmtree(clone)
    return share(printed)


def _edit(source: Path) -> None:
    """Add a comment to a command: `go test` has to run, and no test has."""
    with (source / CRANE.leaves[0]).open("a") as file:
        file.write(f"\n// {uuid.uuid4().hex}\n")


def _run(place: Path, source: Path) -> str:
    """Run the tests; give the table."""
    engine = embedded(place / "store")
    words = ["run", "tests", "--source", str(source), "--version", go_version()]
    ran = subprocess.run(
        [engine.env["_EXPERIMENTAL_DAGGER_CLI_BIN"], *words, "--progress", "plain"],
        cwd=PIPELINE, env=engine.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    if ran.returncode != 0:
        raise BenchError(f"exit {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.stderr[ran.stderr.rindex("stage  ") :].rstrip()


def share(printed: str) -> tuple[int, int]:
    """Read the share from the table; (0, 0) if it is not there."""
    found = re.search(r"(\d+)/(\d+) packages from cache", printed)
    return (int(found[1]), int(found[2])) if found else (0, 0)


if __name__ == "__main__":
    sys.exit(main())
