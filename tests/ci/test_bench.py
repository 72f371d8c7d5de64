import subprocess

import pytest

from ci.bench.inputs import TARGETS, digests
from ci.bench.measure import BenchError, Sample, alternate, run
from ci.bench.projects import edit
from ci.bench.report import Report, Row


def test_contestants_take_turns_and_the_start_moves():
    order = []

    def contestant(name):
        def build():
            order.append(name)
            return Sample(len(order))

        return build

    prepared = []
    series = alternate({"a": contestant("a"), "b": contestant("b")}, 2, prepared.append)
    assert order == ["a", "b", "b", "a"]
    assert prepared == [0, 1]
    assert series["a"].median == 2.5


def test_a_contestant_that_fails_gives_no_number():
    with pytest.raises(BenchError, match="exit 3"):
        run(["sh", "-c", "echo why >&2; exit 3"])


def test_a_target_that_was_not_built_is_an_error(tmp_path):
    for target in TARGETS[1:]:
        place = tmp_path / target.replace("/", "-")
        place.mkdir()
        (place / "crane").write_bytes(target.encode())
    with pytest.raises(BenchError, match=TARGETS[0]):
        digests(tmp_path)


def test_a_ratio_needs_two_numbers():
    alone = Row("g", "n", 1.0, "s", 5)
    both = Row("g", "n", 1.0, "s", 5, "host", 2.0)
    assert alone.ratio is None
    assert both.ratio == 0.5
    assert alone.cells()[3:5] == ("–", "–")


def test_what_was_left_out_is_in_the_report():
    report = Report()
    report.skip("BuildKit", "no buildctl")
    assert "not measured: BuildKit: no buildctl" in report.markdown()


def test_an_edit_is_one_line_of_go(tmp_path):
    file = tmp_path / "main.go"
    file.write_text("package main\n\nfunc main() {}\n")
    edit(file)
    added = file.read_text().splitlines()[4:]
    assert len(added) == 1
    assert (
        subprocess.run(["sh", "-c", f"grep -c func {file}"], capture_output=True).stdout == b"2\n"
    )
