import pytest

from pipelines.engine.errors import SandboxError
from pipelines.engine.sandbox.users import User, resolve

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
# a comment
broken line
app:x:1000:1001:App:/home/app:/bin/sh
42:x:77:77::/seventyseven:
"""
GROUP = b"""root:x:0:
app:x:1001:
wheel:x:10:root,app
audio:x:29:app
"""


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        ("", User(0, 0, (10,), "/root")),
        ("root", User(0, 0, (10,), "/root")),
        ("0", User(0, 0, (10,), "/root")),
        ("app", User(1000, 1001, (10, 29), "/home/app")),
        ("1000", User(1000, 1001, (10, 29), "/home/app")),
        ("app:audio", User(1000, 29, (), "/home/app")),
        ("app:5", User(1000, 5, (), "/home/app")),
        ("4711", User(4711, 0, (), "/")),
        ("4711:wheel", User(4711, 10, (), "/")),
        ("42", User(77, 77, (), "/seventyseven")),
        (":5", User(0, 5, (), "/root")),
    ],
)
def test_every_form_of_a_user_is_understood(user, wanted):
    assert resolve(user, PASSWD, GROUP) == wanted


@pytest.mark.parametrize("user", ["nobody", "app:nogroup", "99999999999", "0:99999999999"])
def test_an_unknown_or_impossible_name_is_named(user):
    culprit = user.partition(":")[2] or user
    with pytest.raises(SandboxError, match=culprit):
        resolve(user, PASSWD, GROUP)


def test_an_image_without_the_files_has_root_and_numbers():
    assert resolve("", b"", b"") == User(0, 0, (), "/root")
    assert resolve("12:34", b"", b"") == User(12, 34, (), "/")


def test_bytes_that_are_no_utf8_do_not_matter():
    assert resolve("app", b"\xff:x:1:1::/:\n" + PASSWD, GROUP).uid == 1000
