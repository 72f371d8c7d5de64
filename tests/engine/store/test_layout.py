import os
import stat

import pytest

from pipelines.engine.errors import StoreError
from pipelines.engine.store.layout import Layout, default_root


def test_a_new_store_is_closed_to_others(tmp_path):
    layout = Layout.open(tmp_path / "a" / "store")
    assert stat.S_IMODE(layout.root.stat().st_mode) == 0o700
    assert layout.version.read_text() == "1\n"


def test_opening_again_finds_the_same_store(tmp_path):
    first = Layout.open(tmp_path / "store")
    (first.blobs / "x").touch()
    assert (Layout.open(tmp_path / "store").blobs / "x").exists()


def test_a_newer_store_is_refused_with_both_versions(layout):
    layout.version.write_text("7\n")
    with pytest.raises(StoreError, match=r"format '7'.*format 1; upgrade pipelines"):
        Layout.open(layout.root)


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_store_that_others_can_write_to_is_refused(layout, mode):
    layout.root.chmod(mode)
    with pytest.raises(StoreError, match=f"mode {mode:o}.*chmod 700"):
        Layout.open(layout.root)


@pytest.mark.root
def test_a_store_of_somebody_else_is_refused(layout, owners):
    if not owners:
        pytest.skip("only root can give a directory away")
    os.chown(layout.root, 4242, 4242)
    with pytest.raises(StoreError, match="belongs to user 4242"):
        Layout.open(layout.root)


def test_a_file_in_the_store_s_place_is_refused(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="is not a directory"):
        Layout.open(tmp_path / "store")


def test_an_unfinished_store_is_finished(tmp_path):
    (tmp_path / "store" / "blobs").mkdir(mode=0o700, parents=True)
    (tmp_path / "store").chmod(0o700)
    assert Layout.open(tmp_path / "store").trash.is_dir()


@pytest.mark.parametrize(
    ("env", "root"),
    [
        ({"PIPELINES_CACHE_DIR": "/p", "XDG_CACHE_HOME": "/x"}, "/p"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/pipelines"),
        ({"XDG_CACHE_HOME": "relative"}, os.path.expanduser("~/.cache/pipelines")),
        ({}, os.path.expanduser("~/.cache/pipelines")),
    ],
)
def test_the_environment_says_where_the_store_is(env, root):
    assert str(default_root(env)) == root
