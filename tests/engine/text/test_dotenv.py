import pytest

from pipelines.engine.errors import QueryError
from pipelines.engine.text.dotenv import evaluate, namespaced, parse, write

HOST = {"HOME": "/home/me"}


def values(text, context=()):
    own = parse(text)
    return evaluate([name for name, _ in own], own, context, HOST.get)


READ = {
    "A=1": {"A": "1"},
    "A=": {"A": ""},
    "\n  \n# note\nA=1\n": {"A": "1"},
    "export A=1\nexport\tB=2": {"A": "1", "B": "2"},
    "exported=1": {"exported": "1"},
    "A=a   b c": {"A": "a   b c"},
    "A=x # kept": {"A": "x # kept"},
    'A="x" # cut': {"A": "x"},
    'A="a  b"   c': {"A": "a  b c"},
    r"A=a\ b": {"A": "a b"},
    r'A="\"\$\\n"': {"A": '"$\\n'},
    "A='$B'": {"A": "$B"},
    "A=!@#$%^&*()": {"A": "!@#$%^&*()"},
    'A=["x", 1]': {"A": "[x, 1]"},
    "A=\"['x']\"": {"A": "['x']"},
    "A=$B-c\nB=b": {"A": "b-c", "B": "b"},
    'B="p  q"\nA=$B': {"A": "p q", "B": "p  q"},
    'B="p  q"\nA="$B"': {"A": "p  q", "B": "p  q"},
    "A=${B}x\nB=b": {"A": "bx", "B": "b"},
    "A=${NO:-d}${NO-e}${NO:+f}": {"A": "de"},
    "B=\nA=${B:-d}${B-e}${B:+f}${B+g}": {"A": "dg", "B": ""},
    "A=${NO:-${HOME}/x}": {"A": "/home/me/x"},
    "A=$HOME": {"A": "/home/me"},
    "A=1\nA=2": {"A": "2"},
}


@pytest.mark.parametrize("text", READ)
def test_a_file_is_read_as_dagger_reads_it(text):
    assert values(text) == READ[text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=$NO", "NO is not set"),
        ("A=$A", "circular reference: A -> A"),
        ("A=$B\nB=${C}\nC=$A", "circular reference: A -> B -> C -> A"),
        ("A=${NO:?must be}", "NO: must be"),
        ("A=$(date)", "a command"),
        ("A=`date`", "a command"),
        ('A="x', "is not closed"),
        ("A='x", "is not closed"),
        ("A=${x", "is not closed"),
        ('A="x";y', "';' has a meaning to shells"),
        ("A=${B%x}\nB=1", "only the operators"),
    ],
)
def test_what_can_not_be_said_is_an_error_that_names_the_line(text, message):
    with pytest.raises(QueryError, match=message.replace("(", r"\(").replace("?", r"\?")):
        values(text)


def test_the_context_is_referred_to_and_not_shown():
    assert values("A=$ROOT/a", (("ROOT", "/r"), ("BAD", "$NO"))) == {"A": "/r/a"}


@pytest.mark.parametrize("prefix", ["myApp", "my_app", "MY_APP_", "my_app_"])
def test_a_prefix_is_found_however_it_is_spelled(prefix):
    pairs = (("MY_APP_TOKEN", "t"), ("myApp_name", "n"), ("FOO", "f"), ("MY_APP_", "x"))
    own, rest = namespaced(pairs, prefix)
    assert own == (("TOKEN", "t"), ("name", "n"))
    assert rest == (("FOO", "f"), ("MY_APP_", "x"))


def test_lines_are_written_back_as_they_were():
    text = "A='x'  y\nB=$A\n"
    assert write(parse(text)) == text
