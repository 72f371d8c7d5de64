import json

import pytest


def ref(session, ask, query):
    return session.objects.find(ask(query)).ref


def test_a_set_secret_is_keyed_by_its_name(session, ask):
    one = ref(session, ask, '{setSecret(name:"t",plaintext:"a"){id}}')
    two = ref(session, ask, '{setSecret(name:"t",plaintext:"b"){id}}')
    assert one.name == two.name == "t"
    assert (one.value(), two.value()) == (b"a", b"b")


def test_an_id_says_nothing_about_the_value(session, ask, engine):
    from pipelines.engine.api.secret import from_text
    from pipelines.engine.api.session import Session

    here, there = session, Session(engine)
    ids = [one.objects.remember(from_text(one, "t", "value")) for one in (here, there)]
    assert ids[0] != ids[1]
    assert here.objects.remember(from_text(here, "t", "value")) == ids[0]


@pytest.mark.parametrize("uri", ["env:PIPELINES_TEST_SECRET", "env://PIPELINES_TEST_SECRET"])
def test_a_variable_is_a_secret(session, ask, monkeypatch, uri):
    monkeypatch.setenv("PIPELINES_TEST_SECRET", "x")
    assert ask(f'{{secret(uri:"{uri}"){{plaintext}}}}') == "x"
    assert ref(session, ask, f'{{secret(uri:"{uri}"){{id}}}}').name == "env://PIPELINES_TEST_SECRET"


@pytest.mark.parametrize("uri", ["file:s.txt", "file://s.txt"])
def test_a_file_is_a_secret(session, ask, tmp_path, uri):
    (tmp_path / "s.txt").write_bytes(b"x\n")
    assert ask(f'{{secret(uri:"{uri}"){{plaintext}}}}') == "x\n"
    assert ref(session, ask, f'{{secret(uri:"{uri}"){{id}}}}').name == "file://s.txt"


def test_a_cache_key_is_the_name(session, ask):
    assert ref(session, ask, '{secret(uri:"env:NO",cacheKey:"mine"){id}}').name == "mine"


def test_nothing_is_read_before_it_is_needed(ask):
    assert ask('{secret(uri:"file:/no/such"){uri}}') == "file:///no/such"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("env:PIPELINES_UNSET", "the variable is not set"),
        ("file:/no/such", "No such file"),
        ("vault://x", "cmd://COMMAND, where `cmd://vault kv get"),
        ("other://x", "env://NAME, file://PATH and cmd://COMMAND; for other providers"),
        ("cmd:", "reads env://NAME"),
        ("cmd://echo half-of-it; exit 3", "ended with exit code 3; its output is not shown"),
        ("cmd://true", "it printed nothing"),
        ("env:", "reads env://NAME"),
    ],
)
def test_a_secret_that_is_not_there_is_an_error(refused, uri, message):
    assert message in refused(f'{{secret(uri:"{uri}"){{plaintext}}}}')["message"]


def test_the_name_is_read(ask):
    assert ask('{setSecret(name:"t",plaintext:"a"){name}}') == "t"


def test_what_a_command_prints_is_a_secret(session, ask, tmp_path):
    script = "echo run >> ran; printf '%s' from-$(basename $PWD)"
    uri = f'secret(uri:"cmd://{script}")'
    for _ in range(2):
        assert ask(f"{{{uri}{{plaintext}}}}") == f"from-{tmp_path.name}"
    assert ref(session, ask, f"{{{uri}{{id}}}}").name == f"cmd://{script}"
    assert (tmp_path / "ran").read_text() == "run\n"


def test_a_command_that_fails_shows_nothing_of_what_it_printed(refused):
    uri = "cmd://echo half-of-$((40+2)); echo more-$((40+2)) >&2; exit 3"
    assert "42" not in json.dumps(refused(f'{{secret(uri:"{uri}"){{plaintext}}}}'))


def test_an_error_does_not_say_a_value_that_was_set(session, asked, engine):
    asked('{setSecret(name:"t",plaintext:"hunter2-plain"){id}}')
    engine.fails = 3
    box = 'container{from(address:"alpine"){withExec(args:["echo","hunter2-plain"]){sync}}}'
    shown = json.dumps(asked(f"{{{box}}}"))
    assert "EXEC_ERROR" in shown
    assert "hunter2-plain" not in shown
    assert '"***"' in shown
