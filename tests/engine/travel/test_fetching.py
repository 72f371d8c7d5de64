"""What comes as a layer is the layer that its id names, or nothing."""

import os
import shutil

import pytest

from pipelines.engine.errors import ContentMissing
from pipelines.engine.snapshots.shelf import Shelf
from pipelines.engine.travel.fetching import check_layer


@pytest.fixture
def layer(tmp_path):
    """Give a layer's id and a copy of its directory, as it comes."""
    (tmp_path / "root").mkdir()
    (tmp_path / "active").mkdir()

    def fill(into):
        (into / "sub").mkdir()
        (into / "sub" / "file").write_text("content")
        os.link(into / "sub" / "file", into / "same")
        (into / "link").symlink_to("sub/file")

    made = Shelf(tmp_path / "root", tmp_path / "active").add(fill)
    return made, shutil.copytree(tmp_path / "root" / made, tmp_path / "came", symlinks=True)


def test_a_layer_that_came_whole_is_accepted(layer):
    check_layer(*layer)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda home: (home / "fs/sub/file").write_text("c0ntent"),
        lambda home: (home / "fs/sub/more").touch(),
        lambda home: (home / "fs/link").unlink(),
        lambda home: (home / "fs/sub").chmod(0o777),
        lambda home: (home / "rows").write_text("[]"),
        lambda home: (home / "rows").unlink(),
        lambda home: (home / "layer.json").unlink(),
        lambda home: (home / "unmade").touch(),
        lambda home: shutil.rmtree(home / "fs"),
    ],
)
def test_a_layer_that_is_another_is_refused(layer, tamper):
    name, home = layer
    tamper(home)
    with pytest.raises(ContentMissing):
        check_layer(name, home)
