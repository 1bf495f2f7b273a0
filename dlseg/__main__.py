"""The console command `dlseg`, also `python -m dlseg`: the library's commands and the book's."""

import sys
from collections.abc import Sequence

from dlseg.book import cli
from dlseg.commands import main as library


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 well, 1 found fault, 2 could not be done."""
    return library.main(words, (cli,))


if __name__ == "__main__":
    sys.exit(main())
