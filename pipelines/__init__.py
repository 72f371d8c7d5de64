"""CI pipelines as Python functions over Dagger types.

Names are loaded when they are first used: `import pipelines` costs nothing, the SDK's import waits
for the first name that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pipelines.docker as docker  # noqa: PLR0402 - mypy takes the other form for a cycle
    import pipelines.go as go  # noqa: PLR0402
    from pipelines._cache import Cache, mount
    from pipelines._connect import connect
    from pipelines._errors import (
        CacheIntegrityError,
        EmptyMatrix,
        EngineUnavailable,
        InfrastructureError,
        PipelineError,
        PlatformError,
        SourceError,
        StageCancelled,
        StageFailed,
        StageTimeout,
        UsageError,
    )
    from pipelines._matrix import gather, matrix
    from pipelines._outputs import dist
    from pipelines._platform import Platform
    from pipelines._shard import Shard
    from pipelines._stage import stage

__all__ = [
    "Cache",
    "CacheIntegrityError",
    "EmptyMatrix",
    "EngineUnavailable",
    "InfrastructureError",
    "PipelineError",
    "Platform",
    "PlatformError",
    "Shard",
    "SourceError",
    "StageCancelled",
    "StageFailed",
    "StageTimeout",
    "UsageError",
    "connect",
    "dist",
    "docker",
    "gather",
    "go",
    "matrix",
    "mount",
    "stage",
]

_HOMES = {
    "Cache": "_cache",
    "Platform": "_platform",
    "Shard": "_shard",
    "connect": "_connect",
    "dist": "_outputs",
    "gather": "_matrix",
    "matrix": "_matrix",
    "mount": "_cache",
    "stage": "_stage",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
    if name in {"docker", "go"}:
        return importlib.import_module(f"pipelines.{name}")
    value = getattr(importlib.import_module(f"pipelines.{_HOMES.get(name, '_errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
