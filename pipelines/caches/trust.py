"""Whom to believe: scopes, and the signatures of heads.

A head in bytes, at most `HEAD_LIMIT` of them:

    pipelines head 1
    {"expires":…,"generation":"…","key":"…","made":…,"number":…,"scope":"…"}
    ed25519 <name of the key> <signature in base64>

The signature covers everything before its line, the first line with it, so that nothing else
that the key ever signs can be taken for a head. It names scope and key: a head that is moved to
another name does not verify there. It names its generation by digest, and by that every byte
below it. Where a public key is configured, a head without a signature is refused, in every scope.

Clocks of runners differ. What has expired is refused only after `SKEW` more; what was made in
the future is not refused, for it is our clock as well that may be wrong, and an expiry holds
without that.

Keys are 32 bytes in base64; a key's name is a digest of its public half.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.caches.errors import CacheError, Damaged, TooNew, Untrusted
from pipelines.caches.transport import HEAD_LIMIT

__all__ = ["SKEW", "Claim", "Signer", "Verifier", "check_rules", "check_scope", "read", "seal"]

SKEW = 6 * 3600.0
LONGEST_LIFE = 90 * 86400.0
TRUSTED = "trusted"
_MAGIC = b"pipelines head "
_VERSION = 1
_SCOPE = re.compile(r"trusted|local|pr/[1-9][0-9]{0,17}|branch/.{1,1000}", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LARGEST = 10**15  # of numbers: a float, which JSON may become elsewhere, holds it exactly
_KEY_SIZE = 32


@dataclass(frozen=True, slots=True)
class Claim:
    """What a head says; times are in seconds since the epoch."""

    scope: str
    key: str
    generation: str
    number: int
    made: float
    expires: float


class Verifier:
    """Public keys, any of which may have signed a head."""

    def __init__(self, *keys: str) -> None:
        """Take keys in base64.

        Raises:
            ValueError: one is no key.
        """
        if not keys:
            raise ValueError("a verifier needs at least one public key")
        raws = [_decoded(key, "public") for key in keys]
        self._keys = {_name(raw): raw for raw in raws}

    def accepts(self, name: str, signature: bytes, content: bytes) -> bool:
        """Tell whether a key that is known by this name has signed the content."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if (raw := self._keys.get(name)) is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A private key; its text is never shown."""

    def __init__(self, key: str) -> None:
        """Take a key in base64.

        Raises:
            ValueError: it is no key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(_decoded(key, "private"))
        raw = self._key.public_key().public_bytes_raw()
        self.public = b64encode(raw).decode()
        self.name = _name(raw)

    @classmethod
    def make(cls) -> tuple["Signer", str]:
        """Make a key; give it with its text."""
        from secrets import token_bytes

        text = b64encode(token_bytes(_KEY_SIZE)).decode()
        return cls(text), text

    def sign(self, content: bytes) -> bytes:
        """Sign."""
        return self._key.sign(content)


def check_scope(scope: str) -> str:
    """Give the scope back if it is one.

    Raises:
        Untrusted: it is none.
    """
    if _SCOPE.fullmatch(scope) is None:
        raise Untrusted(
            f"{scope[:200]!r} is no scope; trusted, branch/<name>, pr/<number> and local are"
        )
    return scope


def check_rules(reads: Sequence[str], writes: str | None) -> None:
    """Refuse a run that could carry what it must not believe to where it is believed.

    Raises:
        Untrusted: a trusted run reads another scope than `trusted`, or a run reads a scope that
            is neither `trusted` nor its own.
    """
    for scope in (*reads, *([writes] if writes else ())):
        check_scope(scope)
    others = {scope for scope in reads if scope != TRUSTED}
    if writes == TRUSTED and others:
        raise Untrusted(
            f"a run that writes trusted caches may read no others; not {', '.join(sorted(others))}"
        )
    own = {writes} if writes else set(sorted(others)[:1])
    if others - own:
        raise Untrusted(
            f"a run that writes {writes or 'nothing'} may read its own scope and trusted; "
            f"not {', '.join(sorted(others - own))}"
        )


def seal(claim: Claim, signer: Signer | None) -> bytes:
    """Write a head, signed if there is a key."""
    document = {
        "expires": claim.expires,
        "generation": claim.generation,
        "key": claim.key,
        "made": claim.made,
        "number": claim.number,
        "scope": claim.scope,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    signed = _MAGIC + b"%d\n%s\n" % (_VERSION, text)
    if signer is None:
        return signed
    signature = b64encode(signer.sign(signed))
    return signed + b"ed25519 %s %s\n" % (signer.name.encode(), signature)


def read(content: bytes, scope: str, key: str, verifier: Verifier | None, now: float) -> Claim:
    """Read a head that stands under a scope and a key.

    Raises:
        Damaged: it makes no sense. TooNew: a newer version wrote it.
        Untrusted: it is not signed as it must be, is another's, or has expired.
    """
    lines = content.split(b"\n")
    if not content.startswith(_MAGIC) or len(content) > HEAD_LIMIT or len(lines) < 3:  # noqa: PLR2004
        raise Damaged(f"{len(content)} bytes that begin with {content[:20]!r} are no head")
    _check_version(lines[0].removeprefix(_MAGIC))
    signed = b"\n".join(lines[:2]) + b"\n"
    if verifier is not None:
        _check_signature(lines[2:], signed, verifier)
    claim = parse(lines[1])
    if (claim.scope, claim.key) != (scope, key):
        raise Untrusted(f"it is the head of {claim.key!r} in {claim.scope!r}, moved here")
    if claim.expires - claim.made > LONGEST_LIFE:
        raise Untrusted("it claims to be good for longer than a head may be")
    if now > claim.expires + SKEW:
        raise Untrusted(f"it expired {(now - claim.expires) / 86400:.1f} days ago")
    return claim


def parse(line: bytes) -> Claim:
    """Read the document of a head, believing nothing.

    Raises:
        Damaged: it makes no sense.
    """
    try:
        row: dict[str, Any] = json.loads(line)
        claim = Claim(
            str(row["scope"]),
            str(row["key"]),
            str(row["generation"]),
            row["number"],
            float(row["made"]),
            float(row["expires"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as exc:
        raise Damaged(f"the document of a head: {exc!r}") from exc
    number = claim.number
    if type(number) is not int or not 0 < number < _LARGEST or not claim.made < claim.expires:
        raise Damaged("the document of a head has numbers that make no sense")
    if _DIGEST.fullmatch(claim.generation) is None:
        raise Damaged(f"{claim.generation[:80]!r} is no digest of a generation")
    return claim


def claim_of(content: bytes) -> Claim | None:
    """Read what a head claims, believing nothing; None if it makes no sense."""
    try:
        return parse(content.split(b"\n")[1]) if content.startswith(_MAGIC) else None
    except (CacheError, IndexError):
        return None


def _check_version(text: bytes) -> None:
    if not text.isdigit() or len(text) > 9:  # noqa: PLR2004
        raise Damaged(f"a head of version {text[:20]!r}")
    if int(text) != _VERSION:
        raise TooNew(f"a head of version {int(text)}; this version reads {_VERSION}")


def _check_signature(lines: Sequence[bytes], signed: bytes, verifier: Verifier) -> None:
    if lines == [b""]:
        raise Untrusted("it is not signed, and a key is configured")
    words = lines[0].split(b" ")
    if len(words) != 3 or words[0] != b"ed25519" or list(lines[1:]) != [b""]:  # noqa: PLR2004
        raise Untrusted("its signature can not be read")
    try:
        name, signature = words[1].decode(), b64decode(words[2], validate=True)
    except ValueError:
        raise Untrusted("its signature can not be read") from None
    if not verifier.accepts(name, signature, signed):
        raise Untrusted(f"no key that is configured has signed it (it names {name[:40]!r})")


def _decoded(text: str, kind: str) -> bytes:
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        raw = b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_SIZE:
        raise ValueError(f"a {kind} key is {_KEY_SIZE} bytes in base64; this is none")
    return raw


def _name(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]
