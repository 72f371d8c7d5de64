# ruff: noqa: E501  # a query is read best on one line
import pytest

from pipelines.engine.op import HostTree, Select, Write
from pipelines.engine.tree import Entry, Tree

TREE = '{directory{withNewFile(path:"a.go",contents:"one\\ntwo\\nthree\\n"){withNewFile(path:"sub/deep/b.txt",contents:"b"){%s}}}}'
FILE = '{file(name:"f.txt",contents:"one\\ntwo\\nthree\\n",permissions:384){%s}}'
OTHER = '{directory{withNewFile(path:"c",contents:"c"){id}}}'


def test_a_new_directory_is_empty(ask):
    assert ask("{directory{entries}}") == []


READ = {
    "entries": ["a.go", "sub/"],
    'entries(path:"sub")': ["deep/"],
    'glob(pattern:"**/*.txt")': ["sub/deep/b.txt"],
    'directory(path:"sub/deep"){entries}': ["b.txt"],
    'directory(path:"sub"){directory(path:"deep"){name}}': "deep/",
    "name": "/",
    'file(path:"a.go"){name}': "a.go",
    'directory(path:"/sub"){file(path:"./deep//b.txt"){contents}}': "b",
    'filter(include:["*.go"]){entries}': ["a.go"],
    'filter(exclude:["*.go"]){entries}': ["sub/"],
    'withoutDirectory(path:"sub"){entries}': ["a.go"],
    'withoutFile(path:"*.go"){entries}': ["sub/"],
    'withoutFiles(paths:["a.go","no"]){entries}': ["sub/"],
    'withNewDirectory(path:"new/dir"){glob(pattern:"new/**")}': ["new/dir/"],
    'withNewDirectory(path:"new"){stat(path:"new"){permissions}}': 0o644,
    'withSymlink(target:"a.go",linkName:"l"){file(path:"l"){contents(limitLines:1)}}': "one\n",
    'exists(path:"sub",expectedType:DIRECTORY_TYPE)': True,
    'exists(path:"nope")': False,
    'stat(path:"a.go"){fileType}': "REGULAR",
    'findUp(name:"a.go",start:"sub/deep")': "a.go",
    'findUp(name:"b.txt",start:"sub/deep")': "sub/deep/b.txt",
    'findUp(name:"none",start:"sub")': None,
    'chown(path:"sub",owner:"5:6"){file(path:"a.go"){size}}': 14,
}


@pytest.mark.parametrize("calls", READ)
def test_a_directory_is_changed_and_read(ask, calls):
    assert ask(TREE % calls) == READ[calls]


def test_a_directory_is_copied_in(ask):
    other = ask(OTHER)
    calls = f'withDirectory(path:"sub",source:"{other}"){{glob(pattern:"sub/**")}}'
    assert ask(TREE % calls) == ["sub/c", "sub/deep/", "sub/deep/b.txt"]


def test_files_are_copied_in(ask):
    name = ask(FILE % "id")
    calls = (
        f'withFile(path:"x/",source:"{name}",permissions:493){{withFile(path:"y",source:"{name}"){{'
        f'withFiles(path:"z",sources:["{name}"]){{glob(pattern:"[xyz]/**")}}}}}}'
    )
    assert ask(TREE % calls) == ["x/f.txt", "z/f.txt"]


def test_a_difference_is_what_the_other_has(ask):
    older, newer = ask(TREE % "id"), ask(TREE % 'withNewFile(path:"new",contents:""){id}')
    assert ask(f'{{loadDirectoryFromID(id:"{older}"){{diff(other:"{newer}"){{entries}}}}}}') == [
        "new"
    ]


def test_equal_contents_have_equal_digests(ask):
    one = ask(
        '{directory{withNewFile(path:"a",contents:"1"){withNewFile(path:"b",contents:"2"){digest}}}}'
    )
    two = ask(
        '{directory{withNewFile(path:"b",contents:"2"){withNewFile(path:"a",contents:"1"){digest}}}}'
    )
    assert one == two
    assert one.startswith("sha256:")


def test_pinned_times_are_content(ask):
    assert ask(TREE % "withTimestamps(timestamp:1){digest}") != ask(TREE % "digest")


def test_a_directory_is_exported(ask, engine):
    assert ask(TREE % 'directory(path:"sub"){export(path:"out",wipe:true)}') == str(
        engine.workdir / "out"
    )
    assert engine.exported == [(["deep", "deep/b.txt"], "out", True)]


