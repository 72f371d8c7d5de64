import pytest

from pipelines._errors import UsageError
from pipelines._trust import demand, strictest, trusting


def test_who_verifies_satisfies_everybody():
    assert strictest() == "use"
    assert strictest("use", "off") == "off"
    assert strictest("verify", "off", "use") == "verify"


@pytest.mark.parametrize(
    ("now", "wanted", "allowed"),
    [("use", "use", True), ("off", "off", True), ("verify", "off", True), ("off", "verify", False),
     ("use", "off", False), (None, "verify", False), (None, "use", True)],
)  # fmt: skip
def test_a_stage_runs_only_where_what_it_demands_holds(now, wanted, allowed):
    with trusting(now):
        if allowed:
            demand("release", wanted)
        else:
            with pytest.raises(UsageError, match=f"demands cache='{wanted}'"):
                demand("release", wanted)
