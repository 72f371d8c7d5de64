import hashlib
import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.errors import ContentMissing, SourceError
from pipelines.engine.store.files import Files, file_name, parse_name
from pipelines.engine.tree import Entry, Tree

IDS = st.sampled_from([0, 1000])
names = st.text("abc.ü\udc80", min_size=1, max_size=4).filter(lambda n: n not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
leaves = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=8), st.sampled_from([0o644, 0o4755, 0o400])),
    st.tuples(st.just("link"), st.sampled_from([b"a", b"/x", b"../.."]), st.just(0o777)),
    st.tuples(st.just("dir"), st.just(b""), st.sampled_from([0o755, 0o500, 0o1777])),
)
times = st.none() | st.integers(0, 2**31)


def entry_of(content, mode=0o644, **fields):
    return Entry("file", mode, len(content), hashlib.sha256(content).hexdigest(), **fields)


def plant(files, leaf, mtime, owner):
    kind, content, mode = leaf
    if kind == "file":
        return files.write(content, mode, owner, owner, mtime)
    target = content.decode() if kind == "link" else ""
    return Entry(kind, mode, 0, "", target, owner, owner, mtime)


def read_back(top, pinned):
    """Read a directory as entries; times only of what is pinned."""
    found = {}
    for here, directories, others in os.walk(top):
        for name in directories + others:
            path = os.path.join(here, name)
            relative, status = os.path.relpath(path, top), os.lstat(path)
            mtime = int(status.st_mtime) if relative in pinned else None
            common = {"uid": status.st_uid, "gid": status.st_gid, "mtime": mtime}
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                found[relative] = Entry("link", 0o777, target=os.readlink(path), **common)
            elif stat.S_ISDIR(status.st_mode):
                found[relative] = Entry("dir", mode, **common)
            else:
                with open(path, "rb") as file:
                    found[relative] = entry_of(file.read(), mode, **common)
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(paths, st.tuples(leaves, times, IDS), max_size=8))
def test_a_tree_on_disk_is_the_tree(files, tmp_path_factory, drawn):
    leafs = {p for p, (leaf, _, _) in drawn.items() if leaf[0] != "dir"}
    tree = Tree.of(
        (path, plant(files, *fields))
        for path, fields in sorted(drawn.items())
        if not any(path.startswith(leaf + "/") for leaf in leafs)
    )
    expected = dict(tree) if files.owners else {p: own(e) for p, e in tree.items()}
    into = tmp_path_factory.mktemp("into")
    files.materialise(tree, into)
    pinned = {p for p, e in tree.items() if e.mtime is not None}
    assert read_back(into, pinned) == expected


def own(entry):
    fields = (entry.kind, entry.mode, entry.size, entry.content, entry.target)
    return Entry(*fields, os.geteuid(), os.getegid(), entry.mtime)


@given(st.integers(0, 0o7777), st.integers(0, 2**32), st.none() | st.integers(-(2**40), 2**40))
def test_a_file_s_name_says_what_it_is(mode, owner, mtime):
    entry = Entry("file", mode, 0, "ab" * 32, "", owner, owner + 1, mtime)
    assert parse_name(file_name(entry)) == entry


