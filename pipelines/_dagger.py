"""The Dagger SDK, imported the quick way. Library modules take `dagger` from here."""

from pipelines._fastimport import import_dagger

import_dagger()

import dagger  # noqa: E402 - after the quick import, which this statement then finds done

__all__ = ["dagger"]
