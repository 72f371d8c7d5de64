from pathlib import Path

import pytest

from tests.engine.snapshots import suite
from tests.ns import in_namespace, reason_not

pytestmark = pytest.mark.sandbox


def _run(claim: str, kind: str, place: Path) -> None:
    getattr(suite, claim)(suite.Bench(kind, place))


@pytest.mark.parametrize("claim", [claim.__name__ for claim in suite.CLAIMS])
@pytest.mark.parametrize(
    ("kind", "userns"), [("overlay", None), ("overlay", True), ("copy", None), ("copy", True)]
)
def test_a_snapshotter_keeps_its_contract(
    kind: str, userns: bool | None, claim: str, tmp_path: Path
) -> None:
    if why := reason_not(userns=userns):
        pytest.skip(f"no mount namespace here: {why}")
    in_namespace(_run, claim, kind, tmp_path, userns=userns)
