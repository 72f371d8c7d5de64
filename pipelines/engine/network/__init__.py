"""Private networks: a mechanism that knows namespaces, addresses and sockets, and no ops."""
