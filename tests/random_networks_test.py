"""Random networks (random_networks.py), as they come and after random plans, whose
exports ONNX Runtime must answer as we do. The seeds are fixed; others by hand:

    tests/random_networks_test.py FIRST LAST
"""
import json
import sys
import unittest

import numpy as np
import onnx

import lathe_system as lathe
import onnx_runtime
from random_networks import random_network
from zoo_test import random_inputs, run_lathe

SEEDS = range(16)
FLOAT = 1e-3
# A level more or less in one layer moves the outputs by some levels at most.
LEVELS = 0.05
FORMS = [(), ("--activations", "asymmetric")]


def random_plan(space, random):
    keep_ratios = {}
    layers = []
    for layer in space["layers"]:
        option = layer["precisions"][random.randint(len(layer["precisions"]))]
        ratios = layer["keep_ratios"]
        keep = keep_ratios.setdefault(layer["group"], ratios[random.randint(len(ratios))])
        layers.append({"name": layer["name"], "precision": option["precision"],
                       "weight_bits": option["weight_bits"], "keep_ratio": keep})
    return {"layers": layers}


def largest_difference(actual, expected):
    """As a share of the largest number."""
    assert actual.keys() == expected.keys()
    return max(np.abs(actual[name].astype(float) - array).max() / (np.abs(array).max() + 1e-9)
               for name, array in expected.items())


class RandomNetworksTest(onnx_runtime.RuntimeTest):
    def compare(self, model, arrays, tolerance):
        expected = self.runtime.answer(model, arrays)
        folder = self.folder / model.stem
        folder.mkdir(exist_ok=True)
        self.assertLessEqual(
            largest_difference(run_lathe(model, arrays, folder), expected), tolerance)

    def check(self, seed):
        random = np.random.RandomState(seed)
        model = random_network(seed)
        path = self.folder / f"random_{seed}.onnx"
        path.write_bytes(model.SerializeToString())
        arrays = random_inputs(model, 4, seed)
        self.compare(path, arrays, FLOAT)

        data, plan = self.folder / "data.npz", self.folder / "plan.json"
        np.savez(data, x=random_inputs(model, 60, seed)["input"],
                 y=random.randint(0, 10, 60))
        space = lathe.run_json("lathe-worker", "space", path)
        for form, flags in enumerate(FORMS):
            plan.write_text(json.dumps(random_plan(space, random)))
            export = self.folder / f"export_{seed}_{form}.onnx"
            lathe.run_json("lathe-worker", "trial", path, "--data", data, "--plan", plan,
                           "--export", export, *flags)
            onnx.checker.check_model(str(export), full_check=True)
            self.compare(export, arrays, LEVELS)

    def test_networks_and_their_exports_are_those_of_onnx_runtime(self):
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.check(seed)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        SEEDS = range(int(sys.argv.pop(1)), int(sys.argv.pop(1)))
    unittest.main()
