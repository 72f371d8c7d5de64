"""What the parts of a run made, put together: nothing lost, nothing guessed."""

from xml.etree import ElementTree as ET

import pytest

from pipelines import UsageError
from pipelines.report.together import counted, put_together

PROFILE = "mode: {}\nm/a.go:1.1,2.2 1 {}\n"
JUNIT = (
    '<testsuites tests="{n}" failures="{f}" errors="0"><testsuite name="{name}" tests="{n}" '
    'failures="{f}" errors="0" time="1.5"><testcase classname="{name}" name="T"/></testsuite>'
    "</testsuites>"
)


@pytest.fixture
def together(tmp_path):
    """Merge trees, each a mapping from paths to texts; give what is there then."""

    def merge(*trees, leave_out=()):
        parts = {}
        for number, tree in enumerate(trees, 1):
            for name, text in tree.items():
                path = tmp_path / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            parts[f"part {number}"] = tmp_path / str(number)
        target = tmp_path / "all"
        files = put_together(parts, target, leave_out)
        return {name: (target / name).read_text() for name in files}, counted(target, files)

    return merge


def test_what_one_part_made_is_taken_and_what_all_made_alike_is_there_once(together):
    files, _ = together({"a/x": "1", "same": "s"}, {"b/y": "2", "same": "s"})
    assert files == {"a/x": "1", "b/y": "2", "same": "s"}


def test_what_differs_and_can_not_be_merged_is_an_error_that_names_both(together, tmp_path):
    with pytest.raises(UsageError, match=r"bin/x is not the same in part 1 and part 2"):
        together({"bin/x": "1", "ok": ""}, {"bin/x": "2"})
    assert not (tmp_path / "all").exists()


def test_a_directory_does_not_become_a_file(together):
    with pytest.raises(UsageError, match="x is a directory in part 2 and none in part 1"):
        together({"x": "1"}, {"x/y": "2"})


def test_nothing_is_written_through_a_link_of_another_part(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "1").mkdir()
    (tmp_path / "1/x").symlink_to(tmp_path / "outside")
    (tmp_path / "2/x").mkdir(parents=True)
    (tmp_path / "2/x/file").write_text("")
    with pytest.raises(UsageError, match="x is a directory"):
        put_together({"1": tmp_path / "1", "2": tmp_path / "2"}, tmp_path / "all")
    assert list((tmp_path / "outside").iterdir()) == []


def test_links_are_results_like_files(tmp_path):
    for part in "12":
        (tmp_path / part).mkdir()
        (tmp_path / part / "x").symlink_to("nowhere")
    put_together({part: tmp_path / part for part in "12"}, tmp_path / "all")
    assert (tmp_path / "all/x").readlink().name == "nowhere"


def test_junit_of_all_parts_is_one_with_the_sums(together):
    parts = [{"r.xml": JUNIT.format(n=2, f=f, name=name)} for f, name in ((1, "a"), (0, "b"))]
    files, found = together(*parts)
    root = ET.fromstring(files["r.xml"])
    assert (root.get("tests"), root.get("failures"), root.get("time")) == ("4", "1", "3.000")
    assert [suite.get("name") for suite in root] == ["a", "b"]
    assert list(found.lines()) == ["tests: 4, 1 failed"]


def test_xml_of_another_kind_is_not_merged(together):
    with pytest.raises(UsageError, match="not known how"):
        together({"r.xml": "<a/>"}, {"r.xml": "<b/>"})


def test_coverage_is_merged_and_summed_up_anew(together):
    parts = [
        {"coverage.out": PROFILE.format("count", count), "coverage.txt": f"old {count}"}
        for count in (0, 3)
    ]
    files, found = together(*parts)
    assert files["coverage.out"] == PROFILE.format("count", 3)
    assert files["coverage.txt"].splitlines() == ["m      100.0 %", "total  100.0 %"]
    assert found.coverage == 100


def test_events_follow_each_other_and_timings_are_united(together):
    text = '{{"v": 1, "seconds": {{"{0}": 2.0}}, "measured": ["{0}"]}}'
    parts = [{"tests.json": f"{n}\n", "timings.json": text.format(n)} for n in "ab"]
    files, _ = together(*parts)
    assert files["tests.json"] == "a\nb\n"
    assert '"a": 2.0,\n  "b": 2.0' in files["timings.json"]


def test_what_is_left_out_is_not_merged(together):
    files, _ = together({"part.json": "1"}, {"part.json": "2"}, leave_out={"part.json"})
    assert files == {}
