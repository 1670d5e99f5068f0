"""Networks in the forms that exporters write (network_zoo.py): the executor
answers as ONNX Runtime does, quantised models stay quantised, and what Lathe
exported can be searched again."""
import unittest

import numpy as np
from onnx import TensorProto

import lathe_system as lathe
import network_zoo
import onnx_runtime

# Where sums end next to the middle of two levels, one runtime may round up and
# another down; behind such a step numbers differ by a level, of some 255.
LEVEL = 2 / 127
ROUNDING = 1e-4
TOKENS = 20  # Ids are below the vocabulary of every network.


def random_inputs(model, batch, seed=7):
    """Arrays by name for a model's inputs, initialisers left out."""
    random = np.random.RandomState(seed)
    constants = {tensor.name for tensor in model.graph.initializer}
    arrays = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = [d.dim_value or batch for d in kind.shape.dim]
        if kind.elem_type == TensorProto.INT64:
            most = TOKENS if value.name == "input_ids" else 2
            arrays[value.name] = random.randint(0, most, shape)
        else:
            arrays[value.name] = random.randn(*shape).astype(np.float32)
    return arrays


def run_lathe(model, arrays, folder):
    """The outputs of `lathe-worker run`, by name."""
    arguments = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        arguments += ["--input", f"{name}={folder / f'{name}.npy'}"]
    done = lathe.run("lathe-worker", "run", model, *arguments, "--output", folder / "out")
    assert done.returncode == 0, done.stderr
    return {path.stem: np.load(path) for path in (folder / "out").glob("*.npy")}


class ZooTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = lathe.scratch_folder()
        cls.folder = cls.scratch.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.scratch.__exit__(None, None, None)

    def write(self, name):
        model = network_zoo.ZOO[name]()
        path = self.folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        return model, path

    def write_data(self, model, name):
        path = self.folder / f"{name}.npz"
        arrays = random_inputs(model, 60)
        np.savez(path, **({"x": next(iter(arrays.values()))} if len(arrays) == 1 else arrays))
        return path

    def integer_layers(self, path):
        """How many layers run in an integer kernel."""
        bench = lathe.run_json("lathe-worker", "bench", path, "--precision", "as-is",
                               "--repeat", 2)
        return sum(node["kind"] in ("conv", "gemm") and node["is_integer"]
                   for node in bench["nodes"])

    @unittest.skipIf(onnx_runtime.IS_MISSING, onnx_runtime.WHY_SKIPPED)
    def test_outputs_are_those_of_onnx_runtime(self):
        runtime = onnx_runtime.OnnxRuntime(self.folder / "npm")
        self.addCleanup(runtime.close)
        for name in network_zoo.ZOO:
            with self.subTest(network=name):
                model, path = self.write(name)
                arrays = random_inputs(model, 3)
                folder = self.folder / name
                folder.mkdir()
                actual = run_lathe(path, arrays, folder)
                tolerance = LEVEL if name in network_zoo.QUANTISED else ROUNDING
                for output, expected in runtime.answer(path, arrays).items():
                    self.assertEqual(actual[output].shape, expected.shape)
                    scale = np.abs(expected).max() + 1e-9
                    difference = np.abs(actual[output].astype(float) - expected).max()
                    self.assertLessEqual(difference / scale, tolerance, output)

    def test_layers_that_come_quantised_run_in_integers(self):
        for name, layers in [("qdq_residual", 6), ("qdq_signed", 2), ("qdq_unsigned_weights", 2),
                             ("integer_operators", 2)]:
            with self.subTest(network=name):
                _, path = self.write(name)
                self.assertEqual(self.integer_layers(path), layers)

    def test_packed_exports_are_smaller_and_answer_alike(self):
        """Of every sixth network, as packing does not look at operators; one of them has
        no layer to compress."""
        for name in set(list(network_zoo.ZOO)[::6]) - {"dynamic_quantised"}:
            with self.subTest(network=name):
                model, path = self.write(name)
                data = self.write_data(model, name)
                arrays = random_inputs(model, 2)
                outputs = []
                for form in ("qdq", "lathe"):
                    file = self.folder / f"{name}.{form}"
                    point = lathe.run_json(
                        "lathe-worker", "trial", path, "--data", data, "--repairs", "none",
                        "--search", 10, "--report", 10, "--plan", "uniform:int8:6:1",
                        "--export", file, "--format", form)
                    folder = self.folder / f"{name}_{form}"
                    folder.mkdir()
                    outputs.append(run_lathe(file, arrays, folder))
                    field = "size_bytes" if form == "qdq" else "entropy_bytes"
                    self.assertEqual(file.stat().st_size, point[field])
                self.assertLess(point["entropy_bytes"], point["size_bytes"])
                self.assertEqual(outputs[0].keys(), outputs[1].keys())
                for output, array in outputs[0].items():
                    np.testing.assert_array_equal(array, outputs[1][output])

    def test_an_export_comes_back_as_it_was(self):
        for name in ["resnext", "mobilenet_v3", "gpt", "yolo"]:
            with self.subTest(network=name):
                model, path = self.write(name)
                data = self.write_data(model, name)
                first, second = self.folder / "first.onnx", self.folder / "second.onnx"
                points = [lathe.run_json(
                    "lathe-worker", "trial", source, "--data", data, "--plan",
                    "uniform:int8:8:1", "--export", export)
                    for source, export in [(path, first), (first, second)]]
                self.assertEqual(first.read_bytes(), second.read_bytes())
                self.assertEqual(*[[layer["name"] for layer in point["plan"]["layers"]]
                                   for point in points])
                self.assertGreater(self.integer_layers(first), 0)


if __name__ == "__main__":
    unittest.main()
