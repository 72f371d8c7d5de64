"""`pipelines cache key`: two halves of one key, which settings and signers take."""

import json
from base64 import b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipelines.caches.settings import read
from pipelines.cli.cache import main


def test_a_key_has_two_halves_that_fit(capsys):
    assert main(["key", "--json"]) == 0
    halves = json.loads(capsys.readouterr().out)
    private = Ed25519PrivateKey.from_private_bytes(b64decode(halves["private"]))
    assert private.public_key().public_bytes_raw() == b64decode(halves["public"])
    table = {"url": "/x", "verify": [halves["public"]]}
    assert read(table, {}, directory=Path("/")).verify == (halves["public"],)


def test_two_keys_differ(capsys):
    main(["key"])
    one = capsys.readouterr()
    main(["key"])
    assert one.out != capsys.readouterr().out
    assert one.out.split()[1] not in one.err
