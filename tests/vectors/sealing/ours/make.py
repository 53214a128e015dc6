"""Writes opens.json and refused.json: one sealed object, and the ways to spoil it (see ../README.md).

Run: python -m tests.vectors.sealing.ours.make
"""

import json
from pathlib import Path

from tests.vectors.sealing.ours.objects import GENERATION, GOOD, OBJECT, PLAIN, UNIT, b64, unit_secret
from tests.vectors.sealing.ours.spoilt import cases


def written(body: bytes, metadata: dict[str, str]) -> dict[str, object]:
    return {"body": b64(body), "metadata": metadata}


if __name__ == "__main__":
    here = Path(__file__).parent
    keyring = {"unit": list(UNIT), "object": OBJECT, "key": unit_secret(UNIT).hex(), "generation": GENERATION}
    opens = {**keyring, "plain": b64(PLAIN), **written(GOOD.body, GOOD.metadata)}
    refused = [
        {"name": c.name, "refusal": c.refusal, "asked": c.asked, **written(c.body, c.metadata)} for c in cases
    ]
    for name, content in (("opens", opens), ("refused", refused)):
        target = here / f"{name}.json"
        target.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")
    print(f"{len(cases)} refused")
