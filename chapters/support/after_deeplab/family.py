"""The family after DeepLab v3+: one table, from family.toml."""

import tomllib
from pathlib import Path

from support.tables import PaperTable

FILE = Path(__file__).with_name("family.toml")


def family() -> PaperTable:
    """Year, idea, who decides where a unit looks, numbers as reported, and where they stand."""
    return PaperTable(**tomllib.loads(FILE.read_text(encoding="utf-8")))
