"""What a linear reader finds in each layer, trained or not: `python -m tools.probes`.

One network that was trained and some that were not, each recorded in models/probes.json as it is
finished. The readers learn from training digits and are asked on all test digits, once.
"""

import json

import keras
import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import data, inside, model, model_files
from helpers.files import write_text
from tools import records

RECORD = model_files.MODELS / "probes.json"
LEARNED = 3_000
SEEDS = range(3)  # of networks that were never trained


def main():
    """Measure and record what is not recorded yet."""
    (images, labels), test = records.load_mnist()
    training, _ = data.split_validation(images, labels)
    chosen = np.random.default_rng(0).permutation(len(training[1]))[:LEARNED]
    lesson = tuple(part[chosen] for part in training)
    networks = {"trained": model_files.load_shipped_model}
    networks |= {f"untrained, seed {seed}": lambda seed=seed: build(seed) for seed in SEEDS}
    for name, make in networks.items():
        if name not in read_record()["read"]:
            add_to_record(name, ask(make(), lesson, test))


def build(seed):
    """Return the network of notebook 02 with the random weights of a seed."""
    keras.utils.set_random_seed(seed)
    return model.build_model()


def ask(network, lesson, exam):
    """Count, for each layer, the digits that a linear reader of what it passes on names rightly.

    Args:
        network: trained or not.
        lesson, exam: `(images, labels)` to learn from, and to be asked on.

    Returns:
        A dict of layer name to an integer.
    """
    learned, asked = (inside.pool(network, images) for images, _ in (lesson, exam))
    right = {}
    for name in learned:
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-3))
        reader.fit(learned[name], lesson[1])
        right[name] = int((reader.predict(asked[name]) == exam[1]).sum())
    return right


def read_record():
    """Return what is recorded already, or what to begin with."""
    if RECORD.is_file():
        return json.loads(RECORD.read_text(encoding="utf-8"))
    return {"command": "python -m tools.probes", "learned": LEARNED, "read": {}}


def add_to_record(name, right):
    """Record what a network's readers name rightly, in per cent, with Wilson's 95 % interval."""
    record, n = read_record(), 10_000
    record["n"], record["read"][name] = n, {}
    for layer, count in right.items():
        low, high = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
        numbers = [round(100 * share, 2) for share in (count / n, low, high)]
        record["read"][name][layer] = dict(zip(("read", "low", "high"), numbers, strict=True))
    write_text(RECORD, json.dumps(record, indent=1) + "\n")
    records.record_digests(RECORD)
    print(name, record["read"][name], flush=True)


if __name__ == "__main__":
    main()
