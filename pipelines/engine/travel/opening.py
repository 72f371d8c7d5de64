"""From settings to a `Travel`; imports nothing heavy until a cache is configured."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.events import Events

if TYPE_CHECKING:
    from pipelines.caches.backend import Backend
    from pipelines.engine.travel.stores import Stores
    from pipelines.engine.travel.travel import Travel

__all__ = ["mentioned", "travel"]

PREFIX = b"PIPELINES_CACHE_"


def mentioned(workdir: Path, environ: Mapping[str, str]) -> bool:
    """Tell cheaply whether a cache may be configured."""
    named = any(n.startswith("PIPELINES_CACHE_") and n != "PIPELINES_CACHE_DIR" for n in environ)
    if named:
        return True
    try:
        content = (workdir / "pyproject.toml").read_bytes()
    except OSError:
        return False
    return b"pipelines" in content and b"cache" in content


def travel(
    workdir: Path, environ: Mapping[str, str], stores: "Stores", events: Events
) -> "Travel | None":
    """Put a session's travelling caches together; None if there are none, or none that work."""
    from pipelines.caches import settings, signals

    try:
        found = settings.load(workdir, environ)
        if found is None:
            return None
        rules = signals.rules(environ, signals.event(environ), found.scope)
    except settings.SettingsError as exc:
        events.warning(f"the travelling cache is left out: {exc}")
        return None
    from pipelines.engine.travel.account import Account
    from pipelines.engine.travel.travel import Travel

    async def opening() -> "Backend":
        from pipelines.caches.backend import Backend

        memory = stores.layout.root / "heads"
        return await Backend.open(found, rules, environ, memory, account.meter)

    account = Account(stores.layout.root, stores.scratch.name, found.url)
    return Travel(found, rules, opening, stores, account, events)
