"""One project's rounds: mutate, ask both sides at once, compare, write down.

Everything that a round needs is on disk before it begins (`states/N`) and what it found is appended
after it ended (`rounds.jsonl`), so a course that was stopped anywhere goes on where it was. Chance
is seeded by the round, not by what came before.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ci.mutate.judge import Change, Findings, differences, find, fingerprints
from ci.mutate.mutations import KINDS, restored
from ci.mutate.outcome import Outcome
from ci.mutate.projects import Project, source_of
from ci.mutate.referee import Referee
from ci.mutate.site import Impossible, Options, Site, State
from ci.mutate.subject import Subject
from ci.mutate.trees import Tree, changed, clear, load, recall, remember, update, write

__all__ = ["Course"]

V = TypeVar("V")

PAST = 30
SHOWN = 20
LIKELY = 0.75


@dataclass(slots=True)
class Course:
    """The rounds of one project in one place; `start` replaces the module's own source."""

    project: Project
    place: Path
    seed: int
    start: Tree | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take up what is there."""
        self.place.mkdir(parents=True, exist_ok=True)
        log = self.place / "rounds.jsonl"
        if log.exists():
            self.rows = [json.loads(line) for line in log.read_text().splitlines()]
        for row in self.rows:
            tree = recall(self.place / "states", str(row["round"]))
            self.states.append(State(tree, Options(**row["options"])))

    def run(self, rounds: int) -> Iterator[dict[str, Any]]:
        """Run until so many rounds are done; the first, in which nothing is cached, is round 0."""
        referee = Referee(self.project, self.place / "referee")
        subject = Subject(self.project, self.place / "subject")
        referee.prepare(self.states[0].tree if self.states else self._start().tree)
        while len(self.rows) <= rounds:
            yield self._round(len(self.rows), referee, subject)

    def _start(self) -> State:
        if self.start is not None:
            return State(self.start)
        if not (self.place / "module").exists():
            source_of(self.project, self.place / "module")
        return State(load(self.place / "module"))

    def _round(self, number: int, referee: Referee, subject: Subject) -> dict[str, Any]:
        kind, site = self._mutated(number)
        state = State(site.files, site.options)
        before = self.states[-1] if self.states else State({})
        source = self._put(site, before, number)
        # Ours may have answered already, in a round that was stopped before it was written down.
        again = (self.place / "states" / f"{number}.json").exists()
        remember(self.place / "states", str(number), state.tree)
        with ThreadPoolExecutor(2) as pool:
            own = pool.submit(_timed, subject.judge, source, state.options)
            uncached = pool.submit(_timed, referee.judge, state)
            (ours, own_seconds), ((other, read), other_seconds) = own.result(), uncached.result()
        row = {
            "round": number,
            "kind": kind,
            "options": asdict(state.options),
            **self._compared(before, state, ours, other, read),
            **({"missed": []} if again else {}),
            "good": sorted(_good(other)),
            "ours": own_seconds,
            "uncached": other_seconds,
        }
        self._write(row, state, ours, other)
        return row

    def _compared(
        self,
        before: State,
        state: State,
        ours: Outcome,
        other: Outcome,
        read: Mapping[str, frozenset[str]],
    ) -> dict[str, Any]:
        options = frozenset(differences(before.options, state.options))
        since = tuple(self._since(state)) if options else ()
        change = Change(changed(before.tree, state.tree), options, since)
        prints = fingerprints(read, state.tree, state.options)
        known = self._known()
        new = {target: mark not in known.get(target, set()) for target, mark in prints.items()}
        found = find(ours, other, change, new) if self.rows else Findings()
        return {"files": sorted(change.files)[:SHOWN], "prints": prints, **asdict(found)}

    def _mutated(self, number: int) -> tuple[str, Site]:
        """Choose a mutation; after one that broke everything, mostly go back."""
        if not self.states:
            return "first", Site(self._start(), random.Random(self.seed))
        rng = random.Random(f"{self.seed} {self.project.name} {number}")
        for _ in range(1000):
            site = Site(self.states[-1], rng, self._past())
            kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
            if not self._is_good(self.rows[-1]) and rng.random() < LIKELY:
                kind = restored
            try:
                kind(site)
            except Impossible:
                continue
            moved = site.moved or site.touched
            if moved or site.files != site.before.tree or site.options != site.before.options:
                return kind.__name__, site
        raise RuntimeError("no kind of mutation is possible")

    def _past(self) -> Sequence[State]:
        """Give the states that one may go back to: those in which all was well, if there are."""
        recent = list(zip(self.rows, self.states, strict=True))[-PAST:]
        good = [state for row, state in recent if self._is_good(row)]
        return good or [self.states[0]]

    def _is_good(self, row: Mapping[str, Any]) -> bool:
        return len(row["good"]) == len(self.project.targets) + 1

    def _put(self, site: Site, before: State, number: int) -> Path:
        """Bring the source on disk to the state; give where it is."""
        place = self.place / "checkouts"
        held = place / "where"
        source = place / held.read_text() if held.exists() else place / "none"
        if site.moved or not source.exists() or load(source) != before.tree:
            clear(place)
            source = place / f"{number}"
            write(source, site.files)
            held.write_text(source.name)
            return source
        update(source, before.tree, site.files, same_times=site.same_times)
        for name in site.touched:
            os.utime(source / name, follow_symlinks=False)
        return source

    def _since(self, state: State) -> Iterator[Change]:
        """Give what differs from each earlier round with the same tags."""
        for earlier in self.states:
            options = frozenset(differences(earlier.options, state.options))
            if "tags" not in options:
                yield Change(changed(earlier.tree, state.tree), options)

    def _known(self) -> dict[str, set[str]]:
        """Give the inputs that were seen and came to something, by target."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            for target in row["good"]:
                found.setdefault(target, set()).add(row["prints"][target])
        return found

    def _write(self, row: dict[str, Any], state: State, ours: Outcome, other: Outcome) -> None:
        """Write a round down; of one that went wrong, what both sides said, to look into."""
        if row["stale"] or row["missed"] or row["wrong"]:
            place = self.place / "wrong" / str(row["round"])
            place.mkdir(parents=True, exist_ok=True)
            (place / "ours.txt").write_text(ours.said)
            (place / "uncached.txt").write_text(other.said)
            (place / "execs.json").write_text(json.dumps([asdict(e) for e in ours.execs], indent=1))
        with (self.place / "rounds.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        self.rows.append(row)
        self.states.append(state)


def _good(outcome: Outcome) -> Iterator[str]:
    """Name the targets that came to something."""
    if outcome.verdicts.get("go test") == "passed":
        yield "test"
    yield from (target for target, digest in outcome.binaries.items() if digest)


def _timed(call: Callable[..., V], *arguments: Any) -> tuple[V, float]:
    began = time.monotonic()
    return call(*arguments), round(time.monotonic() - began, 2)
