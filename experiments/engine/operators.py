#!/usr/bin/python3
"""Single operators, in f32, against ONNX Runtime: in turn, on one core.

    experiments/engine/operators.py [NAME...] [--core 1] [--readme]

Each network has one operator of a size that networks have (and, where it says
so, convolutions around it, which fix the layout), and takes the largest of its
numbers, so that neither engine hands out a large output. Times are medians over blocks
of one engine followed by the other's, without what a call of ONNX Runtime's
addon costs; the ratio is ours to theirs. --scratch keeps ONNX Runtime between
runs, --readme writes the table into README.md.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import onnxruntime as theirs_script

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))
import lathe_system as lathe  # noqa: E402

RANDOM = np.random.RandomState(3)
IMAGE = [1, 64, 56, 56]
TOKENS = [1, 196, 384]
HEADS = [1, 12, 128, 128]


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def one(op, shape, *constants, opset=17, outputs=1, kind=TensorProto.FLOAT, first=(), **attributes):
    """A model of one node; `first` are constants in front of the input."""
    named = [numpy_helper.from_array(np.asarray(c), f"c{i}") if c is not None else None
             for i, c in enumerate([*first, *constants])]
    names = [c.name if c is not None else "" for c in named]
    inputs = [*names[:len(first)], "x", *names[len(first):]]
    outs = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, inputs, outs, **attributes)
    return model([node], shape, [c for c in named if c is not None], outs, opset, kind)


def model(nodes, shape, constants, outs, opset, kind=TensorProto.FLOAT):
    largest = [f"largest_{name}" for name in outs]
    nodes = nodes + [helper.make_node("ReduceMax", [name], [to], keepdims=0)
                     for name, to in zip(outs, largest)]
    graph = helper.make_graph(
        nodes, "one", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in largest],
        constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 8
    return made


def recurrent(op, gates, hidden=64, **attributes):
    """Over 50 steps of one sample."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    weights = [numpy_helper.from_array(normal(directions, gates * hidden, size) / 8, name)
               for name, size in (("w", 40), ("r", hidden))]
    nodes = [helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
             helper.make_node(op, ["steps", "w", "r"], ["y0"], hidden_size=hidden,
                              **attributes)]
    return model(nodes, [1, 50, 40], weights, ["y0"], 17)


def one_attention():
    """Of 6 heads over 128 tokens, causal."""
    return one("Attention", [1, 6, 128, 64], normal(1, 6, 128, 64), normal(1, 6, 128, 64),
               opset=23, is_causal=1)


def between_convolutions(op, shape, *constants, opset=17, **attributes):
    channels = shape[1]
    weights = [numpy_helper.from_array(normal(channels, channels, 1, 1) / 8, f"w{i}")
               for i in range(2)]
    named = [numpy_helper.from_array(np.asarray(c), f"c{i}") if c is not None else None
             for i, c in enumerate(constants)]
    nodes = [helper.make_node("Conv", ["x", "w0"], ["a"]),
             helper.make_node(op, ["a", *(c.name if c is not None else "" for c in named)],
                              ["b"], **attributes),
             helper.make_node("Conv", ["b", "w1"], ["y0"])]
    return model(nodes, shape, weights + [c for c in named if c is not None], ["y0"], opset)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


