"""The version of Dagger's API that the engine speaks."""

__all__ = ["VERSION"]

VERSION = "v0.21.11"
