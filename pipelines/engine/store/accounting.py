"""Who takes how much of the store.

Content has often several holdings. It is counted once, for the one of them that was used
last, so that sizes add up to what the store takes.
"""

from pipelines.engine.accounts import Held
from pipelines.engine.digest import Digest
from pipelines.engine.store.gc import Holding
from pipelines.engine.store.sweep import Parts, measured

__all__ = ["account"]

_KINDS = {
    "record": "regular",
    "volume": "exec.cachemount",
    "mirror": "source.git.checkout",
    "download": "source.http",
    "image": "source.image",
}
_LOOSE = "internal"


def account(parts: Parts, since: float) -> list[Held]:
    """List every holding, the last used first; what was used after `since` is busy."""
    contents, holdings = measured(parts)
    names = {v.id: f"{v.namespace}/{v.key}".lstrip("/") for v in parts.volumes.list()}
    rows = {row.key: row for row in parts.records.rows()}

    def held(holding: Holding) -> Held:
        size = sum(c.size for ref in holding.refs if (c := contents.pop(ref, None)) is not None)
        used, busy = holding.used, holding.used >= since
        kind = _KINDS[holding.kind]
        if holding.kind != "record":
            name = names.get(holding.id, holding.id)
            return Held(kind, f"{holding.kind} {name}", size, used, used, busy)
        row = rows[Digest(holding.id)]
        return Held(kind, f"{row.note} {row.key}", size, row.made, used, busy)

    found = [held(one) for one in sorted(holdings, key=lambda h: h.used, reverse=True)]
    loose = ((name, c.size, c.since) for name, c in contents.items())
    return found + [Held(_LOOSE, name, size, t, t, busy=False) for name, size, t in loose]
