"""What git says, understood."""

import pytest

from pipelines.engine.sources.gitfaults import diagnose

SAID = {
    "transient": [
        "fatal: unable to access 'http://h/x/': Could not resolve host: h",
        "fatal: unable to access 'http://h/x/': Failed to connect to h port 1 after 0 ms",
        "error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503",
        "fatal: unable to access 'http://h/x/': The requested URL returned error: 429",
        "fetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF",
    ],
    "auth": [
        "fatal: could not read Username for 'http://h': terminal prompts disabled",
        "remote: Invalid\nfatal: Authentication failed for 'https://h/x/'",
        "fatal: unable to access 'http://h/x/': The requested URL returned error: 403",
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n"
            "fatal: the remote end hung up unexpectedly"
        ),
    ],
    "host-key": ["Host key verification failed.\nfatal: Could not read from remote repository."],
    "absent": [
        "fatal: repository 'http://h/x/' not found",
        "fatal: '/no/such' does not appear to be a git repository",
    ],
    "no-object": [
        "fatal: remote error: upload-pack: not our ref " + "a" * 40,
        "error: Server does not allow request for unadvertised object " + "a" * 40,
        "fatal: couldn't find remote ref refs/heads/x",
        "fatal: dumb http transport does not support shallow capabilities",
    ],
    "blocked": ["fatal: transport 'file' not allowed"],
    "tls": ["fatal: unable to access 'https://h/': server certificate verification failed."],
    "broken": ["error: object file objects/aa/bb is empty", "fatal: not a git repository: '/x'"],
    "other": ["fatal: something new", ""],
}


@pytest.mark.parametrize(("kind", "said"), [(k, t) for k, texts in SAID.items() for t in texts])
def test_a_complaint_has_a_kind(kind, said):
    assert diagnose(said).kind == kind


def test_what_was_said_is_kept_in_one_line_without_credentials():
    said = "hint: x\nfatal: unable to access 'https://me:pw@h/': no\n\nfatal: two"
    assert diagnose(said).said == "fatal: unable to access 'https://***@h/': no; fatal: two"
