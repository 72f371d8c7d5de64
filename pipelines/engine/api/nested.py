"""What a session inside a command may not ask for: whatever reaches beyond its container.

It is a client of the session like any other, with objects of its own: it builds, runs, and pulls.
The machine's files, sockets, ports, environment and store are the outer client's.
"""

from pipelines.engine.errors import UnsupportedField

__all__ = ["check"]

_REFUSED = {
    "Query": {"address", "host", "secret", "sshfsVolume"},
    "Engine": {"localCache"},
    "Container": {"export", "exportImage", "terminal", "up", "withUnixSocket"},
    "Directory": {"export", "terminal"},
    "File": {"export"},
    "Changeset": {"export"},
    "Service": {"terminal", "up"},
}


def check(kind: str, name: str) -> None:
    """Refuse a field.

    Raises:
        UnsupportedField: it reaches the machine.
    """
    if name in _REFUSED.get(kind, ()):
        raise UnsupportedField(
            f"{kind}.{name}", "a session inside a command does not reach the machine that it is on"
        )
