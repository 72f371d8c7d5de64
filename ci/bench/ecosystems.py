"""Caches that real tools leave: made here, by the tools' own clients."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ci.bench.measure import BenchError

__all__ = ["ECOSYSTEMS", "Maker", "made", "run"]

Maker = Callable[[Path], Path]

_MANIFEST = """[package]
name = "probe"
version = "0.1.0"
edition = "2021"
[dependencies]
itoa = "1"
serde_json = "1"
regex = "1"
"""


def run(
    *command: str, into: Path, env: Mapping[str, str] | None = None, seconds: float = 900
) -> None:
    """Run a client in a directory.

    Raises:
        BenchError: it failed, with the end of what it said.
    """
    asked = subprocess.run(
        command,
        cwd=into,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if asked.returncode:
        raise BenchError(f"{' '.join(command)}: {(asked.stderr or asked.stdout)[-300:]}")


def _there(cache: Path) -> Path:
    """Give a cache that its tool has filled.

    Raises:
        BenchError: it has not.
    """
    if not cache.is_dir() or not any(cache.iterdir()):
        raise BenchError(f"the client left nothing in {cache.name}")
    return cache


def _npm(place: Path) -> Path:
    cache = place / "cache"
    (place / "package.json").write_text('{"name": "probe", "version": "1.0.0"}')
    packages = ("express", "typescript", "eslint", "react", "webpack")
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund")
    run("npm", "install", "--cache", str(cache), *quiet, *packages, into=place)
    return cache


def _modules(place: Path) -> Path:
    """Make the installed modules of the npm project: links, many small files."""
    _npm(place)
    return place / "node_modules"


def _pnpm(place: Path) -> Path:
    store = place / "store"
    (place / "package.json").write_text('{"name": "probe", "version": "1.0.0"}')
    quiet = ("--ignore-scripts", "--store-dir", str(store))
    run("npx", "--yes", "pnpm@9", "add", *quiet, "express", "typescript", "react", into=place)
    return store


def _yarn(place: Path) -> Path:
    cache = place / "cache"
    (place / "package.json").write_text('{"name": "probe", "version": "1.0.0"}')
    quiet = ("--ignore-scripts", "--non-interactive", "--cache-folder", str(cache))
    run("npx", "--yes", "yarn@1", "add", *quiet, "express", "react", "lodash", into=place)
    return cache


def _pip(place: Path) -> Path:
    cache = place / "cache"
    names = ("idna", "itsdangerous", "markupsafe", "pyyaml")
    into = ("--no-deps", "--wheel-dir", str(place / "wheels"), "--cache-dir", str(cache))
    # Wheels that are built are cached; what is downloaded only if the index allows it.
    build = ("--no-binary", ",".join(names), *names)
    anew = {"PIP_FIND_LINKS": ""}
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *into, *build, into=place, env=anew)
    return _there(cache)


def _uv(place: Path) -> Path:
    cache, target = place / "cache", place / "tool"
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "uv", into=place
    )
    names = ("requests", "rich", "numpy", "jinja2", "pydantic")
    options = ("--cache-dir", str(cache), "--target", str(place / "site"))
    run(str(target / "bin/uv"), "pip", "install", "--quiet", *options, *names, into=place)
    return _there(cache)


def _crate(place: Path) -> dict[str, str]:
    (place / "src").mkdir(parents=True, exist_ok=True)
    (place / "src/main.rs").write_text(
        'fn main() { println!("{}", itoa::Buffer::new().format(1)); }'
    )
    (place / "Cargo.toml").write_text(_MANIFEST)
    # Registries and their mirrors are configured in the home of the machine's cargo.
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    own = place / "home"
    own.mkdir(exist_ok=True)
    for name in ("config.toml", "config"):
        if (home / name).exists():
            shutil.copy(home / name, own / name)
    env = {"CARGO_HOME": str(own), "CARGO_TARGET_DIR": str(place / "target")}
    run("cargo", "build", "--quiet", into=place, env=env)
    return env


def _cargo(place: Path) -> Path:
    return Path(_crate(place)["CARGO_HOME"]) / "registry"


def _target(place: Path) -> Path:
    return Path(_crate(place)["CARGO_TARGET_DIR"])


def _maven(place: Path) -> Path:
    cache = place / "cache"
    get = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get"
    for wanted in ("com.google.guava:guava:33.2.1-jre", "org.junit.jupiter:junit-jupiter:5.10.2"):
        run(
            "mvn",
            "-q",
            "-B",
            f"-Dmaven.repo.local={cache}",
            get,
            f"-Dartifact={wanted}",
            into=place,
        )
    return cache


def _apt(place: Path) -> Path:
    cache = place / "archives"
    (cache / "partial").mkdir(parents=True)
    run("apt-get", "download", "-q", "ripgrep", "cmake-data", "libboost1.74-dev", into=cache)
    return cache


def _ccache(place: Path) -> Path:
    cache = place / "cache"
    env = {"CCACHE_DIR": str(cache)}
    for number in range(60):
        source = place / f"{number}.c"
        source.write_text(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n"
            f'double f{number}(double x) {{ printf("%d", {number}); return sin(x) * {number}; }}\n'
        )
        run("ccache", "gcc", "-O2", "-g", "-c", source.name, into=place, env=env)
    return cache


# Name, the program that it needs, how it is made.
ECOSYSTEMS: tuple[tuple[str, str, Maker], ...] = (
    ("npm cache", "npm", _npm),
    ("node_modules", "npm", _modules),
    ("pnpm store", "npm", _pnpm),
    ("yarn cache", "npm", _yarn),
    ("pip cache", sys.executable, _pip),
    ("uv cache", sys.executable, _uv),
    ("cargo registry", "cargo", _cargo),
    ("cargo target", "cargo", _target),
    ("maven repository", "mvn", _maven),
    ("apt archives", "apt-get", _apt),
    ("ccache", "ccache", _ccache),
)


def made(scratch: Path) -> Iterator[tuple[str, Path | str]]:
    """Yield each ecosystem's cache, or why there is none."""
    for name, program, make in ECOSYSTEMS:
        if shutil.which(program) is None:
            yield name, f"no `{program}` on PATH"
            continue
        place = scratch / name.replace(" ", "-")
        place.mkdir(parents=True)
        try:
            yield name, make(place)
        except (BenchError, subprocess.TimeoutExpired) as exc:
            yield name, str(exc)
