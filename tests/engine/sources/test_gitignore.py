import os
from pathlib import Path

from pipelines.engine.sources.host import read


def lay(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def kept(root: Path) -> set[str]:
    tree = read(str(root), gitignore=True).tree
    return {p for p, e in tree.items() if e.kind == "file" and not p.endswith(".gitignore")}


def test_a_deeper_file_wins(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {".gitignore": "*.log\n", "a.log": "", "d/.gitignore": "!keep.log\n", "d/keep.log": ""},
    )
    assert kept(tmp_path) == {"d/keep.log"}


def test_an_ignored_directory_is_not_looked_into(tmp_path: Path) -> None:
    lay(tmp_path, {".gitignore": "out/\n!out/keep\n", "out/keep": "", "x": ""})
    assert kept(tmp_path) == {"x"}


def test_an_anchored_rule_counts_from_its_own_directory(tmp_path: Path) -> None:
    lay(tmp_path, {"d/.gitignore": "/x\n", "d/x": "", "d/e/x": "", "x": ""})
    assert kept(tmp_path) == {"d/e/x", "x"}


def test_rules_above_count_up_to_the_repository(tmp_path: Path) -> None:
    lay(tmp_path, {".gitignore": "b\n", "repo/.gitignore": "/sub/a\n", "repo/sub/a": ""})
    lay(tmp_path, {"repo/sub/b": "", "repo/sub/c/a": ""})
    (tmp_path / "repo/.git").mkdir()
    assert kept(tmp_path / "repo/sub") == {"b", "c/a"}


def test_without_a_repository_nothing_above_counts(tmp_path: Path) -> None:
    lay(tmp_path, {".gitignore": "a\n", "sub/a": ""})
    assert kept(tmp_path / "sub") == {"a"}


def test_a_pipe_of_that_name_holds_nobody_up(tmp_path: Path) -> None:
    lay(tmp_path, {"a": ""})
    os.mkfifo(tmp_path / ".gitignore")
    assert kept(tmp_path) == {"a"}
