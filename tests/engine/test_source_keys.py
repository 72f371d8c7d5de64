"""What keys a git tree and a download, and what does not."""

from dataclasses import replace

import pytest

from pipelines.engine.names.remote import Remote
from pipelines.engine.op import Edge, Empty, GitAccess, GitTree, HttpFile, HttpSource, SecretRef
from pipelines.engine.op import Write as WriteOp

A, B = "a" * 40, "b" * 40
SECRET = SecretRef("token", lambda: b"x")
ACCESS = GitAccess(Remote("https://h/x", "https"), "me", SECRET, SECRET, "hosts", "/socket")
TREE = GitTree(A, keep_git_dir=True, origin="https://h/x", ref="refs/heads/main", access=ACCESS)
FILE = HttpFile("c" * 64, 5, "f", 0o600, HttpSource("https://h/f", "", SECRET))
LOCAL = Edge(Empty())

TREE_INPUTS = {
    "commit": {"commit": B},
    "git directory": {"keep_git_dir": False},
    "origin": {"origin": "https://h/y"},
    "ref": {"ref": "refs/heads/other"},
    "depth": {"depth": 0},
    "tags": {"tags": (("refs/tags/v1", A),)},
    "smudged": {"smudged": True},
    "directory": {"local": LOCAL},
}
FILE_INPUTS = {
    "body": {"body": "d" * 64},
    "size": {"size": 6},
    "name": {"name": "g"},
    "mode": {"mode": 0o644},
}


@pytest.mark.parametrize("change", TREE_INPUTS.values(), ids=TREE_INPUTS)
def test_what_a_tree_depends_on_is_in_its_key(change):
    assert replace(TREE, **change).digest != TREE.digest


@pytest.mark.parametrize("change", FILE_INPUTS.values(), ids=FILE_INPUTS)
def test_what_a_download_depends_on_is_in_its_key(change):
    assert replace(FILE, **change).digest != FILE.digest


def test_a_repository_in_a_directory_is_keyed_by_the_directory():
    other = Edge(WriteOp(LOCAL, "f", b"x"))
    assert replace(TREE, local=other).digest != replace(TREE, local=LOCAL).digest


@pytest.mark.parametrize(
    "access",
    [
        None,
        replace(ACCESS, remote=Remote("https://mirror/x", "https")),
        replace(ACCESS, username="other"),
        replace(ACCESS, token=None),
        replace(ACCESS, header=SecretRef("other", lambda: b"y")),
        replace(ACCESS, known_hosts=""),
        replace(ACCESS, auth_socket=""),
    ],
)
def test_how_a_repository_is_reached_is_not_in_the_key(access):
    assert replace(TREE, access=access).digest == TREE.digest
    assert replace(TREE, wanted="refs/heads/main").digest == TREE.digest


@pytest.mark.parametrize(
    "source",
    [None, HttpSource("https://mirror/f", "sha256:" + "c" * 64), HttpSource("https://h/g")],
)
def test_where_a_download_comes_from_is_not_in_the_key(source):
    assert replace(FILE, source=source).digest == FILE.digest
