"""What an engine answers to a travelling cache, in words."""

import pytest
from gql.transport.exceptions import TransportQueryError

from pipelines._travel.asking import said

FAILED = {"_type": "EXEC_ERROR", "cmd": ["sh"], "exitCode": 1, "stderr": "no sh"}


WORDS = (
    "the command that lists or copies it failed: no sh; the image that mounts the volume needs sh, "
    "find, stat, cp and xargs"
)


def refused(**error):
    return TransportQueryError("x", errors=[error] if error else [])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("down"), "down"),
        (TimeoutError(), "TimeoutError"),
        (refused(), "x"),
        (refused(message="gone [traceparent:1]"), "gone"),
        (refused(message="exit code: 1", extensions=FAILED), WORDS),
    ],
)
def test_an_answer_is_told_in_words(error, words):
    assert said(error) == words
