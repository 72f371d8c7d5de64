"""Matrices and gathering."""

import anyio
import pytest

from pipelines import EmptyMatrix, Platform, UsageError, gather, matrix


async def give(value):
    await anyio.sleep(0)
    return value


async def fail(text):
    await anyio.sleep(0)
    raise ValueError(text)


def test_a_matrix_is_the_product_of_its_axes_in_order():
    cells = matrix(Platform, os=["linux", "darwin"], arch=["amd64", "arm64"])
    assert cells == ("linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64")


@pytest.mark.parametrize("axis", ["linux", 7])
def test_an_axis_that_is_one_value_is_wrong_use(axis):
    with pytest.raises(UsageError, match=f"axis 'os' is a list of values, such as \\[{axis!r}\\]"):
        matrix(Platform, os=axis, arch=["amd64"])


def test_work_without_names_is_wrong_use():
    with pytest.raises(UsageError, match="cell: coroutine"):
        anyio.run(gather, [])


def test_an_axis_may_be_any_iterable():
    assert matrix(dict, a=iter("xy"), b=(n for n in [1])) == (
        {"a": "x", "b": 1},
        {"a": "y", "b": 1},
    )


def test_a_matrix_without_cells_is_an_error_that_names_the_axis():
    with pytest.raises(EmptyMatrix, match="axis 'arch' has no values"):
        matrix(Platform, os=["linux"], arch=[])
    with pytest.raises(EmptyMatrix, match="no axes"):
        matrix(Platform)


def test_gather_gives_results_in_the_order_of_the_keys():
    async def later(value, turns):
        for _ in range(turns):
            await anyio.sleep(0)
        return value

    async def main():
        return await gather({"a": later(1, 9), "b": later(2, 1)})

    assert list(anyio.run(main).items()) == [("a", 1), ("b", 2)]


def test_gather_always_raises_a_group_whose_members_say_where():
    async def main():
        await gather({"linux/arm64": fail("no")})

    with pytest.raises(ExceptionGroup) as caught:
        anyio.run(main)
    [member] = caught.value.exceptions
    assert member.__notes__ == ["in linux/arm64"]


def test_the_first_failure_cancels_the_others():
    reached = []

    async def slow():
        await anyio.sleep(3600)
        reached.append("end")

    async def main():
        await gather({"a": slow(), "b": fail("no")})

    with pytest.raises(ExceptionGroup, match="1 of 2"):
        anyio.run(main)
    assert not reached


def test_without_fail_fast_all_cells_end_and_all_failures_are_told():
    ended = []

    async def ends():
        await anyio.sleep(0.01)
        ended.append(1)

    async def main():
        await gather({"a": fail("x"), "b": ends(), "c": fail("y")}, fail_fast=False)

    with pytest.raises(ExceptionGroup, match="2 of 3"):
        anyio.run(main)
    assert ended == [1]


def test_cells_that_never_ran_are_closed():
    never = give(1)

    async def main():
        with anyio.CancelScope() as scope:
            scope.cancel()
            await gather({"a": never})

    anyio.run(main)
    assert never.cr_frame is None  # else: "was never awaited", an error in this suite


def test_gathering_nothing_gives_nothing():
    assert anyio.run(gather, {}) == {}
