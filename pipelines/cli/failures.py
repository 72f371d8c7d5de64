"""From what a run raised to an exit code and to words.

Errors of the SDK are told by their class names: this module must work when the SDK was never
imported, and a failed `import dagger` must not hide another error.
"""

import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines._errors import PipelineError

__all__ = ["describe", "exit_code", "leaves"]

# From worst to least. A bug is worse than what it caused; a red test is worse than a network that
# failed beside it, because trying again does not help.
WORST_FIRST = (70, 7, 2, 1, 4, 5, 6, 3)

# What the embedded engine says in `extensions._type`.
BY_TYPE = {
    "EXEC_ERROR": 1,
    "PATH_ERROR": 1,
    "SOURCE_ERROR": 2,
    "SOURCE_UNREACHABLE": 6,
    "SOURCE_MISMATCH": 7,
    "QUERY_ERROR": 2,
    "UNSUPPORTED_FIELD": 5,
    "SANDBOX_ERROR": 5,
    "IMAGE_ERROR": 6,
    "REGISTRY_ERROR": 6,
    "REGISTRY_MISMATCH": 7,
    "RESULT_MISMATCH": 7,
    "STORE_ERROR": 6,
    "STORE_FULL": 6,
    "CANCELLED": 3,
}
BY_CLASS = {
    "ExecError": 1,
    "TransportError": 5,
    "ClientConnectionError": 5,
    "SessionError": 5,
    "ProvisionError": 5,
    "DownloadError": 6,
    "QueryError": 1,
}
TAIL_LINES = 30


def exit_code(exc: BaseException) -> int:
    """Give the exit code; of a group, that of its worst member."""
    codes = {_code(leaf) for leaf in leaves(exc)}
    return min(codes, key=WORST_FIRST.index, default=70)


def leaves(exc: BaseException) -> Iterator[BaseException]:
    """Give the errors in a group, and in groups in it; notes of a group go to its members."""
    if not isinstance(exc, BaseExceptionGroup):
        yield exc
        return
    notes = getattr(exc, "__notes__", [])
    for member in exc.exceptions:
        for leaf in leaves(member):
            for note in notes:
                if note not in getattr(leaf, "__notes__", []):
                    leaf.add_note(note)
            yield leaf


def describe(exc: BaseException) -> str:
    """Write what went wrong, for people: one paragraph per error."""
    return "\n".join(_paragraph(leaf) for leaf in leaves(exc))


def _code(exc: BaseException) -> int:
    if isinstance(exc, PipelineError):
        return exc.exit_code
    if isinstance(exc, KeyboardInterrupt):
        return 3
    if _is_dagger(exc):
        kind = getattr(getattr(exc, "error", None), "extensions", {}).get("_type", "")
        return BY_TYPE.get(kind, BY_CLASS.get(type(exc).__name__, 70))
    return 4 if isinstance(exc, TimeoutError) else 70


def _is_dagger(exc: BaseException) -> bool:
    return type(exc).__module__.partition(".")[0] == "dagger"


def _paragraph(exc: BaseException) -> str:
    notes = list(dict.fromkeys(getattr(exc, "__notes__", [])))
    where = ", ".join(note for note in notes if note.startswith("in "))
    head = f"error ({where}): " if where else "error: "
    more = "".join(f"\n  {note}" for note in notes if not note.startswith("in "))
    return head + _what(exc) + more


def _what(exc: BaseException) -> str:
    if type(exc).__name__ == "ExecError" and _is_dagger(exc):
        return _exec(exc)
    if isinstance(exc, PipelineError) or (_is_dagger(exc) and _code(exc) != 70):  # noqa: PLR2004
        return str(exc)
    trace = "".join(traceback.format_exception(exc)).rstrip()
    return f"{type(exc).__name__}: {exc}\n{trace}"


def _exec(exc: Any) -> str:
    lines = [f"command failed with exit code {exc.exit_code}: {_shell(exc.command)}"]
    for name, text in (("stdout", exc.stdout), ("stderr", exc.stderr)):
        if text.strip():
            lines += [f"  {name}:", *(f"    {line}" for line in _tail(text))]
    return "\n".join(lines)


def _tail(text: str) -> list[str]:
    lines = text.rstrip().splitlines()
    left_out = len(lines) - TAIL_LINES
    return [f"… {left_out} lines before", *lines[-TAIL_LINES:]] if left_out > 1 else lines


def _shell(command: Sequence[str]) -> str:
    from shlex import join

    return join(command)
