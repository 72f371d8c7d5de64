"""Root filesystems on disk: one protocol, two ways to do it."""
