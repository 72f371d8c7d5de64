"""What a command holds while it runs."""

import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.op import Binding, CacheMount, CacheVolume, Edge, Exec, Scratch, Service
from pipelines.engine.run.holding import check_shared


def command(sharing, services=()):
    mounts = (CacheMount("/cache", CacheVolume("go", sharing=sharing)),)
    return Exec(
        Edge(Scratch()), ("x",), (), "/", "", "linux/amd64", mounts=mounts, services=services
    )


@pytest.mark.parametrize(
    ("own", "service", "refused"),
    [
        ("SHARED", "SHARED", False),
        ("LOCKED", "SHARED", True),
        ("SHARED", "LOCKED", True),
        ("LOCKED", "LOCKED", True),
        ("PRIVATE", "LOCKED", False),
    ],
)
def test_a_volume_that_the_own_service_holds_is_not_waited_for(own, service, refused):
    op = command(own, (Binding("db", Service(command(service), "s1")),))
    if refused:
        with pytest.raises(SandboxError, match=r"'go' .* service 'db', .* wait for ever"):
            check_shared(op)
    else:
        check_shared(op)
