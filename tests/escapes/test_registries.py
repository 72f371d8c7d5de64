"""Hostile layers out of a registry."""

import platform

import dagger
import pytest

from tests.escapes.archives import MACHINES
from tests.escapes.driving import wrong
from tests.fake_registry import FakeRegistry

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.sandbox]

MACHINE = platform.machine()


async def test_no_case_of_the_corpus_touches_the_host(dag, guard):
    with FakeRegistry() as registry:
        count = iter(range(1000))

        async def pulled(contents: list[bytes]) -> dagger.Container:
            name = f"case{next(count)}"
            architecture = MACHINES.get(MACHINE, MACHINE)
            registry.image(name, "1", contents, platform=f"linux/{architecture}")
            return dag.container().from_(f"{registry.host}/{name}:1")

        assert await wrong(guard, pulled) == {}
