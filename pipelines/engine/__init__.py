"""The embedded engine: Dagger's session protocol, in one process, without a daemon."""
