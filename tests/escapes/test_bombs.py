"""Layers that are too much: refused at the limit, in a message that names it, and nothing stays."""

import dagger
import pytest
import zstandard

from pipelines.engine.errors import ImageError
from pipelines.engine.images.tarread import LIMITS, limits
from tests.escapes.archives import oci, saved
from tests.escapes.corpus import layer, put
from tests.escapes.test_archives_of_images import imported

MIB = 1 << 20
HUGE = layer(put("bomb", "\0" * (8 * MIB)))
MANY = layer(*(put(f"f{number}", "") for number in range(300)))


@pytest.mark.parametrize(
    ("text", "size"), [("", 1 << 38), ("50G", 50 << 30), ("1MiB", MIB), ("7", 7), ("2TB", 2 << 40)]
)
def test_the_size_is_read(text, size):
    assert limits({"PIPELINES_MAX_LAYER_BYTES": text}).size == size


def test_the_number_of_entries_is_read():
    assert limits({"PIPELINES_MAX_LAYER_ENTRIES": "12"}).members == 12
    assert limits({}) == LIMITS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("BYTES", "much"), ("BYTES", "-1"), ("BYTES", "0"), ("BYTES", "1P")),
        *(("ENTRIES", "0"), ("ENTRIES", "1K"), ("ENTRIES", "-5")),
    ],
)
def test_what_is_no_limit_is_named(name, value):
    with pytest.raises(ImageError, match=f"PIPELINES_MAX_LAYER_{name} is '{value}'"):
        limits({f"PIPELINES_MAX_LAYER_{name}": value})


@pytest.mark.anyio
@pytest.mark.e2e
@pytest.mark.sandbox
async def test_a_layer_that_is_too_much_is_refused_and_nothing_stays(
    monkeypatch, session, tmp_path, store
):
    monkeypatch.setenv("PIPELINES_MAX_LAYER_BYTES", "4M")
    monkeypatch.setenv("PIPELINES_MAX_LAYER_ENTRIES", "200")
    archives = {
        "gzip of 8 MiB": (oci([HUGE]), "unpacks to more than 4194304 bytes; PIPELINES_MAX"),
        "zstd of 8 MiB": (
            zstandard.compress(saved([HUGE])),
            "unpacks to more than 4194304 bytes; PIPELINES_MAX_LAYER_BYTES is the limit",
        ),
        "300 entries": (saved([MANY]), "more than 200 entries; PIPELINES_MAX_LAYER_ENTRIES is"),
    }
    async with session() as (dag, _):
        for content, why in archives.values():
            box = await imported(dag, tmp_path, content)
            with pytest.raises(dagger.QueryError, match=why):
                await box.rootfs().entries()
            assert list((store / "snapshots").iterdir()) == []
