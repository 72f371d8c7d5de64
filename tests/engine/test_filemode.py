import os
import stat
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.filemode import parse


@pytest.mark.parametrize(
    ("text", "mode", "is_dir", "after"),
    [
        ("755", 0o600, False, 0o755), ("04755", 0o600, False, 0o4755),
        ("u=rwX,go=rX", 0o600, False, 0o644), ("u=rwX,go=rX", 0o700, False, 0o755),
        ("u=rwX,go=rX", 0o600, True, 0o755), ("a+x", 0o644, False, 0o755),
        ("+x", 0o644, False, 0o755), ("go-rwx", 0o777, False, 0o700), ("g=u", 0o740, False, 0o770),
        ("u+s,+t", 0o755, False, 0o5755), ("a=", 0o777, False, 0),
        ("u=rw,g=r,o-r", 0o777, False, 0o643),
    ],
)  # fmt: skip
def test_a_mode_changes_as_chmod_does(text, mode, is_dir, after):
    assert oct(parse(text)[0](mode, is_dir)) == oct(after)


@pytest.mark.parametrize("text", ["", "8", "77777", "x", "u=q", "u", "u=r;g=r", "-R", "u=gr"])
def test_what_is_no_mode_is_refused(text):
    with pytest.raises(ValueError, match="is no mode"):
        parse(text)


WHO = st.text("ugoa", max_size=3)
ACTIONS = st.tuples(
    st.sampled_from("+-="), st.one_of(st.text("rwxXst", max_size=4), st.sampled_from("ugo"))
).map("".join)
CLAUSES = st.tuples(WHO, st.lists(ACTIONS, min_size=1, max_size=2).map("".join)).map("".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(CLAUSES, min_size=1, max_size=3).map(",".join), st.integers(0, 0o777))
def test_it_is_what_chmod_says(tmp_path_factory, text, mode):
    path = tmp_path_factory.mktemp("mode") / "f"
    path.write_text("")
    path.chmod(mode)
    subprocess.run(["chmod", "--", text, path], check=True, preexec_fn=lambda: os.umask(0))
    assert oct(parse(text)[0](mode, False)) == oct(stat.S_IMODE(path.stat().st_mode))
