"""A folder for the chapter's files, in which the commands of its cells are run."""

import atexit
import shlex
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from dlseg.__main__ import main


class Desk:
    """A folder that is gone when the notebook's kernel ends. `desk / name`: a path in it."""

    def __init__(self) -> None:
        folder = TemporaryDirectory(prefix="dlseg-")
        atexit.register(folder.cleanup)
        self.folder = Path(folder.name)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, line: str, lines: int | None = None) -> None:
        """Run a command as a terminal in this folder would: `dlseg` and its arguments.

        lines: of what it says that are printed; None: all.
        """
        _, *arguments = shlex.split(line)
        said = StringIO()
        with chdir(self.folder), redirect_stdout(said):
            main(arguments)
        print(*said.getvalue().splitlines()[:lines], sep="\n")
