"""Our own checks: the pipeline (`ci.stages`), the locks, the benchmarks."""

__all__: list[str] = []
