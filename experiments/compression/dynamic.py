#!/usr/bin/python3
"""Dynamic against static quantisation, and weights alone: accuracy, latency, bytes.

    experiments/compression/dynamic.py [--samples N] [--core N] [NETWORK...]

Runs `lathe-worker trial` on the recurrent networks and the transformer of the data
folder (LATHE_DATA_DIR), and prints a Markdown table for each. Latency is the ratio to
the original's at batch 1, measured in turn with it, with its 95 % interval. Nothing
trains; calibration samples are not among those scored. As the folder has no GRU,
`mnist_gru` is made here: random gates, and a classifier that is fitted to 10,000
training images by ridge regression.
"""
import argparse
import gzip
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))
import lathe_system as lathe  # noqa: E402

CIFAR = lathe.DATA / "cifar10"
KWS = lathe.DATA / "kws"
MNIST = lathe.DATA / "mnist"
CCT = ("--data", f"{CIFAR}/test_x.npy,{CIFAR}/test_y.npy", "--scale", str(1 / 255),
       "--mean", "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616", "--report", 1)
LSTM_ARM = ("--data", f"{KWS}/mfcc49_arm_test_x.npy,{KWS}/arm_test_y.npy",
            "--calibration", f"{KWS}/mfcc49_arm_calib_x.npy,{KWS}/arm_calib_y.npy",
            "--confirmation", 1, "--report", 1)
RECURRENT = [
    ("f32", "uniform:f32:32:1", ()),
    ("weights alone, 8 bits", "uniform:f32:8:1", ("--weight-only-bits", 8)),
    ("weights alone, 4 bits", "uniform:f32:4:1", ("--weight-only-bits", 4)),
    ("static, Gemm only, 8 bits", "uniform:int8:8:1", ("--dynamic", "none")),
    ("dynamic, 8 bits", "uniform:int8-dynamic:8:1", ("--dynamic", "linear")),
    ("dynamic, 4 bits", "uniform:int8-dynamic:4:1", ("--dynamic", "linear")),
    ("dynamic, 4 bits, nearest", "uniform:int8-dynamic:4:1",
     ("--dynamic", "linear", "--repairs", "none")),
    ("dynamic, 3 bits", "uniform:int8-dynamic:3:1", ("--dynamic", "linear")),
]
TRANSFORMER = [
    ("f32", "uniform:f32:32:1", ()),
    ("weights alone, 8 bits", "uniform:f32:8:1", ("--weight-only-bits", 8)),
    ("static", "uniform:int8:8:1", ()),
    ("static, asymmetric", "uniform:int8:8:1", ("--activations", "asymmetric")),
    ("static, SmoothQuant", "uniform:int8:8:1",
     ("--activations", "asymmetric", "--repairs", "refit+rounding+bias+smooth")),
    ("dynamic", "uniform:int8-dynamic:8:1", ("--dynamic", "linear")),
    ("dynamic, nearest", "uniform:int8-dynamic:8:1",
     ("--dynamic", "linear", "--repairs", "none")),
    ("dynamic, 4 bits", "uniform:int8-dynamic:4:1", ("--dynamic", "linear")),
]
NETWORKS = {
    "lstm_arm_s": (KWS / "lstm_arm_s.onnx", LSTM_ARM, RECURRENT, 498),
    "mnist_lstm": (MNIST / "mnist_lstm.onnx", None, RECURRENT, None),
    "mnist_gru": (None, None, RECURRENT, None),
    "cct4_3x1": (CIFAR / "cct4_3x1.onnx", CCT, TRANSFORMER, None),
}


