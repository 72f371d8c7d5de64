import json

from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.tree import Entry, Tree

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=6).filter(
    lambda name: name not in {".", ".."}
)
IDS = st.integers(0, 2)
ENTRIES = st.builds(
    Entry,
    st.just("file"),
    st.integers(0, 0o7777),
    st.integers(0),
    st.text("0123456789abcdef", max_size=4),
    uid=IDS,
    gid=IDS,
    mtime=st.none() | st.integers(),
) | st.builds(Entry, st.just("link"), st.just(0o777), target=st.text(min_size=1), uid=IDS)


@given(st.dictionaries(NAMES, ENTRIES, max_size=5))
def test_a_tree_is_one_json_line_a_path_and_reads_back(entries: dict[str, Entry]) -> None:
    tree = Tree(entries)
    lines = [json.dumps([path, *entries[path].row()]) for path in sorted(entries)]
    assert tree.encode() == "\n".join(lines).encode()
    assert dict(Tree.decode(tree.encode())) == entries
