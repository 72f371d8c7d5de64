"""What a store remembers of volumes that an engine has kept."""

import pytest

from pipelines._travel.standing import MET, Standing


def test_a_note_is_of_one_engine_volume_backend_and_scope(tmp_path):
    Standing(tmp_path, "url", "local").put("engine", "key", "digest")
    assert Standing(tmp_path, "url", "local").get("engine", "key") == "digest"
    for url, scope, engine, key in (
        ("other", "local", "engine", "key"),
        ("url", "trusted", "engine", "key"),
        ("url", "local", "other", "key"),
        ("url", "local", "engine", "other"),
    ):
        assert Standing(tmp_path, url, scope).get(engine, key) is None


@pytest.mark.parametrize("digest", [MET, "digest"])
def test_what_is_forgotten_is_not_known(tmp_path, digest):
    notes = Standing(tmp_path, "url", "local")
    notes.put("engine", "key", digest)
    assert notes.get("engine", "key") == digest
    notes.forget("engine", "key")
    assert notes.get("engine", "key") is None
