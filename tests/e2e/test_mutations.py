"""A few rounds of the mutation suite on a module of its own; `python -m ci.mutate` runs many."""

import shutil

import pytest

from ci.mutate.course import Course
from ci.mutate.projects import Project
from ci.mutate.trees import Node
from tests.e2e.conftest import remove

pytestmark = [pytest.mark.e2e, pytest.mark.sandbox, pytest.mark.slow]

ROUNDS = 4
TINY = Project("tiny", "", "", ("linux/amd64 ./cmd/one", "linux/amd64 ./cmd/two"))
TREE = {
    name: Node(text.encode())
    for name, text in {
        "go.mod": "module example.com/tiny\n\ngo 1.25.0\n",
        "README.md": "Read me.\n",
        "lib/lib.go": 'package lib\n\nimport _ "embed"\n\n//go:embed text.txt\nvar Text string\n\n'
        "func Two() int { return 2 }\n",
        "lib/text.txt": "embedded\n",
        "lib/lib_test.go": 'package lib\n\nimport "testing"\n\nfunc TestTwo(t *testing.T) {\n'
        "\tif Two() != 2 {\n\t\tt.Fatal(Two())\n\t}\n}\n",
        "lib/testdata/a": "1",
        "lib/testdata/b": "2",
        "cmd/one/main.go": 'package main\n\nimport "example.com/tiny/lib"\n\n'
        "func main() { println(lib.Text) }\n",
        "cmd/two/main.go": "package main\n\nfunc main() { println(2) }\n",
    }.items()
}


@pytest.fixture
def course(tmp_path):
    if shutil.which("go") is None:
        pytest.skip("no Go on this host: nothing could be held against it")
    yield Course(TINY, tmp_path / "course", seed=11, start=TREE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "course/subject/store"))
        remove(tmp_path / "course/subject/store")


def test_results_and_reasons_are_those_of_an_uncached_run(course):
    rows = list(course.run(ROUNDS))
    assert [row for row in rows if row["stale"] or row["missed"] or row["wrong"]] == []
    assert len(rows) == ROUNDS + 1
    assert len({row["kind"] for row in rows}) > ROUNDS / 2