def test_looking_below_is_one_op(ask, session):
    found = session.objects.find(ask(TREE % 'directory(path:"sub"){directory(path:"deep"){id}}'))
    assert isinstance(found.base.op, Write)
    assert isinstance(found.edge.op, Select)
    assert found.edge.op.path == "sub/deep"


def test_no_filter_is_no_op(ask):
    assert ask(TREE % "filter{id}") == ask(TREE % "id")


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ('directory(path:"no"){entries}', "no such file"),
        ('directory(path:"a.go"){sync}', "is a file, not a directory"),
        ('file(path:"sub"){size}', "is a directory, not a file"),
        ('file(path:"."){size}', "is a directory, not a file"),
        ('directory(path:"../up"){id}', "leaves the directory"),
        ('stat(path:"no"){size}', "no such file"),
    ],
)
def test_a_path_that_is_wrong_is_an_error(refused, calls, message):
    error = refused(TREE % calls)
    assert message in error["message"]
    assert error["extensions"] == {"_type": "PATH_ERROR"}


# --- files -------------------------------------------------------------------------------

FILES = {
    "name": "f.txt",
    "size": 14,
    "contents": "one\ntwo\nthree\n",
    "contents(offsetLines:1,limitLines:1)": "two\n",
    "contents(offsetLines:2)": "three\n",
    "contents(limitLines:0)": "",
    'withName(name:"g"){name}': "g",
    'withReplaced(search:"o",replacement:"0"){contents(limitLines:2)}': "0ne\ntwo\n",
    'withReplaced(search:"o",replacement:"0",all:true){contents(limitLines:2)}': "0ne\ntw0\n",
    "withTimestamps(timestamp:1){size}": 14,
    'chown(owner:"7"){size}': 14,
    "stat{permissions}": 0o600,
}


@pytest.mark.parametrize("calls", FILES)
def test_a_file_is_changed_and_read(ask, calls):
    assert ask(FILE % calls) == FILES[calls]


def test_a_files_digest_may_leave_its_metadata_out(ask):
    plain, renamed = "digest(excludeMetadata:%s)", 'withName(name:"g"){digest(excludeMetadata:%s)}'
    assert ask(FILE % (plain % "true")) == ask(FILE % (renamed % "true"))
    assert ask(FILE % (plain % "false")) != ask(FILE % (renamed % "false"))


def test_bytes_that_are_no_text_are_replaced(ask, engine, tmp_path):
    engine.hosts[str(tmp_path / "f")] = Tree({"f": engine.entry(b"a\xff")})
    assert ask('{host{file(path:"f"){contents}}}') == "a\ufffd"


def test_a_file_too_large_for_an_answer_is_refused(refused, engine, tmp_path):
    engine.hosts[str(tmp_path / "f")] = Tree({"f": Entry("file", 0o644, 1 << 30, "0" * 64)})
    assert "use export" in refused('{host{file(path:"f"){contents}}}')["message"]


def test_lines_do_not_count_backwards(refused):
    assert "count from 0" in refused(FILE % "contents(offsetLines:-1)")["message"]


def test_a_file_is_exported(ask, engine):
    ask(FILE % 'export(path:"out/",allowParentDirPath:true)')
    assert engine.exported == [(["f.txt"], "out/", True)]


def test_syncing_gives_the_id(ask):
    assert ask(FILE % "sync") == ask(FILE % "id")
    assert ask(TREE % "sync") == ask(TREE % "id")


# --- host --------------------------------------------------------------------------------


def host(session, ask, arguments):
    return session.objects.find(ask(f"{{host{{directory({arguments}){{id}}}}}}")).edge.op


def test_a_host_path_starts_from_the_sessions_directory(session, ask, tmp_path):
    assert host(session, ask, 'path:"./src/../lib"') == HostTree(str(tmp_path / "lib"))
    assert host(session, ask, 'path:"/abs"') == HostTree("/abs")


def test_a_host_directory_is_filtered_when_read(session, ask, tmp_path):
    found = host(session, ask, 'path:".",include:["*.go"],exclude:["vendor"],gitignore:true')
    assert found == HostTree(str(tmp_path), "dir", ("*.go",), ("vendor",), True)


def test_reading_again_is_another_op(session, ask):
    calls = [
        host(session, ask, f'path:".",noCache:{flag}')
        for flag in ("true", "true", "false", "false")
    ]
    assert calls[0] != calls[1]
    assert calls[2] == calls[3]
