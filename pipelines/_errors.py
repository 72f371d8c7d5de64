"""What can go wrong in a pipeline, and the exit code that says so.

    PipelineError                  70  (a bug, unless a leaf says otherwise)
    ├── UsageError                  2  a wrong name, flag or value (also a ValueError)
    │   ├── PlatformError               no such GOOS/GOARCH pair or variant
    │   ├── EmptyMatrix                 a matrix, or what is left of it, has no cells
    │   └── SourceError                 a source path or one of its files is missing
    ├── StageFailed                 1  a stage says that what it checks is not right
    ├── StageTimeout                4  a stage passed its deadline (also a TimeoutError)
    ├── StageCancelled              3  a stage was given up because another one failed
    ├── EngineUnavailable           5  no engine answered, or it can not run this pipeline
    ├── InfrastructureError         6  the network or a remote service failed after retries
    └── CacheIntegrityError         7  cached content is not what its digest says

A command that fails raises `dagger.ExecError`, as it does without this library: exit code 1.
"""

__all__ = [
    "CacheIntegrityError",
    "EmptyMatrix",
    "EngineUnavailable",
    "InfrastructureError",
    "PipelineError",
    "PlatformError",
    "SourceError",
    "StageCancelled",
    "StageFailed",
    "StageTimeout",
    "UsageError",
]


class PipelineError(Exception):
    """Anything that this library raises on purpose."""

    exit_code = 70


class UsageError(PipelineError, ValueError):
    """A wrong name, flag, value or configuration."""

    exit_code = 2


class PlatformError(UsageError):
    """No such operating system, architecture, pair of them, or variant."""


class EmptyMatrix(UsageError):
    """A matrix has no cells, so that a pipeline would succeed without doing anything."""


class SourceError(UsageError):
    """A source path, or a file that it must have, is missing."""


class StageFailed(PipelineError):
    """A stage says that what it checks is not right. Raise this in your own stages."""

    exit_code = 1


class StageTimeout(PipelineError, TimeoutError):
    """A stage passed its deadline."""

    exit_code = 4

    def __init__(self, stage: str, timeout: float) -> None:
        super().__init__(
            f"stage {stage} did not end within {timeout:g} s; its work was cancelled. "
            "Raise the limit with @stage(timeout=…) if it needs longer."
        )
        self.stage = stage
        self.timeout = timeout


class StageCancelled(PipelineError):
    """A stage was given up because another one failed."""

    exit_code = 3


class EngineUnavailable(PipelineError):
    """No engine answered, or the one that did can not run this pipeline."""

    exit_code = 5


class InfrastructureError(PipelineError):
    """The network or a remote service failed, also after retries."""

    exit_code = 6


class CacheIntegrityError(PipelineError):
    """Cached content is not what its digest says."""

    exit_code = 7
