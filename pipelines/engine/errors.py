"""What can go wrong in the engine.

    EngineError
    ├── ExecFailed          a command ended with an exit code that was not expected
    ├── QueryError          the query itself is wrong: unknown field, bad argument
    │   ├── UnsupportedField    the schema has it, the embedded engine does not do it
    │   └── DockerfileError     a Dockerfile is wrong: file, line and what is wrong there
    ├── PathError           a path is missing, is of another kind, or leaves its root
    ├── SourceError         a host path, archive or reference can not be read
    │   ├── SourceUnreachable   a git or web server did not answer, also after retries
    │   ├── SourceMismatch      a download is not what its checksum says
    │   └── LockError           pipelines.lock is damaged, or does not have what it must
    ├── ImageError          an image can not be resolved, assembled or parsed
    │   └── RegistryError       a registry refused, failed, or answered nonsense
    │       ├── RegistryUnreachable     it did not answer at all, also after retries
    │       ├── RegistryMissing         it has no such repository, tag, manifest or blob
    │       └── RegistryMismatch        what it sent is not what its digest says
    ├── ServiceFailed       a service died, or was not ready in time
    ├── SandboxError        the host can not run a container: what to enable, or which engine to use
    ├── StoreError          the store can not be used: read-only, full, newer format
    │   ├── StoreFull
    │   └── ContentMissing      a record names content that is gone: a miss, never shown to a user
    └── Cancelled           the session ends; work in flight is thrown away

Every message says what was attempted, with which value, what was seen and what to do next.
"""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "Cancelled",
    "ContentMissing",
    "DockerfileError",
    "EngineError",
    "ExecFailed",
    "ImageError",
    "LockError",
    "PathError",
    "QueryError",
    "RegistryError",
    "RegistryMismatch",
    "RegistryMissing",
    "RegistryUnreachable",
    "SandboxError",
    "ServiceFailed",
    "SourceError",
    "SourceMismatch",
    "SourceUnreachable",
    "StoreError",
    "StoreFull",
    "UnsupportedField",
]


class EngineError(Exception):
    """Anything that the engine reports to its client."""

    code = "ENGINE_ERROR"

    def extensions(self) -> dict[str, Any]:
        """Give the GraphQL `extensions` of this error."""
        return {"_type": self.code}


class ExecFailed(EngineError):
    """A command ended with an exit code that was not expected.

    Source: dagger `core/exec_error.go`: the message and the fields that the SDKs match on.
    """

    code = "EXEC_ERROR"

    def __init__(self, cmd: Sequence[str], exit_code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"exit code: {exit_code}")
        self.cmd = tuple(cmd)
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr

    def extensions(self) -> dict[str, Any]:
        """Give `cmd`, `exitCode`, `stdout`, `stderr`, as `dagger.ExecError` reads them."""
        return {
            "_type": self.code,
            "cmd": list(self.cmd),
            "exitCode": self.exit_code,
            "stdout": self.stdout,
            "stderr": self.stderr,
        }


class QueryError(EngineError):
    """The query is wrong: unknown field, bad argument, unknown id."""

    code = "QUERY_ERROR"


class UnsupportedField(QueryError):
    """The schema has the field; the embedded engine does not implement it."""

    code = "UNSUPPORTED_FIELD"

    def __init__(self, field: str, why: str = "") -> None:
        detail = f" ({why})" if why else ""
        super().__init__(
            f"{field} is not supported by the embedded engine{detail}; "
            "run this pipeline on the Dagger engine: --engine dagger"
        )
        self.field = field

    def extensions(self) -> dict[str, Any]:
        """Name the field beside the type."""
        return {"_type": self.code, "field": self.field}


class DockerfileError(QueryError):
    """A Dockerfile is wrong, or asks for what can not be done here."""

    code = "DOCKERFILE_ERROR"

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}:{line}: {what}")
        self.file = file
        self.line = line

    def extensions(self) -> dict[str, Any]:
        """Say where, beside the type."""
        return {"_type": self.code, "file": self.file, "line": self.line}


class PathError(EngineError):
    """A path is missing, is of another kind, or leaves its root."""

    code = "PATH_ERROR"


class SourceError(EngineError):
    """A host path, an archive or a reference can not be read."""

    code = "SOURCE_ERROR"


class SourceUnreachable(SourceError):
    """A git or web server did not answer, or not usefully, also after retries."""

    code = "SOURCE_UNREACHABLE"


class SourceMismatch(SourceError):
    """A download is not what its checksum says."""

    code = "SOURCE_MISMATCH"


class LockError(SourceError):
    """`pipelines.lock` is damaged, or does not have what a locked run demands."""


class ImageError(EngineError):
    """An image can not be resolved, assembled or parsed."""

    code = "IMAGE_ERROR"


class RegistryError(ImageError):
    """A registry refused, failed, or answered nonsense.

    `status` is the HTTP status of its last answer, or 0; `codes` are its own names for what
    is wrong (`MANIFEST_UNKNOWN`).
    """

    code = "REGISTRY_ERROR"

    def __init__(self, message: str, status: int = 0, codes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = tuple(codes)


class RegistryUnreachable(RegistryError):
    """A registry did not answer at all, also after retries."""


class RegistryMissing(RegistryError):
    """A registry has no such repository, tag, manifest or blob."""


class RegistryMismatch(RegistryError):
    """What a registry sent is not what its digest or its size says."""

    code = "REGISTRY_MISMATCH"


class ServiceFailed(EngineError):
    """A service died, or was not ready in time; the text has its last lines."""

    code = "SERVICE_ERROR"


class SandboxError(EngineError):
    """The host can not run a container."""

    code = "SANDBOX_ERROR"


class StoreError(EngineError):
    """The store can not be used."""

    code = "STORE_ERROR"


class StoreFull(StoreError):
    """No space or no inodes left where the store is; nothing that was recorded is lost."""

    code = "STORE_FULL"


class ContentMissing(StoreError):
    """A record names content that is gone. The solver turns this into a miss."""

    code = "CONTENT_MISSING"


class ResultMismatch(EngineError):
    """A result that was made anew is not what is recorded for it."""

    code = "RESULT_MISMATCH"


class Cancelled(EngineError):
    """The session is ending."""

    code = "CANCELLED"
