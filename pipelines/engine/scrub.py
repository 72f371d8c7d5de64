"""Secrets taken out of bytes: every spelling, however the bytes are cut, quickly.

Spellings of a value
    itself, without blanks around it, and each of its lines; base64 (standard and URL
    alphabet, at each of the three alignments, and broken into lines as `base64` and PEM do);
    URL-encoded (blank as %20 or +, hex digits in either case); as the inside of a JSON string
    (with and without escapes of what is not ASCII, as Go escapes `<>&`). Values and lines
    shorter than four bytes are not looked for: they would blank the output and hide nothing.

Theory of operation
    Hundreds of spellings are looked for at once. Of each, four bytes are its *anchor*; anchors
    are chosen to begin with one of few bytes that are rare in text, so that one regular
    expression, whose engine skips to such a byte, finds every anchor in one pass. Where an
    anchor stands, the spellings that have it are compared. What overlaps is hidden as one.

    A spelling may be cut between two chunks: what may yet become one is held back. Bytes that
    are known to be secret while what follows them is still open are remembered by their
    number, so that no more than the longest spelling is ever held.
"""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, BinaryIO
from urllib.parse import quote_from_bytes

__all__ = ["MASK", "SHORTEST", "Hidden", "Scrubber", "patterns"]

SHORTEST = 4
MASK = b"***"

_ANCHOR = 4
_BLOCK = 1 << 20
_FEWEST = 8  # digits of base64; shorter runs are everywhere
_LINES = (64, 76)  # PEM; MIME and the base64 program
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_TO_URL = bytes.maketrans(b"+/", b"-_")
# How common bytes are in what programs print; the rest counts as rare.
_COMMON = {
    **dict.fromkeys(b" etaoinsrlhdcu\n", 40),
    **dict.fromkeys(b"mpgfwybv/.-_:=", 20),
    **dict.fromkeys(b"kxjqz0123456789,\"'()[]{}", 10),
    **dict.fromkeys(b"ETAOINSRLHDCUMPGFWYBV", 4),
}

Span = tuple[int, int]


