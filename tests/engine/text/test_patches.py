"""Patches against git itself: what we write git applies, what git writes we apply."""

import os
import random
import shutil
import subprocess

import pytest

from pipelines.engine.errors import PathError, QueryError
from pipelines.engine.run.patching import patched
from pipelines.engine.store.files import Files
from pipelines.engine.store.layout import Layout
from pipelines.engine.text.diffs import quoted, render
from pipelines.engine.tree import Entry, Tree
from pipelines.engine.tree.changes import diffs

needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
GIT = {**os.environ, "GIT_DIR": "/dev/null", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}


@pytest.fixture
def files(tmp_path):
    return Files(Layout.open(tmp_path / "store"), owners=os.geteuid() == 0)


@pytest.fixture
def tree(files):
    def make(**named):
        found = {}
        for name, data in named.items():
            raw = data.encode() if isinstance(data, str) else data
            found[name.replace("__", "/").replace("_DOT_", ".")] = files.write(raw)
        return Tree.of(found.items())

    return make


def text(files, tree, path):
    return files.read(tree[path]).decode()


def shape(tree):
    """What git keeps of a tree: files, links and whether they are executable."""
    return {
        p: (e.kind, bool(e.mode & 0o111), e.content, e.target)
        for p, e in tree.items()
        if e.kind != "dir"
    }


def on_disk(files, tree, into):
    into.mkdir()
    for path, entry in tree.items():
        at = into / path
        if entry.kind == "dir":
            at.mkdir()
        elif entry.kind == "link":
            at.symlink_to(entry.target)
        else:
            at.write_bytes(files.read(entry))
            at.chmod(0o755 if entry.mode & 0o111 else 0o644)
    return into


def diff_of(files, before, after, place, *options):
    """Have git write what changed: in a repository, where it finds renames."""
    repository = {**GIT, "GIT_DIR": str(place / "repository")}

    def git(tree, *words):
        at = on_disk(files, tree, place / words[-1])
        there = {**repository, "GIT_WORK_TREE": str(at)}
        subprocess.run(["git", "add", "-A"], cwd=at, env=there, check=True)
        return there

    subprocess.run(["git", "init", "-q", "--bare", repository["GIT_DIR"]], check=True)
    named = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    commit = ["git", "commit", "-q", "--allow-empty", "-m", "before"]
    subprocess.run(commit, env={**git(before, "a"), **named}, cwd=place / "a", check=True)
    command = ["git", "diff", "--cached", "--binary", "-M", "-C", *options]
    return subprocess.run(
        command, env=git(after, "b"), cwd=place / "b", stdout=subprocess.PIPE
    ).stdout


def from_disk(files, top):
    found = []
    for base, _, names in os.walk(top):
        for name in names:
            at = os.path.join(base, name)
            if os.path.islink(at):
                entry = Entry("link", 0o777, target=os.readlink(at))
            else:
                with open(at, "rb") as file:
                    entry = files.write(file.read(), os.stat(at).st_mode & 0o777)
            found.append((os.path.relpath(at, top), entry))
    return Tree.of(sorted(found))


def worlds(files, seed):
    """A tree and what somebody made of it: edits, moves, modes, links, bytes, odd names."""
    chance = random.Random(seed)
    names = ["a", "b.txt", "sub/c", "sub/deep/d", "sp ace", 'qu"ote', "umläut", "e/f"]

    def contents():
        if chance.random() < 0.2:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(300))) + b"\0"
        ending = b"" if chance.random() < 0.3 else b"\n"
        lines = [b"line %d" % chance.randrange(9) for _ in range(chance.randrange(20))]
        return b"\n".join(lines) + ending

    def entry():
        if chance.random() < 0.15:
            return Entry("link", 0o777, target=chance.choice(["a", "no/where"]))
        return files.write(contents(), chance.choice([0o644, 0o755]))

    before = {name: entry() for name in names if chance.random() < 0.7}
    after = dict(before)
    for name in names:
        match chance.randrange(5):
            case 0:
                after.pop(name, None)
            case 1:
                after[name] = entry()
            case 2 if name in after and after[name].kind == "file":
                lines = files.read(after[name]).split(b"\n")
                lines.insert(chance.randrange(len(lines) + 1), b"inserted")
                after[name] = files.write(b"\n".join(lines), after[name].mode)
            case 3 if name in after:
                after[name + ".moved"] = after.pop(name)
    return Tree.of(before.items()), Tree.of(after.items())


