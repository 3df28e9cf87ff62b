"""Measure what models/CARD.md states: `python -m tools.card`, then `python -m tools.publish`.

Both networks read the first 1,000 test digits, spoiled in the ways of `tools.trials`, whose code
no training used. Results go to models/card.json.
"""

import json

from helpers import model_files, preflight
from helpers.files import write_text
from tools import records, trials

RECORD = model_files.MODELS / "card.json"
# What the kinds of tools/trials.py have in common.
GROUPS = {
    "moved, turned, resized, slanted": (
        "shifted", "turned", "small", "large", "slanted", "swirled",
    ),
    "thicker, thinner, outlines alone": ("bold", "thin", "edges", "gradient"),
    "strokes or spots on top": ("line", "scribble", "spots"),
    "grain and specks": ("grain", "few photons", "salt and pepper"),
    "blurred, coarse, photographed": ("defocus", "moved camera", "coarse pixels", "photograph"),
    "faint, bright, fog, stripes, inverted": ("faint", "bright", "fog", "striped", "inverted"),
    "grey paper": tuple(kind for kind in trials.KINDS if "grey" in kind),
}  # fmt: skip


def summarise(shares):
    """Count what was read of each group.

    Args:
        shares: of `trials.measure`, by kind.

    Returns:
        A dict of group to `n` and `errors`.
    """
    return {
        group: {
            "n": trials.N * len(kinds),
            "errors": round(sum(trials.N * (1 - shares[kind]) for kind in kinds)),
        }
        for group, kinds in GROUPS.items()
    }


def main():
    """Measure both networks and write the record."""
    _, (images, labels) = records.load_mnist()
    record = {"command": "python -m tools.card", "machine": preflight.describe_machine()}
    for path in (model_files.ROBUST, model_files.SHIPPED):
        shares = trials.measure(model_files.load_model(path), images, labels)
        record[path.stem] = {"kinds": shares, "groups": summarise(shares)}
        print(path.stem, record[path.stem]["groups"], flush=True)
    write_text(RECORD, json.dumps(record, indent=1) + "\n")
    records.record_digests(RECORD)


if __name__ == "__main__":
    main()
