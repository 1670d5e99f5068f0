#!/usr/bin/python3
"""What whole networks take beyond their bare kernels, by precision and batch.

    experiments/engine/overhead.py [MODEL.onnx...] [--batch 1 16] [--core 1] [--readme]

Without models: those of the data folder (LATHE_DATA_DIR) and of make_networks.py,
which are written to --networks unless they lie there. Runs `lathe-worker bench` on
each in f32, bf16 and int8, prints a table, and --readme writes it into README.md.
"""
import argparse
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))
import lathe_system as lathe  # noqa: E402

PRECISIONS = ["f32", "bf16", "int8"]
NETWORKS = ["cifar10/resnet8", "cifar10/resnet8_wide", "cifar10/resnet20",
            "cifar10/cct4_3x1", "cifar10/vit_pgd_2_3_16", "imagenet/squeezenet1_1",
            "kws/dscnn_tiny", "kws/lstm_arm_s", "mnist/mnist_cnn", "mnist/mnist_lstm"]
HEAD = ("| network | precision | batch | latency us | kernels us | ratio | warm us | ratio "
        "| reorders | plain loops |\n|---|---|---|---|---|---|---|---|---|---|\n")


def networks(folder):
    if not list(folder.glob("*.onnx")):
        subprocess.run([HERE / "make_networks.py", folder], check=True)
    return [lathe.DATA / f"{name}.onnx" for name in NETWORKS] + sorted(folder.glob("*.onnx"))


def row(model, precision, batch, core):
    flags = [] if core is None else ["--core", str(core)]
    bench = lathe.run_json("lathe-worker", "bench", str(model), "--precision", precision,
                           "--batch", str(batch), *flags)
    kernels = bench["primitives_us"]
    return (f"| {model.stem} | {precision} | {batch} | {bench['latency_us']:.0f} "
            f"| {kernels:.0f} | {bench['overhead_ratio']:.3f} | {bench['warm_us']:.0f} "
            f"| {bench['latency_us'] / bench['warm_us']:.3f} "
            f"| {bench['reorders_us'] / kernels:.1%} | {bench['loops_us'] / kernels:.1%} |\n")


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def write_readme(text):
    path = HERE / "README.md"
    start, end = "<!-- overhead: generated -->\n", "<!-- overhead: end -->"
    pattern = re.escape(start) + ".*" + re.escape(end)
    old = path.read_text()
    if not re.search(pattern, old, re.S):
        sys.exit(f"{path} has no section between {start.strip()} and {end}")
    path.write_text(re.sub(pattern, lambda _: start + text + end, old, flags=re.S))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--core", type=int)
    parser.add_argument("--networks", type=pathlib.Path)
    parser.add_argument("--readme", action="store_true")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        models = flags.models or networks(flags.networks or pathlib.Path(scratch))
        text = f"{machine()}, one thread.\n\n" + HEAD
        print(text, end="", flush=True)
        for batch in flags.batch:
            for model in models:
                if batch > 1 and model.stem == "mnist_cnn":
                    continue  # Made for one sample.
                for precision in PRECISIONS:
                    line = row(model, precision, batch, flags.core)
                    print(line, end="", flush=True)
                    text += line
    if flags.readme:
        write_readme(text)


if __name__ == "__main__":
    main()