@needs_git
@pytest.mark.parametrize("seed", range(20))
def test_git_applies_what_we_write(files, tmp_path, seed):
    before, after = worlds(files, seed)
    patch = render(diffs(before, after, files.read))
    place = on_disk(files, before, tmp_path / "work")
    done = subprocess.run(
        ["git", "apply", "--allow-empty", "-"], cwd=place, env=GIT, input=patch, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode() + patch.decode("utf-8", "replace")
    assert shape(from_disk(files, place)) == shape(after)
    assert shape(patched(before, patch, files)) == shape(after)


@needs_git
@pytest.mark.parametrize("seed", range(20))
def test_we_apply_what_git_writes(files, tmp_path, seed):
    before, after = worlds(files, seed + 100)
    patch = diff_of(files, before, after, tmp_path)
    assert shape(patched(before, patch, files)) == shape(after)


@needs_git
def test_a_binary_delta_of_gits_is_applied(files, tmp_path):
    base = bytes(range(256)) * 400
    before = Tree.of([("bin", files.write(base))])
    after = Tree.of([("bin", files.write(base[:5000] + b"\0changed" + base[5000:]))])
    patch = diff_of(files, before, after, tmp_path)
    assert b"\ndelta " in patch
    assert shape(patched(before, patch, files)) == shape(after)
    other = Tree.of([("bin", files.write(base[::-1]))])
    with pytest.raises(QueryError, match="not the one that the patch was made from"):
        patched(other, patch, files)


NUMBERS = "".join(f"{n}\n" for n in range(1, 21))
HUNK = "--- a/f\n+++ b/f\n@@ -9,3 +9,3 @@\n 9\n-10\n+ten\n 11\n"


def test_a_plain_diff_with_times_is_applied(files, tree):
    patch = HUNK.replace("a/f", "f.orig\t2026-01-01 00:00:00").replace("b/f", "f\t2026-01-01 00:01")
    made = patched(tree(f=NUMBERS), patch.encode(), files)
    assert text(files, made, "f") == NUMBERS.replace("10", "ten")


def test_lines_that_moved_are_found(files, tree):
    made = patched(tree(f="new\n" * 30 + NUMBERS), HUNK.encode(), files)
    assert "\n9\nten\n11\n" in text(files, made, "f")


def test_text_around_a_patch_is_passed_over(files, tree):
    patch = f"From: someone\n\nSubject: ten\n---\n f | 2 +-\n\n{HUNK}-- \n2.47\n"
    assert "ten" in text(files, patched(tree(f=NUMBERS), patch.encode(), files), "f")
    untouched = tree(f="x")
    assert patched(untouched, b"", files) == untouched
    assert patched(untouched, b"no patch at all\n", files) == untouched


def test_a_directory_goes_with_its_last_file(files, tree):
    before = tree(deep__in__f="x\n", deep__g="y\n")
    patch = b"--- a/deep/in/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    assert sorted(patched(before, patch, files)) == ["deep", "deep/g"]


def test_modes_follow_the_patch_and_other_bits_stay(files):
    before = Tree.of([("f", files.write(b"x", 0o640))])
    patch = b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\n"
    assert patched(before, patch, files)["f"].mode == 0o750


def test_two_files_can_change_places(files, tree):
    patch = (
        b"diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n"
        b"diff --git a/b b/c\nsimilarity index 100%\nrename from b\nrename to c\n"
    )
    before = tree(a="1", b="2")
    with pytest.raises(QueryError, match="already there"):
        patched(before, patch, files)
    moved = patched(before, patch.replace(b"a/a b/b", b"a/a b/d").replace(b"to b", b"to d"), files)
    assert (text(files, moved, "d"), text(files, moved, "c"), set(moved)) == ("1", "2", {"c", "d"})


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (HUNK.replace("10", "99"), "f:9: the patch does not apply"),
        (HUNK.replace("a/f", "a/no").replace("b/f", "b/no"), "no: no such file"),
        (HUNK.replace("-9,3", "-9,4"), "line 3 is cut off"),
        ("@@ -1 +1 @@\n-a\n+b\n", "line 1: a hunk without the name"),
        ("--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n", "f is to be made, but is already there"),
        ("--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-1\n-2\n", "does not apply|has more in it"),
        ("diff --git a/f b/f\nBinary files a/f and b/f differ\n", "use --binary"),
        ("diff --git a/f b/f\nGIT binary patch\nliteral 5\nzzz\n\n", "damaged"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(files, tree, patch, message):
    with pytest.raises(QueryError, match=message):
        patched(tree(f=NUMBERS), patch.encode(), files)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "link/x", "sub/../../up"])
def test_a_path_can_not_leave_the_directory(files, tree, name):
    before = Tree.of([*tree(f="x").items(), ("link", Entry("link", 0o777, target="/"))])
    patch = f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(PathError):
        patched(before, patch.encode(), files)


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("plain name", "plain name"), ('a"b', r'"a\"b"'), ("tab\t", r'"tab\t"'), ("ä", r'"\303\244"')],
)
def test_odd_names_are_quoted(name, spelled):
    assert quoted(name) == spelled
