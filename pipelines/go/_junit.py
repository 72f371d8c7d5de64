"""Test results as JUnit XML, the form that CI systems read.

One `testsuite` a package, one `testcase` a test; a package that could not be built, or failed
outside of its tests, is a case of its own. `file` and `line` say where, as GitLab and others read
them; flaky tests are `flakyFailure`, as Surefire writes them.
"""

import re
from xml.etree import ElementTree as ET

from pipelines.go._results import Package, Results, Test

__all__ = ["junit"]

# What XML 1.0 can not hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Results) -> str:
    """Write results as JUnit XML."""
    suites = [_suite(package) for package in results.packages if package.status != "skipped"]
    root = ET.Element("testsuites", _totals(suites))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _totals(suites: list[ET.Element]) -> dict[str, str]:
    names = ("tests", "failures", "errors")  # the common schema knows no `skipped` up here
    totals = {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in names}
    seconds = sum(float(suite.get("time", "0")) for suite in suites)
    return totals | {"time": f"{seconds:.3f}"}


def _suite(package: Package) -> ET.Element:
    cases = [_case(package, test) for test in package.tests]
    if package.status == "failed" and not any(t.status == "failed" for t in package.tests):
        cases.append(_itself(package))
    suite = ET.Element("testsuite", {"name": _clean(package.path)})
    counted = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(cases)))
    for name, tag in counted.items():
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{package.seconds:.3f}")
    suite.extend(cases)
    return suite


def _case(package: Package, test: Test) -> ET.Element:
    case = _element(package, test.name, test.seconds)
    if test.places:
        case.set("file", _clean(test.places[0].file))
        case.set("line", str(test.places[0].line))
    message = test.reason or (test.places[0].message if test.places else "")
    if test.status == "skipped":
        _under(case, "skipped", message, "")
    elif test.status == "failed":
        _under(case, "failure", message or "failed", test.output)
    elif test.status == "flaky":
        _under(case, "flakyFailure", message or "failed at first", test.output)
    return case


def _itself(package: Package) -> ET.Element:
    """Make a case of what is no test's: a failed build, an exit or a panic outside of tests."""
    name = "build" if package.build else "package"
    case = _element(package, name, package.seconds)
    message = "the package could not be built" if package.build else "the package failed"
    if package.places:
        case.set("file", _clean(package.places[0].file))
        case.set("line", str(package.places[0].line))
        message = package.places[0].message
    message = package.reason or message
    _under(case, "error", message, package.build or package.output)
    return case


def _element(package: Package, name: str, seconds: float) -> ET.Element:
    fields = {"classname": _clean(package.path), "name": _clean(name), "time": f"{seconds:.3f}"}
    return ET.Element("testcase", fields)


def _under(case: ET.Element, tag: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"message": _clean(message)})
    if tag in {"failure", "error"}:
        element.set("type", tag)
    element.text = _clean(text)


def _clean(text: str) -> str:
    return _ILLEGAL.sub("�", text)
