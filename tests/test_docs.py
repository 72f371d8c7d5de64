"""The documentation says what is so: links lead somewhere, names exist, tables are current."""

import ast
import re
from pathlib import Path

import pytest

import pipelines
from ci import compat
from pipelines.cli.main import COMMANDS
from pipelines.cli.run import parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(path.read_text()) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_every_relative_link_leads_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" not in target and not target.startswith("#"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / t).resolve() for t in LINK.findall(index.read_text())}
    assert {p for p in PAGES if p.is_relative_to(ROOT / "docs") and p != index} <= linked


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_every_python_block_parses_and_imports_what_exists(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "pipelines":
                assert {a.name for a in node.names} <= set(pipelines.__all__)


@pytest.mark.parametrize("page", PAGES, ids=identify)
def test_every_command_line_is_one_that_exists(page):
    lines = "\n".join(blocks(page, "console")).splitlines()
    for line in [text.removeprefix("$ ") for text in lines if text.startswith("$ pipelines ")]:
        words = line.split()
        assert words[1] in COMMANDS, line
        if words[1] == "run":
            assert parse(words[2:]).words, line


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^\$ |`)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(named) <= targets, page


def test_the_api_page_names_the_whole_surface():
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert not [name for name in pipelines.__all__ if not re.search(rf"`{name}\b", page)]


def test_the_command_page_names_every_command():
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert not [name for name in COMMANDS if f"## `pipelines {name}" not in page]


def test_the_table_of_implemented_fields_is_current():
    page = compat.PAGE.read_text()
    assert compat.render(page) == page, "run `python -m ci.compat`"
