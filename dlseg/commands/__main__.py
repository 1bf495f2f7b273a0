"""`python -m dlseg.commands`: the library's commands alone."""

import sys

from dlseg.commands.main import main

sys.exit(main())
