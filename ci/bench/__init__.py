"""Benchmarks: `python -m ci.bench`. Never run by a test, never a reason to fail a build.

The rules: contestants get the same inputs, flags and Go version; they run in turns, in the same
invocation, on the same machine; medians are reported; a ratio is only printed between two numbers
of this run; outputs are compared byte for byte before a time counts.
"""

__all__: list[str] = []
