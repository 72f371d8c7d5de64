"""Caches that travel, as the engine has them: what is brought from a backend, what is saved, when.

    opening     from settings to a `Travel`, if there are any
    travel      `Travel`: all that assembly, solver and runner ask of it, for one session
    aside       an event loop in a thread of its own
    results     records as they travel
    index       records of other machines: what they answer, and what of it is to be fetched
    times       when files came in first
    fetching    layers and files that such records name, fetched once each, checked, put in place
    volumes     cache volumes, filled when they are made and saved at the end
    saving      what of this session's records travels; secrecy, what must not

It is imported only if a cache is configured. Nothing here raises to whoever builds: what does not
come is a miss, told once.
"""