@pytest.mark.parametrize("name", ["ab/cd", "x", "ab/" + "cd" * 32 + "-644-0-0", "ab/-1-1-1"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError):
        parse_name(name)


def test_a_file_keeps_its_time_across_trees(files, tmp_path):
    entry = files.write(b"x")
    os.utime(files.path(entry), (1000, 1000))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        files.materialise(Tree({"f": files.write(b"x")}), tmp_path / name)
    assert os.stat(tmp_path / "two" / "f").st_mtime == 1000


def test_files_that_came_in_together_have_times_of_their_own(files):
    """Go's test cache tells a file from another by size and time: two may be swapped."""
    made = [files.write(b"%3d" % number) for number in range(100)]
    assert len({files.path(entry).stat().st_mtime_ns for entry in made}) == 100


def test_directories_and_links_have_the_same_time_in_every_tree(files, tmp_path):
    tree = Tree.of([("d/f", files.write(b"1")), ("d/l", Entry("link", 0o777, target="f"))])
    paths = ("", "d", "d/l")
    times = []
    for name in ("one", "two"):
        (into := tmp_path / name).mkdir()
        files.materialise(tree, into)
        times.append([os.lstat(into / path).st_mtime for path in paths])
    assert times == [[1_000_000_000] * 3] * 2


def test_files_with_a_pinned_time_have_their_own_inode(files):
    plain, pinned = files.write(b"x"), files.write(b"x", mtime=7)
    assert files.path(plain).stat().st_ino != files.path(pinned).stat().st_ino
    assert files.path(pinned).stat().st_mtime == 7


def test_content_comes_in_from_its_origin_when_it_is_needed(files, tmp_path):
    (tmp_path / "host").write_bytes(b"from outside")
    entry = entry_of(b"from outside", 0o755)
    files.origin(entry.content, tmp_path / "host")
    assert not files.has(entry)
    assert files.read(entry, 4) == b"from"
    assert files.has(entry)


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_an_origin_that_changed_is_an_error(files, layout, tmp_path, size):
    entry = entry_of(b"a" * size)
    (tmp_path / "host").write_bytes(b"b" * size)
    with pytest.raises(SourceError, match="changed while it was read"):
        files.ingest(entry, tmp_path / "host")
    assert not files.has(entry)
    assert os.listdir(layout.incoming) == []


def test_an_origin_that_became_a_link_or_pipe_is_an_error(files, tmp_path):
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "gone"):
        with pytest.raises(SourceError, match=f"can not read .*{name}"):
            files.ingest(entry_of(b"x"), tmp_path / name)


def test_content_with_another_mode_comes_from_its_variant(files):
    files.write(b"x", 0o644)
    entry = entry_of(b"x", 0o755)
    assert stat.S_IMODE(files.ensure(entry).stat().st_mode) == 0o755


def test_content_that_nobody_has_is_missing(files, tmp_path):
    entry = entry_of(b"nowhere")
    with pytest.raises(ContentMissing):
        files.read(entry)
    with pytest.raises(ContentMissing):
        files.materialise(Tree({"f": entry}), tmp_path)


def test_an_adopted_file_is_linked(files, layout):
    (layout.snapshots / "f").write_bytes(b"x")
    (layout.snapshots / "f").chmod(0o640)
    mine = {"uid": os.geteuid(), "gid": os.getegid()}
    path = files.adopt(layout.snapshots / "f", entry_of(b"x", 0o640, **mine))
    assert path.stat().st_ino == (layout.snapshots / "f").stat().st_ino


def test_an_adopted_file_of_another_mode_is_copied(files, layout):
    (layout.snapshots / "f").write_bytes(b"x")
    (layout.snapshots / "f").chmod(0o640)
    path = files.adopt(layout.snapshots / "f", entry_of(b"x", 0o600))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((layout.snapshots / "f").stat().st_mode) == 0o640


@pytest.mark.slow
def test_a_file_with_all_its_links_taken_is_copied(files, layout, tmp_path):
    entry = files.write(b"x", 0o640, mtime=5)
    most = os.pathconf(tmp_path, "PC_LINK_MAX")
    if most > 100_000:
        pytest.skip(f"this file system allows {most} links")
    for n in range(most - 1):
        os.link(files.path(entry), layout.trash / str(n))
    (tmp_path / "into").mkdir()
    files.materialise(Tree({"f": entry}), tmp_path / "into")
    status = (tmp_path / "into" / "f").stat()
    assert (status.st_nlink, status.st_mtime, stat.S_IMODE(status.st_mode)) == (1, 5, 0o640)


def test_without_other_ids_every_file_is_our_own(layout):
    files = Files(layout, owners=False)
    entry = files.write(b"x", uid=4242, gid=4243)
    assert files.path(entry).stat().st_uid == os.geteuid()
    assert files.path(entry).name.endswith("-644-0-0")
