"""The files of results: read, and written whole or not at all."""

import json
from pathlib import Path

from dlseg.aside import new_file
from dlseg.book import find_root

FOLDER = find_root(Path(__file__).parent) / "assets/results/experiments"


def write_json(path: Path, content: dict) -> None:
    """Write `content` to `path`, whole or not at all. Each entry of "runs" takes one line."""
    runs = [json.dumps(run, allow_nan=False) for run in content.get("runs", [])]
    text = json.dumps({**content, "runs": []} if runs else content, indent=1, allow_nan=False)
    if runs:
        text = text.replace('"runs": []', '"runs": [\n  ' + ",\n  ".join(runs) + "\n ]")
    with new_file(path) as file:
        file.write(f"{text}\n".encode())


def read_json(path: Path) -> dict:
    """The content of `path`; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