TWICE = floats(1, 1, 2, 2)
OPERATORS = {
    "Resize nearest, asymmetric": lambda: one(
        "Resize", IMAGE, None, TWICE, mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric"),
    "Resize linear, half_pixel": lambda: one("Resize", IMAGE, None, TWICE, mode="linear"),
    "Resize linear, align_corners": lambda: one(
        "Resize", IMAGE, None, TWICE, mode="linear",
        coordinate_transformation_mode="align_corners"),
    "Resize cubic": lambda: one("Resize", [1, 3, 64, 64], None, TWICE, mode="cubic"),
    "Resize nearest between convolutions": lambda: between_convolutions(
        "Resize", IMAGE, None, TWICE, mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric"),
    "Resize linear between convolutions": lambda: between_convolutions(
        "Resize", IMAGE, None, TWICE, mode="linear"),
    "ConvTranspose 2x2 stride 2": lambda: one(
        "ConvTranspose", [1, 64, 28, 28], normal(64, 32, 2, 2), normal(32), strides=[2, 2]),
    "ConvTranspose 4x4 stride 2": lambda: one(
        "ConvTranspose", [1, 64, 28, 28], normal(64, 32, 4, 4), normal(32), strides=[2, 2],
        pads=[1, 1, 1, 1]),
    "Split of channels": lambda: one("Split", IMAGE, ints(32, 32), outputs=2, axis=1),
    "Split of the last axis": lambda: one(
        "Split", [1, 196, 1152], ints(384, 384, 384), outputs=3, axis=2),
    "Gather, embedding": lambda: one(
        "Gather", [1, 128], kind=TensorProto.INT64, first=[normal(5000, 256)]),
    "Gather of channels": lambda: one("Gather", IMAGE, ints(*RANDOM.permutation(64)), axis=1),
    "Where, causal mask": lambda: one(
        "Where", HEADS, floats(-1e9), first=[np.tri(128, dtype=bool)[None, None]]),
    "Transpose of channels (shuffle)": lambda: one(
        "Transpose", [1, 2, 32, 56, 56], perm=[0, 2, 1, 3, 4]),
    "DepthToSpace": lambda: one("DepthToSpace", IMAGE, blocksize=2),
    "SpaceToDepth": lambda: one("SpaceToDepth", IMAGE, blocksize=2),
    "Tile": lambda: one("Tile", [1, 64, 1, 56], ints(1, 1, 56, 1)),
    "Expand": lambda: one("Expand", [1, 64, 1, 1], ints(1, 64, 56, 56)),
    "ReduceMean of planes": lambda: one("ReduceMean", IMAGE, axes=[2, 3]),
    "ReduceMean of the last axis": lambda: one("ReduceMean", TOKENS, axes=[-1]),
    "ReduceMean of tokens": lambda: one("ReduceMean", TOKENS, axes=[1]),
    "ReduceMax of channels": lambda: one("ReduceMax", IMAGE, axes=[1]),
    "ReduceSum of all": lambda: one("ReduceSum", IMAGE),
    "ReduceL2 of the last axis": lambda: one("ReduceL2", TOKENS, axes=[-1]),
    "InstanceNormalization": lambda: one(
        "InstanceNormalization", IMAGE, normal(64), normal(64)),
    "GroupNormalization": lambda: one(
        "GroupNormalization", IMAGE, normal(64), normal(64), opset=21, num_groups=8),
    "LayerNormalization": lambda: one("LayerNormalization", TOKENS, normal(384), normal(384)),
    "RMSNormalization": lambda: one("RMSNormalization", TOKENS, normal(384), opset=23),
    "LRN": lambda: one("LRN", IMAGE, size=5),
    "PRelu by channel": lambda: one("PRelu", IMAGE, normal(64, 1, 1)),
    "PRelu between convolutions": lambda: between_convolutions(
        "PRelu", IMAGE, normal(64, 1, 1)),
    "Pow": lambda: one("Pow", TOKENS, floats(2)),
    "Add, broadcast both ways": lambda: model(
        [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
         helper.make_node("Add", ["x", "t"], ["y0"])], [1, 1, 400], [], ["y0"], 17),
    "Softplus": lambda: one("Softplus", TOKENS),
    "Gelu": lambda: one("Gelu", TOKENS, opset=20),
    "Softmax of channels": lambda: one("Softmax", [1, 21, 64, 64], axis=1),
    "Erf": lambda: one("Erf", TOKENS),
    "Log": lambda: one("Log", TOKENS),
    "Attention": one_attention,
    "Einsum bmhd,bnhd->bhmn": lambda: one(
        "Einsum", [1, 64, 6, 32], normal(1, 64, 6, 32), equation="bmhd,bnhd->bhmn"),
    "LSTM with clip": lambda: recurrent("LSTM", 4, clip=3.0),
    "LSTM of one sample": lambda: recurrent("LSTM", 4),
    "LSTM bidirectional": lambda: recurrent("LSTM", 4, direction="bidirectional"),
    "GRU of one sample": lambda: recurrent("GRU", 3),
    "RNN": lambda: recurrent("RNN", 1),
    "MaxPool 3x3": lambda: one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2]),
    "AveragePool 3x3, ceil": lambda: one(
        "AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "CumSum": lambda: one("CumSum", TOKENS, ints(1).reshape(())),
    "Pad reflect": lambda: one("Pad", IMAGE, ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"),
}


def measure(path, options):
    ours = theirs_script.Blocks([lathe.BIN / "lathe-engine-blocks", f"{path}:f32"], options.core)
    theirs = theirs_script.Blocks(
        ["node", HERE / "onnxruntime_blocks.cjs", options.scratch / "npm", 1, path,
         lathe.DATA / theirs_script.EMPTY], options.core)
    turns = [(ours, 0), (theirs, 0), (theirs, 1)]
    times = np.array([[engine.time_us(index, options.block) for engine, index in turns]
                      for _ in range(options.rounds + 1)])[1:]
    ours.close()
    theirs.close()
    times[:, 1] -= times[:, 2]
    return np.median(times[:, 0]), np.median(times[:, 1]), np.median(times[:, 0] / times[:, 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names")
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--block", type=float, default=0.03, help="seconds of a block")
    parser.add_argument("--scratch", type=pathlib.Path)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    lines = ["| operator | ours us | theirs us | ratio |", "|---|---|---|---|"]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        options.scratch = (options.scratch or pathlib.Path(folder)).resolve()
        version = theirs_script.install(options.scratch)
        for name, make in OPERATORS.items():
            if options.names and not any(part in name for part in options.names):
                continue
            path = pathlib.Path(folder) / "one.onnx"
            path.write_bytes(make().SerializeToString())
            ours, theirs, ratio = measure(path, options)
            ratios.append(ratio)
            lines.append(f"| {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
            print(lines[-1], file=sys.stderr, flush=True)
    mean = np.exp(np.mean(np.log(ratios)))
    lines = [f"{theirs_script.machine()}, one thread, batch 1, ONNX Runtime {version}.", "",
             *lines, "", f"Geometric mean of the ratios: **{mean:.2f}**."]
    print("\n".join(lines))
    if options.readme:
        theirs_script.write_readme("operators", "\n".join(lines))


if __name__ == "__main__":
    main()
