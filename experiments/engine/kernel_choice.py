#!/usr/bin/python3
"""What it gains to measure which of oneDNN's kernels for an 8-bit convolution is the quickest.

    experiments/engine/kernel_choice.py [MODEL.onnx...] [--batch 1 16] [--core 1] [--readme]

Without models: the networks of the data folder (LATHE_DATA_DIR) and those of
make_networks.py. Each runs at int8 with measured kernels and with those that
oneDNN prefers, block by block in turn; the ratio is of medians over rounds, with
its 95 % bootstrap interval. --readme writes the table into README.md.
"""
import argparse
import pathlib
import tempfile

import numpy as np

from onnxruntime import NETWORKS, Blocks, built_networks, lathe, machine, write_readme

SECONDS = 0.05


def measure(model, batch, options):
    """Medians of blocks in microseconds, [rounds, 2]: measured, preferred."""
    command = [lathe.BIN / "lathe-engine-blocks", "--batch", batch]
    engines = [Blocks([*command, *flags, f"{model}:int8"], options.core)
               for flags in ([], ["--library-kernels"])]
    times = [[engine.time_us(0, SECONDS) for engine in engines]
             for _ in range(options.rounds + 1)]
    for engine in engines:
        engine.close()
    return np.array(times[1:])


def row(name, batch, times):
    random = np.random.default_rng(1)
    draws = random.integers(len(times), size=(1000, len(times)))
    resampled = np.median(times[draws], axis=1)
    low, high = np.quantile(resampled[:, 0] / resampled[:, 1], [0.025, 0.975])
    measured, preferred = np.median(times, axis=0)
    return measured / preferred, (f"| {name} | {batch} | {preferred:.1f} | {measured:.1f} "
                                  f"| {measured / preferred:.3f} | {low:.3f} to {high:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--networks", type=pathlib.Path, help="keeps make_networks.py's")
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    lines = [f"{machine()}, one thread, int8; microseconds a call.", "",
             "| network | batch | preferred | measured | ratio | 95 % |",
             "|---|---|---|---|---|---|"]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or (
            [lathe.DATA / f"{name}.onnx" for name in NETWORKS]
            + built_networks(options.networks or pathlib.Path(folder)))
        for model in models:
            for batch in options.batch:
                if batch > 1 and model.stem == "mnist_cnn":
                    continue  # Made for one sample.
                ratio, line = row(model.stem, batch, measure(model, batch, options))
                ratios.append(ratio)
                lines.append(line)
                print(line, flush=True)
    lines += ["", f"Geometric mean of the ratios: **{np.exp(np.mean(np.log(ratios))):.3f}**."]
    print(lines[-1])
    if options.readme:
        write_readme("kernel choice", "\n".join(lines))


if __name__ == "__main__":
    main()
