import pytest

from pipelines.engine.op import CacheVolume
from pipelines.engine.travel.volumes import Base, Draft, head_of, kind_of

VOLUME = CacheVolume("c")


@pytest.mark.parametrize(
    ("key", "kind"),
    [("go-modules", "download"), ("npm", "download"), ("go-build-1.26", "build"), ("c", "build")],
)
def test_what_is_not_known_to_be_downloads_is_what_a_build_made(key, kind):
    assert kind_of(CacheVolume(key)) == kind


def test_builds_of_two_machines_never_mix_and_downloads_are_the_same_everywhere():
    modules = CacheVolume("go-modules")
    assert head_of(VOLUME, "x86_64") != head_of(VOLUME, "aarch64")
    assert head_of(modules, "x86_64") == head_of(modules, "aarch64")


def test_equal_keys_of_two_namespaces_have_two_heads():
    assert head_of(VOLUME, "x") != head_of(CacheVolume("c", "other"), "x")


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
