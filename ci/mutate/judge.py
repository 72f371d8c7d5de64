"""What is wrong with a round. Pure functions of what both sides said."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ci.mutate.outcome import Exec, Outcome
from ci.mutate.site import Options
from ci.mutate.trees import Tree

__all__ = ["Change", "Findings", "find", "fingerprints"]

_OPTIONS = {"tags": "-tags", "stamp": "-ldflags", "private": "GOPRIVATE"}


@dataclass(frozen=True, slots=True)
class Change:
    """What a mutation changed: files, and options by name.

    `since` gives the same of every earlier round, compared with this one. It is for rounds that
    change options: had nothing changed since the last run with them, nothing would run.
    """

    files: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    since: tuple["Change", ...] = ()


@dataclass(slots=True)
class Findings:
    """Of one round. `needed` and `executed` count commands of targets.

    `stale` names what differs from the uncached run, `missed` the targets whose inputs, as Go lists
    them, were never seen before and that were answered from the cache all the same, `wrong` the
    commands that ran for a reason that is not the mutation.
    """

    stale: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    needed: int = 0
    executed: int = 0


def fingerprints(
    read: Mapping[str, frozenset[str]], tree: Tree, options: Options
) -> dict[str, str]:
    """Digest what each target reads by Go's own account."""
    found = {}
    for target, paths in read.items():
        stamp = "" if target == "test" else options.stamp
        seen = [f"{options.tags} {stamp} {options.private}"]
        seen += [f"{path} {tree[path].digest}" for path in sorted(paths) if path in tree]
        found[target] = hashlib.sha256("\n".join(seen).encode()).hexdigest()
    return found


def find(ours: Outcome, theirs: Outcome, change: Change, new: Mapping[str, bool]) -> Findings:
    """Compare a round; `new` says which targets' inputs were never seen before."""
    ran = [each for each in ours.execs if each.ran and _own(each)]
    found = Findings(needed=sum(new.values()), executed=len(ran))
    found.stale = [f"{name}: {a}, uncached {b}" for name, (a, b) in _differing(ours, theirs)]
    busy = {each.target for each in ran}
    found.missed = [target for target, is_new in new.items() if is_new and target not in busy]
    for each in ours.execs:
        if each.ran and (why := _wrong(each, ours, change)):
            found.wrong.append(f"{each.target}: {each.name}: {why}")
    return found


def _differing(ours: Outcome, theirs: Outcome) -> Iterator[tuple[str, tuple[str, str]]]:
    """Name what is not the same.

    Where Go did not come as far as packages on one side, which has to be a failure on both, what
    the other side says of those that it can not test either is no difference.
    """
    refused = any(set(one.verdicts) == {"go test"} for one in (ours, theirs))
    both = {ours.verdicts.get("go test"), theirs.verdicts.get("go test")} == {"failed"}
    for name, pair in ours.differs(theirs).items():
        of_package = name not in ours.binaries.keys() | theirs.binaries.keys()
        untested = "-" in pair and set(pair) <= {"-", "not built", "no tests"}
        if not (refused and both and of_package and untested):
            yield name, pair


def _own(each: Exec) -> bool:
    """Tell whether a command is a target's own, not one that prepares for all."""
    return "mod download" not in each.name


def _wrong(each: Exec, ours: Outcome, change: Change) -> str:
    """Say what is wrong with the reasons of a command that ran; "" for nothing."""
    if not each.reasons:
        return "no reason was given"
    told = [_judged(reason, ours, change, each.target) for reason in each.reasons]
    if not any(told) and not _since(each, change):
        return "; ".join(f"{r.get('kind')} {r.get('what', '')}" for r in each.reasons)
    return ""


def _since(each: Exec, change: Change) -> bool:
    """Tell whether the reasons are what changed since an earlier run of the command.

    It has to be one and the same earlier round: every file whose content is said to have changed
    differs from it, one that is named does at least, and GOPRIVATE is named if it differs. A file
    may be new to the command, or gone, without a change of its own: another one named it.
    """
    if {reason["kind"] for reason in each.reasons} - {"file", "root", "environment"}:
        return False
    files = [reason for reason in each.reasons if reason["kind"] == "file"]
    changed = {_path(reason) for reason in files if reason.get("before") and reason.get("after")}
    named = {_path(reason) for reason in files}
    variables = {r.get("what") for r in each.reasons if r["kind"] == "environment"}
    may_differ = {"private"} | ({"stamp"} if each.target == "test" else set())
    return any(
        earlier.options <= may_differ
        and variables == ({"GOPRIVATE"} if "private" in earlier.options else set())
        and changed <= earlier.files | {_HEADER}
        and (named & earlier.files or variables)
        for earlier in change.since
    )


_HEADER = "the header by which Go sees files for other targets (`go._overlay`)"


def _path(reason: Mapping[str, str]) -> str:
    path = reason.get("what", "")
    return _HEADER if path.startswith("/pipelines/ignored/") else path.removeprefix("/src/")


def _judged(reason: Mapping[str, str], ours: Outcome, change: Change, target: str) -> bool:
    """Tell whether a reason names what was changed."""
    kind, what = reason.get("kind"), reason.get("what", "")
    if kind == "file":
        return what.removeprefix("/src/") in change.files
    if kind == "failed":
        failed = ours.verdicts["go test"] if target == "test" else ours.binaries.get(target)
        return failed in {"failed", ""}
    if kind == "environment":
        return what in {_OPTIONS[name] for name in change.options}
    if kind == "command":
        return any(_OPTIONS[name] in str(reason) for name in change.options)
    return False


def differences(one: Options, other: Options) -> Iterator[str]:
    """Name the options that differ."""
    for name in _OPTIONS:
        if getattr(one, name) != getattr(other, name):
            yield name
