"""Pillow warns of odd tags on standard error; what is wrong with a file is said by our errors."""

import warnings
from threading import Lock


class _Quiet:
    """Pillow's warnings about odd tags go unheard while a thread is in here.

    Filters are the whole process's: the first thread sets one, the last takes it back.
    """

    def __init__(self):
        self.lock, self.threads, self.before = Lock(), 0, None

    def __enter__(self):
        with self.lock:
            if not self.threads:
                self.before = warnings.catch_warnings()
                self.before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self.threads += 1

    def __exit__(self, *_):
        with self.lock:
            self.threads -= 1
            if not self.threads:
                self.before.__exit__()


QUIET = _Quiet()
