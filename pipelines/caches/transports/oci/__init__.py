"""A repository of an OCI registry.

access       address, logins and tokens
client       requests to a repository: authorization, redirects
naming       names -> tags, and which heads of several writers stand
repository   the transport
"""
