#!/usr/bin/env python3
"""What scatter of measured latencies leaves for a search to reach on a table.

    experiments/search/ceiling.py --table NAME=T.npz [--to runs]

Fits latency ratios by terms of single decisions and of neighbouring ones, and takes
the frontier that one would choose who knew every quality and size and these fitted
latencies. What that frontier is worth by the measured latencies is about as far as
an agent that models latency can see; the rest belongs to entries that came out quicker
than their kind. Writes runs/NAME.ceiling.json for report.py.
"""
import argparse
import json
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
MOST_FITTED = 20000


def fitted_latencies(table):
    """Least squares over decisions and pairs of neighbours; and the residual spread."""
    shape = table["shape"].astype(int)
    count = int(np.prod(shape))
    choices = np.stack(np.unravel_index(np.arange(count), shape), 1)
    columns = [np.eye(k)[choices[:, d]] for d, k in enumerate(shape)]
    for d in range(len(shape) - 1):
        pair = choices[:, d] * shape[d + 1] + choices[:, d + 1]
        columns.append(np.eye(shape[d] * shape[d + 1])[pair])
    features = np.concatenate(columns, 1)
    latency = table["latency_ratio"].astype(float)
    rows = np.arange(count)
    if count > MOST_FITTED:
        rows = np.random.default_rng(0).choice(count, MOST_FITTED, replace=False)
    weights = np.linalg.lstsq(features[rows], latency[rows], rcond=None)[0]
    fitted = features @ weights
    return fitted, float(np.std((latency[rows] - fitted[rows]) / fitted[rows]))


def frontier(table, latency):
    """Entries that own a budget of the grid when latencies are these."""
    quality, size = table["quality"].astype(float), table["size_ratio"].astype(float)
    reference = float(table["quality_reference"])
    owners = np.full((len(table["budget_latency"]), len(table["budget_size"])), -1)
    for entry in np.argsort(-quality, kind="stable"):
        if quality[entry] <= reference or (owners >= 0).all():
            break
        within = ((latency[entry] <= table["budget_latency"])[:, None]
                  & (size[entry] <= table["budget_size"])[None, :])
        owners[within & (owners < 0)] = entry
    return np.unique(owners[owners >= 0])


def hypervolume(table, entries):
    quality, reference = table["quality"].astype(float), float(table["quality_reference"])
    best = np.full((len(table["budget_latency"]), len(table["budget_size"])), reference)
    for entry in entries:
        within = ((table["latency_ratio"][entry] <= table["budget_latency"])[:, None]
                  & (table["size_ratio"][entry] <= table["budget_size"])[None, :])
        best[within] = np.maximum(best[within], quality[entry])
    return float((best - reference).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="NAME=PATH")
    parser.add_argument("--to", default=os.path.join(HERE, "runs"))
    flags = parser.parse_args()
    name, path = flags.table.split("=", 1)
    with np.load(path) as file:
        table = {key: file[key] for key in file.files}
    fitted, spread = fitted_latencies(table)
    chosen = frontier(table, fitted)
    found = {"residual_sd": spread, "entries": len(chosen),
             "hypervolume_ratio": hypervolume(table, chosen)
             / float(table["exhaustive_hypervolume"])}
    with open(os.path.join(flags.to, name + ".ceiling.json"), "w") as file:
        json.dump(found, file)
        file.write("\n")
    print(found)


if __name__ == "__main__":
    main()
