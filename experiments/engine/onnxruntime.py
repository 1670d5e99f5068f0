#!/usr/bin/python3
"""Lathe's engine against ONNX Runtime, in turn, on one core.

    experiments/engine/onnxruntime.py [MODEL.onnx...] [--batch 1] [--core 1] [--readme]

Without models: the networks of the data folder (LATHE_DATA_DIR) and those of
make_networks.py. Prints a table; --readme writes it into README.md, in the
section of the batch. qdq is the same file for both engines: what
`lathe-worker trial --plan uniform:int8:8:1 --export` writes for networks with
data, synthetic scales for others. int8 is, for ours, the original at int8 with
synthetic scales, as `lathe-worker bench` has it; for theirs, the folded network
in the form that their fusions expect (conventional_qdq.py). --scratch keeps ONNX Runtime and the QDQ
files between runs.

Every block of one engine at one precision is followed by the next one's, round
after round. The ratio is of each engine's best precision, with the 95 %
bootstrap interval over rounds.
"""
import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

import conventional_qdq

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))
import lathe_system as lathe  # noqa: E402

# Columns of a measurement: ours, theirs, and an empty call of theirs.
OURS = ["f32", "bf16", "int8", "qdq"]
THEIRS = ["f32", "int8", "qdq"]
EMPTY_CALL = len(OURS) + len(THEIRS)
CIFAR = ["--data", "cifar10/test_x.npy,cifar10/test_y.npy"]
# Name of each network in the data folder, and the data that set its ranges.
NETWORKS = {
    "cifar10/resnet8": CIFAR,
    "cifar10/resnet8_wide": CIFAR,
    "cifar10/resnet20": [*CIFAR, "--scale", "0.00392156862745098", "--mean",
                         "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"],
    "cifar10/cct4_3x1": [*CIFAR, "--scale", "0.00392156862745098", "--mean",
                         "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616"],
    "cifar10/vit_pgd_2_3_16": [*CIFAR, "--scale", "0.00392156862745098", "--mean",
                               "0.4914,0.4822,0.4465", "--std", "0.2023,0.1994,0.2010"],
    "imagenet/squeezenet1_1": ["--data", "imagenet/test_x.npy,imagenet/test_y.npy",
                               "--channel-order", "bgr", "--mean", "104,117,123"],
    "kws/dscnn_tiny": ["--data", "kws/mfcc_f32_tiny_test_x.npy,kws/tiny_test_y.npy"],
    "kws/lstm_arm_s": ["--data", "kws/mfcc49_arm_test_x.npy,kws/arm_test_y.npy"],
    "mnist/mnist_cnn": ["--data", "mnist/t10k-images-idx3-ubyte.gz"],
    "mnist/mnist_lstm": ["--data", "mnist/t10k-images-idx3-ubyte.gz",
                         "--scale", "0.00392156862745098"],
}
# One cheap node: what a call of ONNX Runtime through its addon costs.
EMPTY = "onnx_node_tests/node/test_sqrt_example/model.onnx"


def install(scratch):
    if not (scratch / "npm" / "node_modules" / "onnxruntime-node").exists():
        (scratch / "npm").mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--ignore-scripts", "--silent", "--prefix",
                        scratch / "npm", "onnxruntime-node@1"], check=True,
                       stdin=subprocess.DEVNULL, timeout=300)
    package = scratch / "npm" / "node_modules" / "onnxruntime-node" / "package.json"
    return json.loads(package.read_text())["version"]


def built_networks(scratch):
    """Those with random weights."""
    folder = scratch / "networks"
    if not (HERE / "make_networks.py").exists():
        return []
    if not folder.exists():
        subprocess.run([HERE / "make_networks.py", folder], check=True)
    return sorted(folder.glob("*.onnx"))


def qdq(model, scratch):
    """The model with int8 layers, as Lathe exports it."""
    out = scratch / "int8" / model.name
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists() and out.stat().st_mtime > model.stat().st_mtime:
        return out
    flags = NETWORKS.get(f"{model.parent.name}/{model.stem}")
    if flags is None or model.parent.parent != lathe.DATA:
        command = ["lathe-engine-blocks", f"{model}:int8", "--export", out]
    else:
        command = ["lathe-worker", "trial", model, *flags, "--plan", "uniform:int8:8:1",
                   "--export", out]
    done = lathe.run(*command, cwd=lathe.DATA, timeout=1800)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return out


def conventional(model, scratch):
    """The model with batch norms folded, and quantised as ONNX Runtime likes it."""
    out = scratch / "conventional" / model.name
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists() and out.stat().st_mtime > model.stat().st_mtime:
        return out
    folded = out.with_suffix(".folded")
    done = lathe.run("lathe-engine-blocks", f"{model}:f32", "--export", folded)
    assert done.returncode == 0, done.stderr
    conventional_qdq.write(folded, out)
    return out


