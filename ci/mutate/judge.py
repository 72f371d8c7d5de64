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
    """What a mutation changed: files, and options by name."""

    files: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()


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
    found.stale = [f"{name}: {a}, uncached {b}" for name, (a, b) in ours.differs(theirs).items()]
    busy = {each.target for each in ran}
    found.missed = [target for target, is_new in new.items() if is_new and target not in busy]
    for each in ours.execs:
        if each.ran and (why := _wrong(each, ours, change)):
            found.wrong.append(f"{each.target}: {each.name}: {why}")
    return found


def _own(each: Exec) -> bool:
    """Tell whether a command is a target's own, not one that prepares for all."""
    return "mod download" not in each.name


def _wrong(each: Exec, ours: Outcome, change: Change) -> str:
    """Say what is wrong with the reasons of a command that ran; "" for nothing."""
    if not each.reasons:
        return "no reason was given"
    told = [_judged(reason, ours, change, each.target) for reason in each.reasons]
    if not any(told):
        return "; ".join(f"{r.get('kind')} {r.get('what', '')}" for r in each.reasons)
    return ""


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
