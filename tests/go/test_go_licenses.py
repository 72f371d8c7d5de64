"""Licences: what is refused and why, and the report."""

import pytest

from pipelines import UsageError
from pipelines.go._licenses import PERMISSIVE, Licensed, read, refused, table

MIT = Licensed("x.org/mit", "v1.0.0", ("MIT",), ("LICENSE",))
GPL = Licensed("x.org/gpl", "v2.0.0", ("GPL-3.0",), ("COPYING",))
BOTH = Licensed("x.org/both", "v1.0.0", ("GPL-3.0", "MIT"), ("LICENSE",))
ODD = Licensed("x.org/odd", "v1.0.0", ("unknown",), ("LICENSE.md",))
NONE = Licensed("x.org/none", "v1.0.0", ("none",))


@pytest.mark.parametrize(
    ("found", "allow", "deny", "wanted"),
    [
        (MIT, PERMISSIVE, (), ""),
        (GPL, PERMISSIVE, (), "  x.org/gpl@v2.0.0: GPL-3.0 is not allowed"),
        (GPL, ("*",), (), ""),
        (GPL, ("*",), ("GPL-3.0",), "  x.org/gpl@v2.0.0: GPL-3.0 is denied"),
        (MIT, PERMISSIVE, ("MIT",), "  x.org/mit@v1.0.0: MIT is denied"),
        (BOTH, PERMISSIVE, (), "  x.org/both@v1.0.0: GPL-3.0 is not allowed"),
    ],
)
def test_licences_are_judged(found, allow, deny, wanted):
    assert "\n".join(refused([found], allow, deny)) == wanted


def test_what_is_not_known_is_refused_even_if_all_is_allowed():
    lines = refused([MIT, ODD, NONE], ("*",))
    assert [line.split(";")[0] for line in lines] == [
        "  x.org/odd@v1.0.0: unknown licence in LICENSE.md",
        "  x.org/none@v1.0.0: no licence file",
    ]


def test_a_module_is_accepted_by_name_and_only_while_it_is_used():
    assert refused([ODD], PERMISSIVE, (), {"x.org/odd": "MIT, asked the author"}) == []
    with pytest.raises(UsageError, match=r"not used: x\.org/odd; remove"):
        refused([MIT], PERMISSIVE, (), {"x.org/odd": "MIT"})


def test_the_report_is_read_and_written_as_a_table():
    text = '[{"module": "m", "version": "v1", "licenses": ["MIT", "ISC"], "files": ["LICENSE"]}]'
    assert table(read(text)) == "module,version,licenses,files\nm,v1,MIT ISC,LICENSE\n"