def patterns(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    """List every spelling of the secrets that must not be seen, longest first."""
    found: set[bytes] = set()
    for value in secrets:
        whole = {value, value.strip()}
        for text in {*whole, *(line.strip() for line in value.splitlines())}:
            if len(text) >= SHORTEST:
                found |= {text, *_quoted(text)}
        for text in whole:
            if len(text) >= SHORTEST:
                found |= _base64(text)
    return tuple(sorted((f for f in found if len(f) >= SHORTEST), key=lambda f: (-len(f), f)))


def _quoted(text: bytes) -> set[bytes]:
    """Spell a value inside of addresses and of JSON."""
    found: set[bytes] = set()
    for safe in ("", "/"):
        encoded = quote_from_bytes(text, safe=safe)
        lower = re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
        for one in (encoded, lower):
            found |= {one.encode(), one.replace("%20", "+").encode()}
    try:
        plain = text.decode()
    except UnicodeDecodeError:
        return found
    for ascii_ in (True, False):
        inside = json.dumps(plain, ensure_ascii=ascii_)[1:-1]
        found |= {inside.encode(), inside.translate(_HTML).encode()}
        found.add(inside.replace("/", "\\/").encode())
    return found


def _base64(text: bytes) -> set[bytes]:
    """Spell a value in base64: at each alignment, without the digits shared with neighbours."""
    whole = base64.b64encode(text)
    spelled = {whole.rstrip(b"=")}
    for pad in range(3):
        body = base64.b64encode(b"\0" * pad + text)
        lead = (pad * 8 + 5) // 6
        keep = (pad + len(text)) * 8 // 6
        if keep - lead >= _FEWEST:
            spelled.add(body[lead:keep])
    for width in _LINES:
        lines = [whole[at : at + width].rstrip(b"=") for at in range(0, len(whole), width)]
        spelled |= {line for line in lines if len(line) >= _FEWEST}
    return spelled | {one.translate(_TO_URL) for one in spelled}


class _Finder:
    """Finds every spelling of a list in bytes."""

    def __init__(self, hidden: Sequence[bytes]) -> None:
        self._longest = max(map(len, hidden))
        self._begin: dict[bytes, list[bytes]] = defaultdict(list)
        for one in hidden:
            for size in range(1, _ANCHOR + 1):
                self._begin[one[:size]].append(one)
        self._at: dict[bytes, list[tuple[bytes, int]]] = defaultdict(list)
        first = _rare(hidden)
        for one in hidden:
            offset = _anchor(one, first)
            self._at[one[offset : offset + _ANCHOR]].append((one, offset))
        by_first: dict[bytes, list[bytes]] = defaultdict(list)
        for anchor in self._at:
            by_first[anchor[:1]].append(anchor[1:])
        branches = (
            re.escape(head) + b"(?:" + b"|".join(map(re.escape, tails)) + b")"
            for head, tails in by_first.items()
        )
        self._search = re.compile(b"|".join(branches), re.DOTALL).search

    def spans(self, text: bytes) -> list[Span]:
        """List where spellings are, sorted; they may overlap."""
        found: list[Span] = []
        match = self._search(text)
        while match is not None:
            at = match.start()
            for one, offset in self._at[match[0]]:
                if at >= offset and text.startswith(one, at - offset):
                    found.append((at - offset, at - offset + len(one)))
            match = self._search(text, at + 1)
        return sorted(found)

    def undecided(self, text: bytes) -> int:
        """Give where what may yet become a spelling begins; the end if nothing may."""
        end = len(text)
        begin = self._begin
        for at in range(max(0, end - self._longest + 1), end):
            candidates = begin.get(text[at : at + _ANCHOR])
            if candidates is not None:
                tail = text[at:]
                if any(len(one) > len(tail) and one.startswith(tail) for one in candidates):
                    return at
        return end


@lru_cache(maxsize=16)
def _finder(hidden: tuple[bytes, ...]) -> _Finder:
    """Make a finder, or take the one of another stream: making one takes a millisecond."""
    return _Finder(hidden)


def _rare(hidden: Sequence[bytes]) -> frozenset[int]:
    """Choose few, rare bytes so that every spelling has an anchor that begins with one."""
    left = [set(one[: len(one) - _ANCHOR + 1]) for one in hidden]
    chosen: set[int] = set()
    while left:
        worth: dict[int, int] = defaultdict(int)
        for candidates in left:
            for byte in candidates:
                worth[byte] += 1
        best = max(worth, key=lambda byte: (worth[byte] / _COMMON.get(byte, 1), byte))
        chosen.add(best)
        left = [candidates for candidates in left if best not in candidates]
    return frozenset(chosen)


def _anchor(one: bytes, first: frozenset[int]) -> int:
    return next(at for at in range(len(one) - _ANCHOR + 1) if one[at] in first)


class Scrubber:
    """Replaces secrets in a stream of chunks by `***`."""

    def __init__(self, hidden: tuple[bytes, ...]) -> None:
        self._finder = _finder(hidden) if hidden else None
        self._held = b""
        self._forced = 0

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk, give what can be shown by now."""
        if self._finder is None:
            return chunk
        text = self._held + chunk
        return self._give(text, self._finder.undecided(text))

    def close(self) -> bytes:
        """Give what was held back."""
        return self._give(self._held, len(self._held))

    def _give(self, text: bytes, until: int) -> bytes:
        """Give `text` up to a place, secrets hidden, and hold the rest."""
        spans = self._finder.spans(text) if self._finder is not None else []
        shown: list[bytes] = []
        at = self._forced
        for start, end in spans:
            if start >= until:
                break
            if start >= at:
                shown += (text[at:start], MASK)
            at = max(at, end)
        self._forced = max(0, at - until)
        shown.append(text[at:until])
        self._held = text[until:]
        return b"".join(shown)


def _holds(finder: _Finder, longest: int, file: BinaryIO) -> bool:
    tail = b""
    while block := file.read(_BLOCK):
        text = tail + block
        if finder.spans(text):
            return True
        tail = text[-longest:]
    return False


class Hidden:
    """The secrets that a session has met, to be kept out of messages and names."""

    def __init__(self) -> None:
        self._values: set[bytes] = set()
        self._patterns: tuple[bytes, ...] | None = ()

    def add(self, value: bytes) -> None:
        """Hide a value from now on."""
        if value not in self._values:
            self._values.add(value)
            self._patterns = None

    def finder(self) -> Callable[[BinaryIO], bool] | None:
        """Give what tells whether a file has a secret in it; None if there are none to find."""
        hidden = self._spellings()
        return partial(_holds, _finder(hidden), max(map(len, hidden))) if hidden else None

    def _spellings(self) -> tuple[bytes, ...]:
        if self._patterns is None:
            self._patterns = patterns(self._values)
        return self._patterns

    def text(self, text: str) -> str:
        """Give a text without secrets."""
        if not self._values:
            return text
        scrubber = Scrubber(self._spellings())
        data = text.encode("utf-8", "surrogatepass")
        return (scrubber.feed(data) + scrubber.close()).decode("utf-8", "surrogatepass")

    def within(self, value: Any) -> Any:
        """Give a JSON value whose texts are without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.within(one) for one in value]
        if isinstance(value, dict):
            return {name: self.within(one) for name, one in value.items()}
        return value
