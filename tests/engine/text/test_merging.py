"""Merges against git itself: `git merge-file` is the oracle."""

import random
import shutil
import subprocess

import pytest

from pipelines.engine.text.merging import merge

BASE = b"1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (b"one\n2\n3\n4\n5\n", b"1\n2\n3\n4\nfive\n", b"one\n2\n3\n4\nfive\n"),
        (BASE, b"", b""),
        (b"1\n2\n", b"1\n2\n", b"1\n2\n"),
        (b"0\n" + BASE, BASE + b"6", b"0\n1\n2\n3\n4\n5\n6"),
    ],
)
def test_changes_that_do_not_touch_are_both_made(ours, theirs, merged):
    assert merge(BASE, ours, theirs) == (merged, True)


def test_a_conflict_holds_what_differs_and_no_more():
    text, fine = merge(b"a\n", b"x\nours\ny\n", b"x\ntheirs\ny")
    assert not fine
    assert text == (b"x\n<<<<<<< HEAD\nours\ny\n=======\ntheirs\ny\n>>>>>>> theirs\n")


@pytest.mark.parametrize(("favour", "text"), [("ours", b"x\n2\n"), ("theirs", b"y\n2\n")])
def test_a_side_can_be_favoured(favour, text):
    assert merge(b"1\n2\n", b"x\n2\n", b"y\n2\n", favour) == (text, True)


def edited(chance, base):
    lines = list(base)
    for _ in range(chance.randrange(3)):
        at = chance.randrange(len(lines) + 1)
        if chance.random() < 0.5 and at < len(lines):
            lines[at] = chance.choice(["changed", "other"])
        elif chance.random() < 0.5 and at < len(lines):
            del lines[at]
        else:
            lines.insert(at, chance.choice(["new", "more"]))
    return lines


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.parametrize("seed", range(60))
def test_merges_are_gits(tmp_path, seed):
    chance = random.Random(seed)
    base = [f"line {n}" for n in range(chance.randrange(12))]
    texts = [base, edited(chance, base), edited(chance, base)]
    old, ours, theirs = ("".join(f"{line}\n" for line in lines).encode() for lines in texts)
    for name, data in (("base", old), ("ours", ours), ("theirs", theirs)):
        (tmp_path / name).write_bytes(data)
    labels = ["-L", "HEAD", "-L", "base", "-L", "theirs"]
    command = ["git", "merge-file", "-p", *labels, "ours", "base", "theirs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    text, fine = merge(old, ours, theirs)
    assert fine == (done.returncode == 0)
    if fine:
        assert text == done.stdout
    else:  # git joins conflicts that are three lines apart
        assert text.count(b"<<<<<<<") >= done.stdout.count(b"<<<<<<<") > 0
