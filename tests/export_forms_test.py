"""Every form that an export can take, in another engine: ONNX's own checker
takes it, ONNX Runtime answers as our engine does (top-1 within 0.3 points on
1,000 samples or more), and it can be submitted again."""
import gzip
import unittest

import numpy as np
import onnx

import lathe_system as lathe
import onnx_runtime

SAMPLES = 1000
MOST_POINTS = 0.3
RESNET20 = ("--scale", str(1 / 255), "--mean", "0.485,0.456,0.406", "--std",
            "0.229,0.224,0.225")
CCT = ("--scale", str(1 / 255), "--mean", "0.4914,0.4822,0.4465", "--std",
       "0.2470,0.2435,0.2616")
QUICK = ("--repairs", "bias")

# Name: plan and flags of a trial. What is tested is the form, so that the
# slower repairs are left to two of them.
RESNET20_FORMS = {
    "static": ("uniform:int8:8:1",),
    "four_bits": ("uniform:int8:4:1",),
    "asymmetric_activations": ("uniform:int8:8:1", "--activations", "asymmetric", *QUICK),
    "per_tensor": ("uniform:int8:8:1", "--weight-scales", "tensor", *QUICK),
    "asymmetric_weights": ("uniform:int8:6:1", "--weight-grids", "asymmetric", *QUICK),
    "weight_only": ("uniform:f32:4:1", "--weight-only-bits", "4"),
    "bf16": ("uniform:bf16:16:1",),
    "sparse": ("uniform:int8:8:1", "--sparsity", "0.3", *QUICK),
    "two_of_four": ("uniform:f32:32:1", "--sparsity", "2:4"),
    "codebook": ("uniform:f32:32:1", "--clusters", "32", *QUICK),
    "low_rank": ("uniform:f32:32:1", "--low-rank", "0.99"),
    "pruned": ("uniform:int8:8:0.75", *QUICK),
}
CCT_FORMS = {
    "smooth": ("uniform:int8:8:1", "--repairs", "smooth", "--activations", "asymmetric"),
    "dynamic": ("uniform:int8-dynamic:8:1", "--dynamic", "linear", "--repairs", "none"),
}
LSTM_FORMS = {
    "dynamic": ("uniform:int8-dynamic:8:1", "--dynamic", "linear"),
    "dynamic_four_bits": ("uniform:int8-dynamic:4:1",),
    "weight_only": ("uniform:f32:8:1", "--weight-only-bits", "8"),
}


def has_bf16():
    space = lathe.run_json("lathe-worker", "space", lathe.SAMPLE_MODEL)
    return any(p["precision"] == "bf16" for p in space["layers"][0]["precisions"])


def preprocess(images, flags):
    """As `--scale --mean --std` do, in float32."""
    options = dict(zip(flags[::2], flags[1::2]))
    mean, std = (np.array([float(x) for x in options[key].split(",")], np.float32)
                 .reshape(1, 3, 1, 1) for key in ("--mean", "--std"))
    return (images.astype(np.float32) * np.float32(options["--scale"]) - mean) / std


@unittest.skipUnless((lathe.DATA / "cifar10").is_dir(),
                     f"{lathe.DATA} is missing: no networks to export")
class ExportFormsTest(onnx_runtime.RuntimeTest):
    def check_form(self, model, form, data, x, y, flags=()):
        """`data` is the file that holds the samples before `flags`, x after."""
        exported = self.folder / f"{model.stem}.onnx"
        point = lathe.run_json(
            "lathe-worker", "trial", model, "--data", data, *flags, "--calibration", 128,
            "--search", 100, "--report", 10, "--plan", *form, "--export", exported)
        self.assertEqual(point["size_bytes"], exported.stat().st_size)
        proto = onnx.load(str(exported))
        onnx.checker.check_model(proto)
        ours = lathe.run_json("lathe-worker", "eval", exported, "--data", data, *flags)
        self.assertEqual(ours["samples"], len(y))
        name = proto.graph.input[0].name
        answers = self.runtime.answer(exported, {name: x}, optimize=True)
        theirs = (next(iter(answers.values())).reshape(len(y), -1).argmax(1) == y).sum()
        points = 100 * abs(ours["correct"] - int(theirs)) / len(y)
        self.assertLessEqual(points, MOST_POINTS, f"{ours['correct']} and {theirs}")
        # It answers at all, not both engines alike by chance.
        self.assertGreater(ours["value"], 0.5)
        space = lathe.run_json("lathe-worker", "space", exported)
        self.assertGreaterEqual(len(space["layers"]), len(point["plan"]["layers"]))
        return proto

    def cifar(self, flags):
        folder = lathe.DATA / "cifar10"
        images = np.load(folder / "test_x.npy")[:SAMPLES]
        labels = np.load(folder / "test_y.npy")[:SAMPLES]
        data = self.folder / "cifar.npz"
        np.savez(data, x=images, y=labels)
        return data, preprocess(images, flags), labels

    def test_a_residual_network(self):
        data, x, y = self.cifar(RESNET20)
        for name, form in RESNET20_FORMS.items():
            if name == "bf16" and not has_bf16():
                continue
            with self.subTest(form=name):
                self.check_form(lathe.DATA / "cifar10" / "resnet20.onnx", form, data, x, y,
                                RESNET20)

    def test_a_transformer(self):
        data, x, y = self.cifar(CCT)
        for name, form in CCT_FORMS.items():
            with self.subTest(form=name):
                proto = self.check_form(lathe.DATA / "cifar10" / "cct4_3x1.onnx", form, data,
                                        x, y, CCT)
                dynamic = [n for n in proto.graph.node if n.op_type == "DynamicQuantizeLinear"]
                self.assertEqual(bool(dynamic), name == "dynamic")

    def test_a_recurrent_network(self):
        folder = lathe.DATA / "mnist"
        with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
        x = images[:2 * SAMPLES].astype(np.float32) / np.float32(255)
        y = labels[:2 * SAMPLES]
        data = self.folder / "mnist.npz"
        np.savez(data, x=x, y=y)
        for name, form in LSTM_FORMS.items():
            with self.subTest(form=name):
                proto = self.check_form(folder / "mnist_lstm.onnx", form, data, x, y)
                levels = {t.name: t.data_type for t in proto.graph.initializer}
                lstm = next(n for n in proto.graph.node if n.op_type == "LSTM")
                for weights in lstm.input[1:3]:
                    self.assertEqual(levels[f"{weights}/levels"], onnx.TensorProto.INT8)


if __name__ == "__main__":
    unittest.main()
