"""Running a command in a root filesystem: one protocol, one backend so far (bubblewrap)."""
