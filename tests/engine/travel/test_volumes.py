import pytest

from pipelines.caches import volumes as names
from pipelines.engine.op import CacheVolume
from pipelines.engine.store.volumes import identity
from pipelines.engine.travel.volumes import Base, Draft

VOLUME = CacheVolume("c")


@pytest.mark.parametrize("volume", [VOLUME, CacheVolume("größe\n", "a"), CacheVolume("", "")])
def test_a_volume_is_named_alike_in_the_store_and_where_caches_are_kept(volume):
    assert names.identity(volume.key, volume.namespace) == identity(volume)


def test_a_note_comes_back_and_a_broken_one_is_none(tmp_path):
    Base("digest", 7, b"seen").write(tmp_path)
    assert Base.read(tmp_path) == Base("digest", 7, b"seen")
    (tmp_path / "travel.json").write_text('{"digest": 1')
    assert Base.read(tmp_path) == Base()


def half(_volume, into):
    (into / "sub").mkdir()
    (into / "sub" / "half").touch()
    (into / "file").touch()
    return False


def test_what_did_not_come_whole_gives_way_to_the_seed(tmp_path):
    into = tmp_path / "data.new"
    into.mkdir()
    Draft(half, VOLUME, lambda at: (at / "seed").touch())(into)
    assert [p.name for p in into.iterdir()] == ["seed"]


def test_a_copy_of_a_volume_that_is_taken_begins_with_the_seed(tmp_path):
    into = tmp_path / "data.1.new"
    into.mkdir()
    Draft(lambda *_: pytest.fail("restored"), VOLUME, lambda at: (at / "seed").touch())(into)
    assert [p.name for p in into.iterdir()] == ["seed"]
