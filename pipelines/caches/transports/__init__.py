"""Where packs, manifests and heads are kept.

directory    a directory: local, of a CI system's cache, on NFS, on an attached disk
anchored     a directory's files without following links: the system calls of `directory`
"""
