"""`pipelines cache key`: make a key that signs heads, and the half of it that verifies them."""

import argparse
import json
import sys
from base64 import b64encode

__all__ = ["main"]


def main(options: argparse.Namespace) -> int:
    """Print both halves; the private one is kept nowhere."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    halves = {
        "private": b64encode(key.private_bytes_raw()).decode(),
        "public": b64encode(key.public_key().public_bytes_raw()).decode(),
    }
    if options.json:
        sys.stdout.write(json.dumps(halves) + "\n")
        return 0
    for name, text in halves.items():
        sys.stdout.write(f"{name:8}{text}\n")
    sys.stderr.write(
        "the private half goes into a secret of protected branches, named by sign; the public half "
        "into verify of [tool.pipelines.cache]\n"
    )
    return 0
