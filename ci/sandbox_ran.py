"""A pytest plugin that fails a run in which no sandbox test could run: `-p ci.sandbox_ran`.

Tests that need namespaces skip where the machine refuses them. That is right on a laptop and a trap
in CI, where a green run would then mean that the engine was never tried.

Each report carries the markers of its test, so that it is one count however many processes run
tests (pytest-xdist).
"""

from collections.abc import Iterator

import pytest

__all__ = ["SandboxRan", "pytest_configure"]

MARKERS = frozenset({"sandbox", "e2e"})


class SandboxRan:
    """Counts, per marker, the tests that passed and the reasons of those that skipped."""

    def __init__(self) -> None:
        self.passed = dict.fromkeys(MARKERS, 0)
        self.reasons: set[str] = set()
        self.selected: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Write the markers of a test on its report."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        marks = sorted(m for m in MARKERS if item.get_closest_marker(m))
        report.sandbox_marks = marks  # type: ignore[attr-defined]
        return report  # type: ignore[return-value]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one outcome."""
        marks: list[str] = getattr(report, "sandbox_marks", [])
        self.selected.update(marks)
        if report.when == "call" and report.passed:
            for mark in marks:
                self.passed[mark] += 1
        elif report.skipped and marks and isinstance(report.longrepr, tuple | list):
            self.reasons.add(str(report.longrepr[2]))

    def missing(self) -> list[str]:
        """Return the markers whose tests all skipped."""
        return sorted(m for m in self.selected if not self.passed[m])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn success into failure when a kind of test never ran."""
        one_of_several = hasattr(session.config, "workerinput")
        if self.missing() and session.exitstatus == pytest.ExitCode.OK and not one_of_several:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which kind, and why."""
        for mark in self.missing():
            terminalreporter.section(f"not one {mark} test ran", red=True)
            for reason in sorted(self.reasons):
                terminalreporter.line(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Register the counter, unless the command line narrows the run."""
    if not (config.option.keyword or config.option.markexpr or config.option.collectonly):
        config.pluginmanager.register(SandboxRan(), "sandbox-ran")
