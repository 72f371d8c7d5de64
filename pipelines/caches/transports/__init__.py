"""Where packs, manifests and heads are kept.

directory    a directory: local, of a CI system's cache, on NFS, on an attached disk
anchored     a directory's files without following links: the system calls of `directory`
    s3           a bucket of S3, or of what speaks like it
    oci          a repository of an OCI registry
    web          requests over HTTP: limits, certificates, errors in words
    patience     what is asked again, and for how long
"""
