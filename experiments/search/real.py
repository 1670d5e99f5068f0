#!/usr/bin/env python3
"""Runs `lathe search` on a network of one's own; one JSON file a run.

    experiments/search/real.py --name resnet20 --trials 60 --seeds 1 \\
        --agents rl,rl+sensitivity,random -- --model M.onnx --data x.npy,y.npy ...

What stands behind `--` goes to `lathe search` as it is. `AGENT+sensitivity` has
trial 0 measure what single choices cost, on 256 samples. A run that is there
already is kept. `report.py` makes tables of the files in runs/real/.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SENSITIVITY_SAMPLES = "256"


def search(flags, agent, seed):
    name, _, extra = agent.partition("+")
    with tempfile.TemporaryDirectory() as folder:
        command = [flags.lathe, "search", "--agent", name, "--seed", str(seed), "--trials",
                   str(flags.trials), "--workers", "1", "--out", folder, "-o", "json"]
        command += ["--sensitivity-samples",
                    SENSITIVITY_SAMPLES if extra == "sensitivity" else "0"]
        start = time.monotonic()
        subprocess.run(command + flags.rest, stdout=subprocess.DEVNULL, check=True)
        with open(os.path.join(folder, "frontier.json")) as file:
            found = json.load(file)
        found["wall_seconds"] = time.monotonic() - start
    return found


def summary(found, agent, seed):
    kept = ("hypervolume", "optimism", "thinking_ratio", "gain_ratios", "rounds",
            "wall_seconds", "trials")
    return {"agent": agent, "seed": seed, **{key: found[key] for key in kept}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--agents", default="rl,rl+sensitivity,random")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--lathe", default=os.path.join(HERE, "../../build/bin/lathe"))
    parser.add_argument("--to", default=os.path.join(HERE, "runs/real"))
    parser.add_argument("rest", nargs="*")
    flags = parser.parse_args()
    folder = os.path.join(flags.to, flags.name)
    os.makedirs(folder, exist_ok=True)
    for seed in range(flags.seeds):
        for agent in flags.agents.split(","):
            target = os.path.join(folder, f"{agent}-{seed}.json")
            if os.path.exists(target):
                continue
            print(f"{flags.name}: {agent}, seed {seed}", file=sys.stderr)
            found = summary(search(flags, agent, seed), agent, seed)
            with open(target + ".part", "w") as file:
                json.dump(found, file)
                file.write("\n")
            os.rename(target + ".part", target)


if __name__ == "__main__":
    main()
