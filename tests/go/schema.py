"""JUnit as its readers demand it: the common schema, and sums that add up."""

from pathlib import Path

from lxml import etree

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))
COUNTED = {"tests": "testcase", "failures": "failure", "errors": "error"}


def validated(text: str) -> etree._Element:
    """Read a document that every reader of JUnit can read; anything else fails the test."""
    root = etree.fromstring(text.encode())
    SCHEMA.assertValid(root)
    for suites in (root, *root.iter("testsuite")):
        for attribute, tag in COUNTED.items():
            assert int(suites.get(attribute)) == len(list(suites.iter(tag))), attribute
    return root
