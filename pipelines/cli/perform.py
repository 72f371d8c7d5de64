"""The part of `pipelines run` that runs in the event loop."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from pipelines._connect import connect
from pipelines._session import Session
from pipelines._spans import recorded
from pipelines._stage import is_stage, stage
from pipelines.cli.failures import exit_code, leaves
from pipelines.cli.results import Delivery
from pipelines.report.run import Run

if TYPE_CHECKING:
    from pipelines.cli.run import Call, Options

__all__ = ["perform"]

TICK_SECONDS = 0.1
KEEP_SECONDS = 1.0


def perform(
    calls: Sequence["Call"],
    options: "Options",
    run: Run,
    session: Session | None,
    keep: Callable[[], None],
) -> tuple[int, BaseException | None]:
    """Run the calls, and `keep` what is known now and then; give the exit code and what failed."""
    performance = _Performance(calls, options, run, session, keep)
    try:
        anyio.run(performance.play)
    except Exception as exc:  # noqa: BLE001 - every error becomes an exit code and words
        performance.failures.append(exc)
    finally:
        run.close()
    for note in performance.delivery.notes:
        sys.stderr.write(f"{note}\n")
    if performance.signal:
        return 128 + performance.signal, None
    if not performance.failures:
        return 0, None
    failure = BaseExceptionGroup("the run failed", performance.failures)
    return exit_code(failure), failure


class _Performance:
    """One run in the event loop."""

    def __init__(
        self,
        calls: Sequence["Call"],
        options: "Options",
        run: Run,
        session: Session | None,
        keep: Callable[[], None],
    ) -> None:
        self.failures: list[BaseException] = []
        self.signal = 0
        self.delivery = Delivery(options.export, several=len(set(options.words)) > 1)
        self._calls = calls
        self._options = options
        self._run = run
        self._session = session
        self._keep = keep

    async def play(self) -> None:
        """Connect, run every call, deliver what it returns; stop at a signal."""
        async with anyio.create_task_group() as around:
            around.start_soon(self._obey_signals, around.cancel_scope)
            around.start_soon(self._tick)
            around.start_soon(self._remember)
            with recorded(self._run):
                async with connect(
                    self._options.engine, jobs=self._options.jobs, session=self._session
                ):
                    async with anyio.create_task_group() as tasks:
                        for call in self._calls:
                            tasks.start_soon(self._perform, call, tasks.cancel_scope)
            around.cancel_scope.cancel()

    async def _perform(self, call: "Call", scope: anyio.CancelScope) -> None:
        forced = call.stage.call if is_stage(call.stage.call) else stage(call.stage.call)
        try:
            value = await forced(**call.arguments)
            await self.delivery.take(call.stage.name, value)
        except Exception as exc:  # noqa: BLE001 - collected, told at the end
            if len(self._calls) > 1:
                exc.add_note(f"in {call.stage.name}")
            self.failures.append(exc)
            await self._save(call.stage.name, exc)
            if self._options.fail_fast:
                scope.cancel()

    async def _save(self, name: str, failure: BaseException) -> None:
        """Deliver what failures have made all the same, such as the reports of failed tests."""
        for leaf in leaves(failure):
            if (outputs := getattr(leaf, "outputs", None)) is not None:
                with anyio.CancelScope(shield=True):
                    try:
                        await self.delivery.take(name, outputs)
                    except Exception as exc:  # noqa: BLE001 - told beside the failure
                        self.failures.append(exc)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(TICK_SECONDS)
            self._run.tick()

    async def _remember(self) -> None:
        while True:
            await anyio.sleep(KEEP_SECONDS)
            await anyio.to_thread.run_sync(self._keep)

    async def _obey_signals(self, scope: anyio.CancelScope) -> None:
        """Cancel at the first signal, end at once at the second."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if self.signal:
                    if self._session:
                        self._session.kill()
                    os._exit(128 + number)
                self.signal = int(number)
                sys.stderr.write("\nstopping; once more to stop at once\n")
                scope.cancel()
