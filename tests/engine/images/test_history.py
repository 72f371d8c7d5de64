"""History: what a config tells of layers fits the layers, or is not told."""

from pipelines.engine.images.model import with_layers

OWN = [
    {"created_by": "RUN a"},
    {"created_by": "ENV b", "empty_layer": True},
    {"created_by": "RUN c"},
]


def told(layers, counts, base=None, own=OWN):
    made = with_layers({"history": own}, ["x"] * layers, base, None, counts)
    return [(row["created_by"], row.get("empty_layer", False)) for row in made["history"]]


def test_every_layer_has_its_entry():
    assert told(3, [1, 2, 3]) == [
        ("pipelines", False), ("RUN a", False), ("ENV b", True), ("RUN c", False),
    ]  # fmt: skip


def test_what_made_no_layer_is_said_to_be_empty():
    assert told(2, [1, 1, 2])[1:] == [("RUN a", True), ("ENV b", True), ("RUN c", False)]


def test_the_base_images_history_stays():
    base = ({"history": [{"created_by": "base"}, {"created_by": "CMD", "empty_layer": True}]}, 1)
    assert told(3, [1, 2, 3], base)[:2] == [("base", False), ("CMD", True)]


def test_a_history_that_does_not_fit_is_left_out():
    plain = [("pipelines", False)]
    assert told(3, []) == plain * 3
    assert told(4, [1, 2, 3]) == plain * 4
    assert told(1, [1, 2, 1]) == plain


def test_without_a_history_every_layer_is_ours():
    assert told(2, [], own=[]) == [("pipelines", False)] * 2


def test_settings_alone_need_no_counting():
    own = [{"created_by": "ENV a", "empty_layer": True}]
    assert told(1, [], own=own) == [("pipelines", False), ("ENV a", True)]
