"""Every case gives on the engine that was asked for what it declares."""

import pytest

from tests.parity.case import Case
from tests.parity.cases import collect

pytestmark = [pytest.mark.anyio, pytest.mark.parity]
CASES = collect()


@pytest.mark.parametrize("one", CASES, ids=[f"{c.group}: {c.name}" for c in CASES])
async def test_the_answer_is_the_declared_one(one: Case, engine, given, used, lacking):
    if lacking:
        pytest.skip(f"not here: {', '.join(lacking)}")
    assert await one.answer(given) == one.expected(engine)
    assert set(one.covers) <= used, "a field is claimed and was not asked for"
