"""What all fields of a session share: the engine, the schema, the objects behind ids."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from itertools import count

from pipelines.engine.api.engine import Engine
from pipelines.engine.api.ids import Objects
from pipelines.engine.api.schema import Schema

__all__ = ["Session"]


class Session:
    """One client session; `nested` if its client is a command of another."""

    def __init__(self, engine: Engine, *, nested: bool = False) -> None:
        self.nested = nested
        self.engine = engine
        self.schema = Schema()
        self.objects = Objects()
        self._printed: dict[str, bytes] = {}
        self._printing = threading.Lock()
        self._salt = secrets.token_bytes(32)
        self._counter = count()
        self.client = secrets.token_hex(8)

    def mark(self, secret: bytes) -> str:
        """Tell secrets of one name apart without saying anything about them outside.

        From now on the value is hidden wherever the session says something.
        """
        self.engine.hidden.add(secret)
        return hmac.new(self._salt, secret, hashlib.sha256).hexdigest()

    def once(self, command: str, run: Callable[[], bytes]) -> bytes:
        """Give what a command printed; it is run, one at a time, when first asked for."""
        with self._printing:
            if command not in self._printed:
                self._printed[command] = run()
            return self._printed[command]

    def nonce(self) -> str:
        """Give a text that no other call of any session gives."""
        return f"{self._salt[:8].hex()}-{next(self._counter)}"