def mnist(part):
    """Images in [0, 1], row by row, and labels."""
    with gzip.open(MNIST / f"{part}-images-idx3-ubyte.gz") as file:
        x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(MNIST / f"{part}-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return x.astype(np.float32) / np.float32(255), y


def mnist_data(folder):
    """Images of MNIST as the network wants them."""
    x, y = mnist("t10k")
    path = folder / "mnist.npz"
    np.savez(path, x=x, y=y)
    return ("--data", path, "--report", 1)


def gru_states(x, w, r, b):
    """All hidden states [samples, steps, units] by ONNX's equations, gates in
    the order z, r, h; `b` are the input's biases, the state's are 0."""
    units = r.shape[1]
    state = np.zeros((len(x), units), np.float32)
    states = []
    for step in range(x.shape[1]):
        z_in, r_in, h_in = np.split(x[:, step] @ w.T + b, 3, axis=1)
        z_state, r_state = np.split(state @ r[:2 * units].T, 2, axis=1)
        z, reset = (1 / (1 + np.exp(-g)) for g in (z_in + z_state, r_in + r_state))
        new = np.tanh(h_in + (reset * state) @ r[2 * units:].T)
        state = (1 - z) * new + z * state
        states.append(state)
    return np.stack(states, axis=1)


def make_gru(folder, units=96, samples=10000):
    """Images [N, 28, 28] to logits [N, 10]: a reservoir of random gates, all of
    whose states a fitted classifier reads."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    random = np.random.RandomState(7)
    w = random.randn(3 * units, 28).astype(np.float32) * 0.5
    r = random.randn(3 * units, units).astype(np.float32) / np.float32(np.sqrt(units))
    b = random.randn(3 * units).astype(np.float32) * 0.2
    x, y = mnist("train")
    states = gru_states(x[:samples], w, r, b).reshape(samples, -1).astype(np.float64)
    means = states.mean(0)
    centred = states - means
    gram = centred.T @ centred
    gram[np.diag_indices_from(gram)] += 1e-2 * np.trace(gram) / len(gram)
    readout = np.linalg.solve(gram, centred.T @ np.eye(10)[y[:samples]])
    # As logits, so that divergences mean something.
    readout *= 10
    constants = {
        "W": w[None], "R": r[None], "B": np.concatenate([b, 0 * b])[None],
        "readout": readout.astype(np.float32), "bias": (-means @ readout).astype(np.float32),
        "axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Transpose", ["input"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["steps", "W", "R", "B"], ["all"], name="gru",
                         hidden_size=units),
        helper.make_node("Squeeze", ["all", "axis"], ["states"]),
        helper.make_node("Transpose", ["states"], ["by_sample"], perm=[1, 0, 2]),
        helper.make_node("Flatten", ["by_sample"], ["flat"]),
        helper.make_node("Gemm", ["flat", "readout", "bias"], ["logits"], name="readout_gemm")]
    graph = helper.make_graph(
        nodes, "mnist_gru",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()])
    path = folder / "mnist_gru.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)],
                                ir_version=8), str(path))
    return path


def table(name, options, folder):
    model, data, forms, most = NETWORKS[name]
    samples = min(options.samples, most or options.samples)
    model = model or make_gru(folder)
    data = data or mnist_data(folder)
    print(f"\n## {name}\n")
    print("| form | top-1 | samples | latency | 95 % | file bytes | packed bytes |")
    print("|---|---|---|---|---|---|---|")
    for form, plan, flags in forms:
        core = [] if options.core is None else ["--core", options.core]
        point = lathe.run_json(
            "lathe-worker", "trial", model, *data, "--search", samples,
            "--plan", plan, *flags, *core, timeout=1200)
        print(f"| {form} | {100 * point['accuracy']:.2f} | {point['samples']} "
              f"| {point['latency_ratio']:.3f} | {point['latency_ratio_low']:.3f} - "
              f"{point['latency_ratio_high']:.3f} | {point['size_bytes']} "
              f"| {point['entropy_bytes']} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
               if line.startswith("model name"))
    print(f"Made by `dynamic.py --samples {options.samples} {' '.join(options.networks)}`.\n\n"
          f"CPU: {cpu}.")
    with lathe.scratch_folder() as folder:
        for name in options.networks:
            table(name, options, folder)


if __name__ == "__main__":
    main()
