"""The composition root: where the parts of the engine meet, and nowhere else.

assembly    the parts of one session
ground      what roots stand on
link        networks and services
world       git and web servers
"""

__all__: list[str] = []
