"""The console command `dlseg`, also `python -m dlseg`: the book's commands and the library's."""

import sys
from collections.abc import Sequence

from dlseg.book.cli import BOOK
from dlseg.commands.main import LIBRARY
from dlseg.commands.main import main as run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 well, 1 found fault, 2 could not be done."""
    return run(argv, BOOK | LIBRARY)


if __name__ == "__main__":
    sys.exit(main())
