"""The files of results: read, and written whole or not at all."""

import json
from pathlib import Path
from uuid import uuid4

from dlseg.book import find_root

FOLDER = find_root(Path(__file__).parent) / "assets/results/experiments"


def write_json(path: Path, content: dict) -> None:
    """Write `content` aside, then rename it to `path`. Each entry of "runs" takes one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [json.dumps(run, allow_nan=False) for run in content.get("runs", [])]
    text = json.dumps({**content, "runs": []} if runs else content, indent=1, allow_nan=False)
    if runs:
        text = text.replace('"runs": []', '"runs": [\n  ' + ",\n  ".join(runs) + "\n ]")
    aside = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        aside.write_text(text + "\n", encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_json(path: Path) -> dict:
    """The content of `path`; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
