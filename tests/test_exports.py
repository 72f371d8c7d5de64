"""The public surface is what `__all__` says, and `__all__` is sorted and true."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pipelines

PACKAGE = Path(pipelines.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__main__.py")


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def declared(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return [e.value for e in node.value.elts]
    return None


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_every_module_says_what_it_exports(path):
    names = declared(path)
    if names is None:
        assert path.name == "__init__.py", f"{path} has no __all__"
        assert not [n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.Expr)]
    else:
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", pipelines.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(pipelines, name)
    assert value.__doc__, name


def test_the_public_names_are_sorted():
    assert pipelines.__all__ == sorted(pipelines.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module("pipelines").no_such_name  # noqa: B018


def test_importing_the_library_imports_neither_dagger_nor_the_engine():
    program = (
        "import sys, pipelines; print('dagger' in sys.modules, 'pipelines.engine' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["False", "False"]
