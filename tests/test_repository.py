"""Promises of the repository as a whole."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Spelled in halves: this file is in the repository, too.
REGISTRIES = [
    "py" + "pi.org", "python" + "hosted.org", "proxy.go" + "lang.org", "sum.go" + "lang.org",
    "npm" + "js.org", "npm" + "js.com", "crates" + ".io", "maven" + ".org", "maven" + ".apache.org",
    "deb.deb" + "ian.org", "archive.ub" + "untu.com", "registry-1.dock" + "er.io", "gh" + "cr.io",
    "qu" + "ay.io", "gc" + "r.io",
]  # fmt: skip
MACHINE = [
    "/wo" + "rk/main",
    "/wo" + "rk/shared",
    "/ro" + "ot/.pyenv",
    "/tm" + "p/v/",
    "/tm" + "p/BR",
]


def tracked() -> list[Path]:
    """Every text file that git knows, or every file where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        made = re.compile(r"/(\.(?!ci/)[^/]+|__pycache__|build|dist|[^/]+\.egg-info)/")
        paths = [p for p in ROOT.rglob("*") if not made.search(f"/{p.relative_to(ROOT)}")]
    return [p for p in paths if p.is_file() and b"\0" not in p.read_bytes()[:4096]]


FILES = tracked()
SOURCES = [p for p in FILES if p.suffix == ".py" and p.is_relative_to(ROOT / "pipelines")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_registry_is_named(host):
    # Module paths of Go begin with a host as well; those of example and bench name no registry.
    pattern = re.compile(rf"(?<![\w.-]){re.escape(host)}\b")
    assert not [name_of(p) for p in FILES if pattern.search(p.read_text(errors="replace"))]


@pytest.mark.parametrize("path", MACHINE)
def test_no_path_of_one_machine_is_named(path):
    assert not [name_of(p) for p in FILES if path in p.read_text(errors="replace")]


def test_the_changelog_begins_with_the_version():
    found = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == PROJECT["version"]


def test_the_example_pipeline_fits_on_a_screen():
    assert len((ROOT / "examples/go_service/ci.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_and_no_function_outgrew_the_house(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 50, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("name", ["run", "build", "dev"])
def test_a_lock_pins_by_hash_and_names_no_index(name):
    lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
    pins = [n for n, line in enumerate(lines) if re.match(r"[a-zA-Z0-9]", line)]
    assert pins
    for number in pins:
        assert "==" in lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:")
    assert not [line for line in lines if "://" in line or "index-url" in line]


def test_the_locks_agree_with_each_other():
    pinned: dict[str, set[str]] = {}
    for name in ("run", "build", "dev"):
        text = (ROOT / f"requirements/{name}.txt").read_text()
        for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
            pinned.setdefault(package.lower(), set()).add(version)
    assert not {package: found for package, found in pinned.items() if len(found) > 1}


def test_the_lock_holds_every_dependency():
    text = (ROOT / "requirements/run.txt").read_text()
    for requirement in PROJECT["dependencies"]:
        name = re.match(r"[\w.-]+", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", text, re.MULTILINE), requirement


@pytest.mark.parametrize("path", ["ci/venv", "ci/debian", ".ci/run"])
def test_a_shell_script_stops_at_the_first_error(path):
    text = (ROOT / path).read_text()
    assert "set -euo pipefail" in text
    assert (ROOT / path).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / path], check=True)
