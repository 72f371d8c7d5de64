"""Exec normalisation: what a command's key is made of.

Two spellings of one process have one key. Before an `Exec` op is made, everything that a
process can not see is taken out and everything that it can see is written out:

    command     entrypoint, default arguments and the given ones become one argument list
    env         sorted by name and complete: the default PATH stands where no PATH is set; a
                variable that a secret or a volatile value overrides is gone; HOME is not
                added: the runner looks it up with the user
    mounts      sorted by target, parents first; nothing is mounted below another's parent
                later than the parent, so the order of the calls can not matter
    secrets     sorted by variable name; names enter the key, values never
    volatile    names enter the key, sorted; values never
    paths       absolute, without "." and ".."; relative ones start from the working directory
    platform    with the architecture's usual names
    services    sorted by alias; their definitions and what these read, never their state

`Op` does the rest: equal fields are equal keys.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.engine.errors import QueryError
from pipelines.engine.op import Binding, Edge, Exec, Mount, SecretRef

__all__ = [
    "DEFAULT_PATH",
    "Command",
    "absolute",
    "environment",
    "exec_op",
    "expand",
    "normal_platform",
]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|(\{|[A-Za-z_][A-Za-z0-9_]*|[*#$@!?0-9-]))")

_PLATFORM = re.compile(r"[a-z0-9_]+/[a-z0-9_-]+(/[a-z0-9.]+)?")
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
}
_VARIANTS = {"arm": ("v7",)}
_USUAL = {("amd64", "v1"), ("arm64", "v8")}

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be run, as the caller says it; empty `args` means the default arguments."""

    args: tuple[str, ...]
    stdin: str = ""
    redirect_stdin: str = ""
    redirect_stdout: str = ""
    redirect_stderr: str = ""
    expect: str = "SUCCESS"
    nested: bool = False
    insecure: bool = False


def exec_op(
    command: Command,
    *,
    root: Edge,
    env: Pairs,
    workdir: str,
    user: str,
    platform: str,
    mounts: Sequence[Mount] = (),
    secret_env: Sequence[tuple[str, SecretRef]] = (),
    volatile: Pairs = (),
    services: Sequence[Binding] = (),
) -> Exec:
    """Make the op of a command: equal processes give equal ops.

    Raises:
        QueryError: there is nothing to run, or standard input is given twice.
    """
    if not command.args:
        raise QueryError(
            "withExec: no command to run: args is empty and the container has no default args"
        )
    if command.stdin and command.redirect_stdin:
        raise QueryError("withExec: stdin and redirectStdin are both set; give one of them")
    cwd = absolute(workdir, "/")
    hidden = {name for name, _ in (*secret_env, *volatile)}
    return Exec(
        root=root,
        args=command.args,
        env=environment(env, hidden),
        workdir=cwd,
        user=user,
        platform=platform,
        mounts=tuple(sorted(mounts, key=lambda mount: mount.target.split("/"))),
        secret_env=tuple(sorted(secret_env, key=lambda pair: pair[0])),
        stdin=command.stdin,
        redirect_stdin=_optional(command.redirect_stdin, cwd),
        redirect_stdout=_optional(command.redirect_stdout, cwd),
        redirect_stderr=_optional(command.redirect_stderr, cwd),
        expect=command.expect,
        # A session listens on the machine's own loopback.
        network="host" if command.nested else "private",
        nested=command.nested,
        insecure=command.insecure,
        volatile_names=tuple(sorted(name for name, _ in volatile)),
        volatile=tuple(sorted(volatile)),
        services=tuple(sorted(services, key=lambda binding: binding.alias)),
    )


def environment(env: Pairs, hidden: set[str]) -> Pairs:
    """Sort and complete an environment; the last of equal names counts, hidden ones go."""
    merged = {"PATH": DEFAULT_PATH} | dict(env)
    return tuple(sorted((name, value) for name, value in merged.items() if name not in hidden))


def absolute(path: str, workdir: str) -> str:
    """Make a container path absolute and normal; it can not leave the root."""
    joined = posixpath.normpath(posixpath.join("/", workdir, path))
    # POSIX lets a path begin with exactly two slashes; a container has no use for that.
    return "/" + joined.lstrip("/")


def normal_platform(text: str) -> str:
    """Spell a platform the usual way: `linux/x86_64` is linux/amd64, `linux/arm` linux/arm/v7.

    Source: containerd `platforms.Normalize`.

    Raises:
        QueryError: it is not os/arch or os/arch/variant.
    """
    if not _PLATFORM.fullmatch(lower := text.lower()):
        raise QueryError(f"platform {text!r}: expected os/arch or os/arch/variant")
    os, architecture, *variant = lower.split("/")
    architecture, *implied = _ARCHITECTURES.get(architecture, architecture).split("/")
    chosen = (variant or implied or _VARIANTS.get(architecture, ("",)))[0]
    usual = (architecture, chosen) in _USUAL
    return "/".join((os, architecture) if usual or not chosen else (os, architecture, chosen))


def _optional(path: str, workdir: str) -> str:
    return absolute(path, workdir) if path else ""


def expand(text: str, env: Mapping[str, str], hidden: set[str]) -> str:
    """Replace `$NAME` and `${NAME}` from a container's environment; unset ones by nothing.

    A shell's special parameters (`$1`, `$$`) are names that are never set, and a `$` that no name
    follows stays: so does Go's `os.Expand`, which the Dagger engine uses.

    Raises:
        QueryError: the text refers to a secret or volatile variable, which has no value here.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] if match[1] is not None else match[2]
        if name in hidden:
            raise QueryError(
                f"expand: {text!r} refers to {name!r}, a secret or volatile variable; "
                "its value is known only to the command: let a shell in it expand the text"
            )
        return env.get(name, "")

    return _VARIABLE.sub(value, text)
