"""So that `python -m pytest --nbval chapters` needs no more words, and compares pictures."""

from dlseg.book.guard import (
    pytest_configure,
    pytest_runtest_call,
    pytest_runtest_setup,
    pytest_terminal_summary,
)

__all__ = [
    "pytest_configure",
    "pytest_runtest_call",
    "pytest_runtest_setup",
    "pytest_terminal_summary",
]
