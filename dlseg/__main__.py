"""`python -m dlseg` is the console command `dlseg`."""

import sys

from dlseg.book.cli import main

sys.exit(main())
