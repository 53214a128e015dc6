"""Reads the vectors of this folder."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def vectors(name: str) -> Any:
    return json.loads((HERE / name).read_text())
