"""The cases, a module a group."""

import importlib
import pkgutil

from tests.parity.case import Case

__all__ = ["collect"]


def collect() -> list[Case]:
    """Import every group and give its cases in the order of their definition."""
    found: list[Case] = []
    for module in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        group = importlib.import_module(f"{__name__}.{module}")
        found += [one for one in vars(group).values() if isinstance(one, Case)]
    return found
