"""What a case is, apart from any engine."""

import dagger
from dagger._exceptions import QueryErrorValue
from gql import gql

from tests.parity.case import Case, Differs, Fails
from tests.parity.cases import collect

CASES = collect()


def error(text: str) -> dagger.QueryError:
    return dagger.QueryError([QueryErrorValue(text)], gql("{ version }"))


def test_an_error_is_compared_by_class_and_words():
    assert error("no such file") == Fails("such")
    assert error("no such file") != Fails("other")
    assert error("no such file") != Fails("such", "ExecError")
    assert Fails("such") != "no such file"


def test_each_engine_is_held_to_its_own_answer():
    one = Case("n", "g", (), 1, None, Differs("Because.", dagger=2))
    assert (one.expected("embedded"), one.expected("dagger")) == (1, 2)


def test_names_are_unique():
    names = [(one.group, one.name) for one in CASES]
    assert len(names) == len(set(names))


def test_a_difference_is_one_and_has_its_reason():
    for one in (case for case in CASES if case.differs is not None):
        assert one.differs.why.endswith("."), one.name
        assert repr(one.differs.dagger) != repr(one.gives), one.name
