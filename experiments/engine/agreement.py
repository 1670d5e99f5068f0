#!/usr/bin/python3
"""Do two independent measurements of one plan agree on a loaded machine?

    experiments/engine/agreement.py [--core 1] [--load-core 0] [--readme]

Each plan of each network of the data folder (LATHE_DATA_DIR) is measured twice by
`lathe-worker trial`, in processes of their own, minutes apart, while a benchmark
keeps the other core busy. The disagreement is |ratio 1 / ratio 2 - 1|.
"""
import argparse
import pathlib
import subprocess
import sys

import numpy as np

from onnxruntime import NETWORKS, machine, write_readme

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))
import lathe_system as lathe  # noqa: E402

PLANS = ["uniform:f32:32:0.5", "uniform:bf16:16:1", "uniform:int8:8:1",
         "uniform:int8:8:0.5"]
MEASURED = ["cifar10/resnet8", "cifar10/resnet20", "kws/dscnn_tiny", "cifar10/vit_pgd_2_3_16",
            "imagenet/squeezenet1_1"]
# Accuracy is not asked here.
SPLITS = ["--calibration", 16, "--search", 32, "--confirmation", 16, "--report", 16]


def measure(network, plan, core):
    return lathe.run_json("lathe-worker", "trial", lathe.DATA / f"{network}.onnx",
                          *NETWORKS[network], *SPLITS, "--plan", plan, "--core", core,
                          cwd=lathe.DATA)


def summary(rows):
    lines = ["| plan | first | second | disagreement | noisy |", "|---|---|---|---|---|"]
    for name, first, second in rows:
        apart = abs(first["latency_ratio"] / second["latency_ratio"] - 1)
        noisy = ["first"] * first["is_noisy"] + ["second"] * second["is_noisy"]
        lines.append(f"| {name} | {first['latency_ratio']:.4f} | {second['latency_ratio']:.4f} | "
                     f"{100 * apart:.2f} % | {', '.join(noisy) or 'no'} |")
    apart = np.array([abs(a["latency_ratio"] / b["latency_ratio"] - 1) for _, a, b in rows])
    sure = np.array([not (a["is_noisy"] or b["is_noisy"]) for _, a, b in rows])
    lines += ["", f"{machine()}, the other core busy. {len(rows)} pairs: within 3 % "
              f"{(apart <= 0.03).sum()}, median {100 * np.median(apart):.2f} %, 90 % below "
              f"{100 * np.quantile(apart, 0.9):.2f} %, largest {100 * apart.max():.2f} %. "
              f"Of the {sure.sum()} pairs that neither measurement called noisy, within 3 %: "
              f"{(apart[sure] <= 0.03).sum()}."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    load = subprocess.Popen(
        [lathe.BIN / "lathe-worker", "bench", lathe.DATA / "imagenet/squeezenet1_1.onnx",
         "--core", str(options.load_core), "--repeat", "1000000"], stdout=subprocess.DEVNULL)
    try:
        turns = [[], []]
        for results in turns:
            for network in MEASURED:
                for plan in PLANS:
                    results.append((f"{network} {plan}",
                                    measure(network, plan, options.core)))
                    print(results[-1][0], results[-1][1]["latency_ratio"],
                          results[-1][1]["is_noisy"], file=sys.stderr, flush=True)
    finally:
        load.kill()
        load.wait()
    text = summary([(name, first, second)
                    for (name, first), (_, second) in zip(*turns)])
    print(text)
    if options.readme:
        write_readme("agreement", text)


if __name__ == "__main__":
    main()
