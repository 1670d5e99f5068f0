#!/usr/bin/python3
"""How well a table of single layers predicts whole networks.

    experiments/engine/latency_table.py [--plans 100] [--core 1] [--readme]

For each network of the data folder (LATHE_DATA_DIR) `lathe-latency-study` times
the layers once, predicts random plans (every keep ratio and precision drawn
uniformly) and measures them against the original, in turn.
"""
import argparse
import json

from onnxruntime import lathe, machine, write_readme

MEASURED = ["cifar10/resnet20", "cifar10/resnet8"]


def study(network, options):
    done = lathe.run("lathe-latency-study", lathe.DATA / f"{network}.onnx", "--plans",
                     options.plans, "--core", options.core, timeout=3600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def row(network, found, who, name):
    errors = found[who]
    return (f"| {network} | {name} | {errors['plans']} | {100 * errors['median_error']:.1f} % | "
            f"{100 * errors['p90_error']:.1f} % | {100 * errors['median_signed_error']:+.1f} % | "
            f"{errors['rank_correlation']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=100)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    lines = ["| network | predicted by | plans | median error | 90 % below | bias | Spearman |",
             "|---|---|---|---|---|---|---|"]
    notes = []
    for network in MEASURED:
        found = study(network, options)
        lines.append(row(network, found, "table", "the table alone"))
        if "agent" in found:
            lines.append(row(network, found, "agent",
                             f"the agent, {found['learned']} plans seen"))
        notes.append(f"{network}: {found['entries']} entries in {found['table_seconds']:.1f} s, "
                     f"{found['noisy']} of the plans measured noisily.")
    text = "\n".join([*lines, "", machine() + ". " + " ".join(notes)])
    print(text)
    if options.readme:
        write_readme("latency table", text)


if __name__ == "__main__":
    main()
