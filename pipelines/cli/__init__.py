"""The `pipelines` command: parse, call, print."""
