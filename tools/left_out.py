"""What carries over to a family that training left out: `python -m tools.left_out`.

Five short runs on a part of the training digits, each recorded in models/left_out.json as it is
finished; they are measured on validation digits, spoiled by `tools.trials`.
"""

import json
from dataclasses import asdict, replace

from helpers import corruptions, data, model, model_files
from helpers.files import write_text
from tools import records, train, trials

RECORD = model_files.MODELS / "left_out.json"
IMAGES = 8_000
# A family, and the kinds of `trials` that come closest to it.
MEASURED_ON = {
    "noise": ("grain", "salt and pepper"),
    "crossing": ("line", "scribble"),
    "tone": ("grey 0.5", "fog"),
}
RECIPE = replace(train.RECIPES["robust"], epochs=3, plain_epochs=0)


def main():
    """Train and record what is not recorded yet."""
    (images, labels), _ = records.load_mnist()
    training, validation = data.split_validation(images, labels)
    families = {"everything": tuple(corruptions.FAMILIES), "nothing": ()}
    for family in MEASURED_ON:
        left = tuple(name for name in corruptions.FAMILIES if name != family)
        families[f"without {family}"] = left
    for name, kept in families.items():
        if name not in read_record()["read"]:
            recipe = replace(RECIPE, families=kept)
            network, _ = train.train(recipe, *(part[:IMAGES] for part in training), seed=0)
            add_to_record(name, network, *validation)


def read_record():
    """Return what is recorded already, or what to begin with."""
    if RECORD.is_file():
        return json.loads(RECORD.read_text(encoding="utf-8"))
    return {
        "command": "python -m tools.left_out",
        "recipe": asdict(RECIPE),
        "images": IMAGES,
        "n": trials.N,
        "measured on": MEASURED_ON,
        "read": {},
    }


def add_to_record(name, network, images, labels):
    """Read the validation digits of each kind with a network, and record the shares."""
    kinds = ["as it is", *(kind for kinds in MEASURED_ON.values() for kind in kinds)]
    record = read_record()
    record["read"][name] = trials.measure(model.plain_copy(network), images, labels, kinds)
    write_text(RECORD, json.dumps(record, indent=1) + "\n")
    records.record_digests(RECORD)
    print(f"{name}: {record['read'][name]}", flush=True)


if __name__ == "__main__":
    main()
