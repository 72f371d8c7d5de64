"""The store on disk: what outlives a session.

    layout      paths, format version, who may use it
    incoming    new files: nameless until complete
    blobs       bytes by digest
    files       regular files that trees share by hard link
    records     what an operation gave, by key
    locks       one execution per key, across processes
    leases      who is alive; recovery from who is not
    volumes     cache volumes
    policy gc   what to delete: a pure decision
    sweep       deleting it
    boot        what a power cut can take back
    verify      is everything what its name says

Rules
    1. A name appears only when what it names is complete, by one link or one rename.
    2. A row is inserted only after everything that it names is in place.
    3. A row is deleted before anything that it names.
    4. What is missing is a miss. What is wrong is removed, and then it is missing.
    5. Nothing here needs a clean end: SIGKILL at any instruction is the normal way out.
"""

__all__: list[str] = []
