import pytest

from tests.e2e.conftest import anyio_backend, dag, session, store
from tests.escapes.guard import Guard

__all__ = ["anyio_backend", "dag", "guard", "session", "store"]


@pytest.fixture
def guard(tmp_path):
    """Guard a directory of the host, which is looked at again at the end."""
    guarded = Guard(tmp_path / "guarded")
    yield guarded
    guarded.check()
