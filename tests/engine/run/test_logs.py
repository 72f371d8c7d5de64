"""What is kept of a service's output, and what is shown."""

from pipelines.engine.run.logs import KEPT, SHOWN, Log


def test_a_flood_is_shown_up_to_a_limit_and_costs_no_memory():
    shown = []
    log = Log((), lambda _stream, data: shown.append(data))
    for _ in range(100):
        log.on_stdout(b"x" * 65536)
    assert SHOWN <= sum(map(len, shown)) < SHOWN + 2 * 65536
    assert b"the rest is not shown" in shown[-1]
    assert len(log.last()) <= KEPT


def test_the_last_lines_are_kept_in_order():
    log = Log((), lambda *_: None)
    for number in range(50):
        log.on_stderr(f"line {number}\n".encode())
    assert log.last().splitlines()[-2:] == ["line 48", "line 49"]
    assert len(log.last().splitlines()) == 20


def test_secrets_are_not_in_it():
    log = Log((b"hunter2",), lambda *_: None)
    log.on_stdout(b"password hun")
    log.on_stdout(b"ter2\n")
    log.close()
    assert log.last() == "password ***"