class Blocks:
    """One engine with its models; times a block of calls at a time."""

    def __init__(self, command, core):
        self.popen = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, command)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert self.popen.stdout.readline() == "ready\n", f"{command} did not start"

    def time_us(self, index, seconds):
        self.popen.stdin.write(f"{index} {seconds}\n")
        self.popen.stdin.flush()
        return float(np.median(json.loads(self.popen.stdout.readline())))

    def close(self):
        self.popen.stdin.close()
        self.popen.wait()


def measure(model, qdq_file, conventional_file, options):
    """Medians of blocks in microseconds, [rounds, variants]: ours, theirs, empty."""
    ours = Blocks([lathe.BIN / "lathe-engine-blocks", "--batch", options.batch,
                   f"{model}:f32", f"{model}:bf16", f"{model}:int8", f"{qdq_file}:as-is"],
                  options.core)
    theirs = Blocks(["node", HERE / "onnxruntime_blocks.cjs", options.scratch / "npm",
                     options.batch, model, conventional_file, qdq_file, lathe.DATA / EMPTY], options.core)
    turns = [(ours, i) for i in range(len(OURS))]
    turns += [(theirs, i) for i in range(len(THEIRS) + 1)]
    for engine, index in turns:
        engine.time_us(index, options.block)
    times = [[engine.time_us(index, options.block) for engine, index in turns]
             for _ in range(options.rounds)]
    ours.close()
    theirs.close()
    return np.array(times)


def summarise(times):
    """Medians and the ratio of the best with its interval."""
    times = times.copy()
    # What the addon adds to a call is not ONNX Runtime's.
    first = len(OURS)
    times[:, first:EMPTY_CALL] -= times[:, EMPTY_CALL:]
    medians = np.median(times, axis=0)
    ours = int(np.argmin(medians[:first]))
    theirs = first + int(np.argmin(medians[first:EMPTY_CALL]))
    random = np.random.default_rng(1)
    draws = random.integers(len(times), size=(1000, len(times)))
    resampled = np.median(times[draws], axis=1)
    ratios = resampled[:, ours] / resampled[:, theirs]
    return {"medians": medians, "ratio": medians[ours] / medians[theirs],
            "low": np.quantile(ratios, 0.025), "high": np.quantile(ratios, 0.975)}


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    wanted = [f for f in ("avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8")
              if re.search(rf"\b{f}\b", flags)]
    return f"{cpu.group(1).strip()} ({', '.join(wanted)})"


def table(rows, options, version):
    mean = float(np.exp(np.mean([np.log(row["ratio"]) for row in rows.values()])))
    lines = [
        f"{datetime.date.today()}, {machine()}, one core, one thread, batch "
        f"{options.batch}, ONNX Runtime {version}; microseconds a call, medians of "
        f"{options.rounds} blocks of {options.block} s.", "",
        "| network | ours f32 | bf16 | int8 | qdq | theirs f32 | int8 | qdq | best / best | 95 % |",
        "|---|---|---|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = " | ".join(f"{us:.1f}" for us in row["medians"][:EMPTY_CALL])
        lines.append(f"| {name} | {cells} | {row['ratio']:.3f} | "
                     f"{row['low']:.3f} to {row['high']:.3f} |")
    empty = np.median([row["medians"][EMPTY_CALL] for row in rows.values()])
    lines += ["", f"Geometric mean of the ratios: **{mean:.3f}**; slower than the better of "
              f"theirs on {sum(row['ratio'] > 1 for row in rows.values())} of {len(rows)}. "
              f"A call of a one-node network costs {empty:.1f} us through the addon of "
              "Node.js; each block of theirs is given without it."]
    return "\n".join(lines)


def write_readme(section, text):
    """Replaces what stands between the section's marks."""
    readme = HERE / "README.md"
    begin, end = f"<!-- {section}: generated -->", f"<!-- {section}: end -->"
    before, rest = readme.read_text().split(begin)
    after = rest.split(end)[1]
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--block", type=float, default=0.05, help="seconds of a block")
    parser.add_argument("--scratch", type=pathlib.Path)
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--prepare", action="store_true",
                        help="only install and export into --scratch")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.scratch = (options.scratch or pathlib.Path(folder)).resolve()
        version = install(options.scratch)
        models = [m.resolve() for m in options.models] or (
            [lathe.DATA / f"{name}.onnx" for name in NETWORKS]
            + built_networks(options.scratch))
        files = [(model, qdq(model, options.scratch), conventional(model, options.scratch))
                 for model in models]
        if options.prepare:
            return
        rows = {}
        for model, *quantised in files:
            if options.batch > 1 and model.stem == "mnist_cnn":
                continue  # Made for one sample.
            rows[model.stem] = summarise(measure(model, *quantised, options))
            print(model.stem, {k: np.round(v, 3) for k, v in rows[model.stem].items()},
                  file=sys.stderr, flush=True)
    text = table(rows, options, version)
    print(text)
    if options.readme:
        write_readme(f"onnxruntime batch {options.batch}", text)


if __name__ == "__main__":
    main()
