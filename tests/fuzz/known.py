"""Faults that fuzzing found and that wait to be mended."""

# Name of a target: what its known faults say, a regular expression.
KNOWN: dict[str, str] = {}
