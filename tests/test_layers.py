"""Imports point one way. The table is the architecture; a line that breaks it fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipelines"

VALUES = {
    "accounts", "digest", "errors", "events", "filemode", "machines", "names", "op", "patterns",
    "result", "scrub", "text", "tree", "version",
}  # fmt: skip

# Engine layer -> the engine layers that it may import, besides VALUES and itself.
ENGINE = {
    "accounts": set(),
    "digest": set(),
    "errors": set(),
    "events": set(),
    "filemode": set(),
    "machines": set(),
    "names": set(),
    "op": set(),
    "patterns": set(),
    "result": set(),
    "text": set(),
    "scrub": set(),
    "tree": set(),
    "version": set(),
    "keys": set(),
    "reasons": set(),
    "solver": {"keys"},
    "store": set(),
    "snapshots": set(),
    "sandbox": set(),
    "images": set(),
    "dockerfile": set(),
    "sources": set(),
    "network": set(),
    "run": {"images", "keys", "network", "reasons", "sandbox", "snapshots", "sources", "store"},
    "travel": {"snapshots", "store"},
    "caching": {"store", "travel"},
    "answers": {"solver", "travel"},
    "api": {"dockerfile", "keys", "solver"},
    "server": {"api"},
    "session": {"engine", "relock", "sandbox", "server", "store", "upkeep", "wiring"},
    "relock": {"images", "run", "snapshots", "sources", "store"},
    "upkeep": {"snapshots", "store"},
    "checkup": {"sandbox", "snapshots", "store"},
    "keeper": {"store", "upkeep"},
    # The composition root.
    "wiring": {
        "images", "network", "run", "sandbox", "snapshots", "solver", "sources", "store",
        "travel",
    },
    "engine": {
        "answers", "api", "caching", "images", "keeper", "run", "server", "snapshots", "solver",
        "store", "travel", "upkeep", "wiring",
    },
}  # fmt: skip

MECHANISMS = ["snapshots", "sandbox", "images", "sources", "store", "network"]


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a file imports, lazily or not, for types or not."""
    inside = [*path.relative_to(ROOT).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "pipelines")
        elif isinstance(node, ast.ImportFrom):
            base = inside[: -node.level] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            if name.split(".")[0] == "pipelines":
                yield from (f"{name}.{a.name}" for a in node.names)


def engine_files() -> list[Path]:
    return sorted(p for p in (PACKAGE / "engine").rglob("*.py") if p.name != "__init__.py")


def library_files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "engine" not in p.parts)


def layer(name: str) -> str:
    """The engine layer of a dotted name: pipelines.engine.<layer>.…"""
    return [*name.split("."), "", ""][2]


def identify(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", engine_files(), ids=identify)
def test_an_engine_module_imports_only_what_the_table_allows(path):
    own = path.relative_to(PACKAGE / "engine").parts[0].removesuffix(".py")
    assert own in ENGINE, f"{own} is a new layer: put it into the table"
    allowed = VALUES | ENGINE[own] | {own}
    for name in imports(path):
        if own == "travel" and name.startswith("pipelines.caches"):
            continue
        assert name.startswith("pipelines.engine"), f"{path}: the engine imports {name}"
        assert layer(name) in allowed, f"{path}: {own} may not import {layer(name)}"


@pytest.mark.parametrize("path", library_files(), ids=identify)
def test_only_the_bridge_and_the_commands_reach_the_engine(path):
    reaching = [n for n in imports(path) if n.startswith("pipelines.engine")]
    bridge = path.name in ("_connect.py", "_session.py") or "cli" in path.parts
    assert bridge or not reaching, f"{path} imports {reaching}"


def test_no_library_module_imports_the_commands():
    for path in library_files():
        if "cli" not in path.parts:
            assert not [n for n in imports(path) if n.startswith("pipelines.cli")], path


@pytest.mark.parametrize("own", MECHANISMS)
def test_mechanisms_do_not_know_each_other(own):
    assert not ENGINE[own] & set(MECHANISMS)


def test_asyncio_is_imported_nowhere():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None), *(a.name for a in node.names)]
                assert "asyncio" not in names, path


@pytest.mark.parametrize("path", sorted((PACKAGE / "caches").rglob("*.py")), ids=identify)
def test_travelling_caches_know_neither_engine_nor_library(path):
    for name in imports(path):
        assert name.startswith("pipelines.caches"), f"{path} imports {name}"
