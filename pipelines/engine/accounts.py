"""What the store says about itself, as values."""

from dataclasses import dataclass

__all__ = ["Held", "Limits", "Wanted"]


@dataclass(frozen=True, slots=True)
class Held:
    """One holding: a volume, a record with what is its alone, or content that no record names.

    `kind` is Dagger's word for it, `size` bytes on disk, `made` and `used` seconds since the
    epoch, `busy` whether it is open now or was used since the session began.
    """

    kind: str
    description: str
    size: int
    made: float
    used: float
    busy: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What the store is kept to, in bytes."""

    maximum: int
    reserved: int
    min_free: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a prune is to reach: sizes such as "20GB" or "10%", "" for what the policy says.

    `everything` begins from nothing being kept instead of from the policy.
    """

    everything: bool = False
    maximum: str = ""
    reserved: str = ""
    min_free: str = ""
    target: str = ""
