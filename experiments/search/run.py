#!/usr/bin/env python3
"""Plays agents, and rl without its parts, on tables; one JSON file a run.

    experiments/search/run.py --table NAME=T.npz [--pretrain OTHER.npz]
        [--seeds 20] [--to runs]

A run that is there already is kept, so that an interrupted study goes on.
`report.py` makes README.md of the files.
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
AGENTS = ["uniform", "random", "greedy", "ilp", "adaptive", "clado", "nsga2",
          "localsearch", "tpe", "haq", "amc", "surrogate-ea", "rl"]
SEEDED = ["nsga2", "localsearch", "tpe", "surrogate-ea"]
ABLATIONS = ["seeds", "policy", "resampling", "solver", "children", "relabelling", "rollouts",
             "surrogate", "masks"]


def runs(agents, seeded, ablations, pretrain):
    for agent in seeded:
        yield f"seeded-{agent}", ["--agent", agent, "--seeded"]
    if pretrain:
        yield "rl-pretrained", ["--agent", "rl", "--pretrain", pretrain]
    for agent in agents:
        yield agent, ["--agent", agent] + (["--unasked", "200"] if agent == "rl" else [])
    for part in ablations:
        yield f"rl-without-{part}", ["--agent", "rl", "--without", part]
    if ablations:
        yield "rl-accuracy-objective", ["--agent", "rl", "--accuracy-objective"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="NAME=PATH")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed-from", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--agents", default=",".join(AGENTS))
    parser.add_argument("--seeded", default=",".join(SEEDED))
    parser.add_argument("--pretrain", help="a table of another network")
    parser.add_argument("--ablations", default=",".join(ABLATIONS))
    parser.add_argument("--bench", default=os.path.join(HERE, "../../build/bin/lathe-bench"))
    parser.add_argument("--to", default=os.path.join(HERE, "runs"))
    flags = parser.parse_args()
    name, path = flags.table.split("=", 1)
    folder = os.path.join(flags.to, name)
    os.makedirs(folder, exist_ok=True)
    split = lambda text: [part for part in text.split(",") if part]
    for run, arguments in runs(split(flags.agents), split(flags.seeded),
                               split(flags.ablations), flags.pretrain):
        target = os.path.join(folder, run + ".json")
        if os.path.exists(target):
            continue
        command = [flags.bench, "--table", path, "--evaluations", str(flags.evaluations),
                   "--seeds", str(flags.seeds), "--seed-from", str(flags.seed_from),
                   "-o", "json"] + arguments
        print(" ".join(command), file=sys.stderr)
        result = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        with open(target + ".part", "wb") as file:
            # The tables' names in place of this machine's paths.
            played = result.stdout.replace(path.encode(), name.encode())
            if flags.pretrain:
                other = os.path.splitext(os.path.basename(flags.pretrain))[0]
                played = played.replace(flags.pretrain.encode(), other.encode())
            file.write(played)
        os.rename(target + ".part", target)


if __name__ == "__main__":
    main()
