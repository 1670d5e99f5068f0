#!/usr/bin/env python3
"""Measures what evaluating a candidate costs, per core, in several ways.

    experiments/evaluation/evaluation.py record --name resnet20 --trials 100 -- --model M.onnx --data ...
    experiments/evaluation/evaluation.py play --name resnet20 --modes plain,product -- M.onnx --data ...
    experiments/evaluation/evaluation.py table --name resnet20
    experiments/evaluation/evaluation.py compare --name full1,ladder1 -- M.onnx --data ...

`record` lets the default agent search and keeps its plans. `play` takes the same
plans through each way (lathe-evaluation-study); a list that is there is kept.
`finalists` chooses among the plans by all that the search measured of them, as
agent/finalists.cc would, for several least gains. `looks` tells how well looks (played
before) tell what was measured whole. `table` compares: trials per hour of one core, and the hypervolume of the frontier
that each way ends with. That frontier's plans count with what the search measured
of them, which is every sample and a timed run; the plain loop has to agree. `compare` sets
whole searches side by side: NAME/time has their processor seconds (GNU time's -f
'%U %S', of the whole `lathe search --state NAME/state`). Searches that ran at different
times met different machines, so that the plans that they measured whole count a second
time with the latencies that one table of single layers, made for it, predicts, and
once more with those and exp(-KL) on the search split for the accuracy ratio.
Lists lie in runs/NAME beside this file, or in --to.
"""
import argparse
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get("LATHE_BIN_DIR", HERE / "../../build/bin"))
LEAST_ACCURACY_RATIO = 0.8
# Of what is compared on a logarithmic scale.
LEAST_DIVERGENCE = 1e-4


def record(flags, folder):
    """Searches, or goes on with a search that was stopped, and lists its trials."""
    state = folder / "state"
    subprocess.run(
        [BIN / "lathe", "search", "--trials", str(flags.trials), "--workers", "1", "--seed",
         str(flags.seed), "--state", state, "--out", folder / "out", "-o", "json", *flags.rest],
        stdout=subprocess.DEVNULL, check=True)
    list_trials(state, folder / "plans.jsonl")


def list_trials(state, target):
    """The trials of the only job of a server's state folder."""
    server = subprocess.Popen(
        [BIN / "lathe-server", "--state", state, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline()).group()
        client = [BIN / "lathe", "--server", address]
        jobs = subprocess.run([*client, "list", "-o", "json"], capture_output=True, text=True,
                              check=True).stdout
        job = json.loads(jobs.splitlines()[0])["job"]
        with open(target, "w") as file:
            subprocess.run([*client, "trials", job, "-o", "json"], stdout=file, check=True)
    finally:
        server.terminate()
        server.wait()


def play(flags, folder):
    for mode in flags.modes.split(","):
        target = folder / f"{mode}.jsonl"
        if target.exists():
            continue
        print(f"{flags.name}: {mode}", file=sys.stderr)
        part = target.with_suffix(".part")
        with open(part, "w") as file:
            subprocess.run(
                [BIN / "lathe-evaluation-study", *flags.rest, "--plans", folder / "plans.jsonl",
                 "--every", str(flags.every if mode in ("plain", "product") else 1),
                 "--mode", mode], stdout=file, check=True)
        part.rename(target)


def read(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def frontier(rows):
    """Indices of the rows that none beats on the search split and latency alike."""
    chosen = []
    best = -1
    for i in sorted(range(len(rows)), key=lambda i: (rows[i]["latency_ratio"],
                                                     -rows[i]["correct"])):
        if rows[i]["correct"] > best:
            best = rows[i]["correct"]
            chosen.append(i)
    return chosen


def volume(steps):
    """Of (latency ratio, accuracy ratio): as docs and `lathe frontier` mean it."""
    area, reached = 0.0, LEAST_ACCURACY_RATIO
    for latency, accuracy in sorted(steps):
        if latency < 1 and accuracy > reached:
            area += (1 - latency) * (accuracy - reached)
            reached = accuracy
    return area / (1 - LEAST_ACCURACY_RATIO)


def hypervolume(points, baseline):
    """On the report split."""
    return volume((point["latency_ratio"], point["report_correct"] / baseline["report_correct"])
                  for point in points)


def rank_correlation(a, b):
    """Spearman's; ties are broken by place."""
    def ranks(values):
        order = sorted(range(len(values)), key=values.__getitem__)
        rank = [0] * len(values)
        for place, index in enumerate(order):
            rank[index] = place
        return rank
    squares = sum((x - y) ** 2 for x, y in zip(ranks(a), ranks(b)))
    return 1 - 6 * squares / (len(a) * (len(a) ** 2 - 1))


def looks_line(folder, truth):
    """How well first looks tell what whole measurements tell."""
    looks = {row["trial"]: row for row in read(folder / "looks.jsonl") if row["trial"] in truth}
    pairs = [(looks[n]["kl"], truth[n]["kl_divergence"]) for n in looks]
    harmful = [pair for pair in pairs if pair[1] > 0.002]
    ratios = sorted(full / look for look, full in harmful)
    print(f"\nFirst looks: rank correlation of divergence {rank_correlation(*zip(*pairs)):.3f} "
          f"over {len(pairs)} plans; measured / looked "
          f"{ratios[len(ratios) // 10]:.2f} to {ratios[-1 - len(ratios) // 10]:.2f} "
          f"(middle 80 %) of the {len(ratios)} above 0.002 nats.")
    logs = [(math.log(look), math.log(full / look)) for look, full in pairs
            if min(look, full) > LEAST_DIVERGENCE]
    slope, start = statistics.linear_regression(*zip(*logs))
    left = [ratio - slope * look - start for look, ratio in logs]
    seconds = statistics.mean(row["seconds"] for row in looks.values())
    print(f"log(measured / looked) of the {len(logs)} above {LEAST_DIVERGENCE}: standard deviation "
          f"{statistics.pstdev(ratio for _, ratio in logs):.2f}, {statistics.pstdev(left):.2f} once "
          f"the divergence is known; {seconds:.3f} core seconds a look.")


def looks(_flags, folder):
    trials = [row for row in read(folder / "plans.jsonl") if row["state"] == "MEASURED"]
    looks_line(folder, {row["trial"]: row for row in trials[1:] if "early_stop" not in row})


def falling_curve(points):
    """Accuracy by divergence: pools of adjacent violators, linear between them."""
    pools = []
    for x, y in sorted(points):
        pool = [x, x, y, 1]
        while pools and pools[-1][2] <= pool[2]:
            first, _, mean, count = pools.pop()
            both = count + pool[3]
            pool = [first, pool[1], (mean * count + pool[2] * pool[3]) / both, both]
        pools.append(pool)

    def at(x):
        for i, (first, last, mean, _) in enumerate(pools):
            if x > last and i + 1 < len(pools):
                continue
            if x >= first or i == 0:
                return mean
            before = pools[i - 1]
            share = (x - before[1]) / (first - before[1])
            return before[2] + share * (mean - before[2])
        return pools[-1][2]
    return at


def choose(plans, baseline, least_gain, cells=512):
    """As Finalists::Choose with "latency" alone, nothing being measured whole yet."""
    curve = falling_curve([(0, 1)] + [(p["kl_divergence"], p["accuracy"] / baseline["accuracy"])
                                      for p in plans])
    best = [LEAST_ACCURACY_RATIO] * cells
    points = [(max(0, math.ceil(p["latency_ratio"] * cells) - 1),
               curve(p["kl_divergence"]) + 0.01 * math.expm1(-p["kl_divergence"]), p)
              for p in plans]
    chosen = []
    while True:
        gains = [sum(max(0, worth - known) for known in best[first:])
                 for first, worth, _ in points]
        most = max(range(len(points)), key=gains.__getitem__)
        if gains[most] < least_gain * (1 - LEAST_ACCURACY_RATIO) * cells:
            return chosen
        first, worth, plan = points[most]
        best[first:] = [max(worth, known) for known in best[first:]]
        chosen.append(plan)


def finalists(flags, folder):
    plans = [row for row in read(folder / "plans.jsonl") if row["state"] == "MEASURED"]
    baseline = plans.pop(0)
    print("| least gain | measured whole | hypervolume |")
    print("|---|---|---|")
    for gain in (5e-4, 2e-4, 1e-4, 5e-5):
        chosen = choose(plans, baseline, gain)
        volume = hypervolume([chosen[i] for i in frontier(chosen)], baseline)
        print(f"| {gain} | {len(chosen)} | {volume:.4f} |")
    volume = hypervolume([plans[i] for i in frontier(plans)], baseline)
    print(f"| all | {len(plans)} | {volume:.4f} |")


def table(flags, folder):
    truth = {row["trial"]: row for row in read(folder / "plans.jsonl")
             if row["state"] == "MEASURED"}
    baseline = truth.pop(0)
    print("| way | trials | core seconds each | an hour | times plain | measured whole | "
          "hypervolume |")
    print("|---|---|---|---|---|---|---|")
    plain = {row["trial"]: row for row in read(folder / "plain.jsonl")}
    for number, row in plain.items():
        assert row["correct"] == truth[number]["correct"], f"trial {number} is not what it was"
    mean = sum(row["seconds"] for row in plain.values()) / len(plain)
    for way in ("plain", "product", "ladder"):
        path = folder / f"{way}.jsonl"
        if not path.exists():
            continue
        rows = [row for row in read(path) if row["trial"] in truth]
        # What was looked at and then measured whole is one trial.
        trials = len({row["trial"] for row in rows})
        each = sum(row["seconds"] for row in rows) / trials
        whole = [row for row in rows if not row.get("is_look")]
        # Where a part of the trials was played it stands for all: nothing is lost.
        numbers = [row["trial"] for row in whole] if way == "ladder" else list(truth)
        points = [truth[number] for number in numbers]
        volume = hypervolume([points[i] for i in frontier(points)], baseline)
        print(f"| {way} | {trials} | {each:.3f} | {3600 / each:.0f} | {mean / each:.1f} | "
              f"{len(whole)} | {volume:.4f} |")
    if (folder / "looks.jsonl").exists():
        looks_line(folder, truth)


def predicted(folder, plans, rest):
    """Latency ratios of the plans by one table of single layers, in their order."""
    listed = folder / "compared.jsonl"
    with open(listed, "w") as file:
        for number, plan in enumerate(plans, 1):
            print(json.dumps(dict(plan, trial=number)), file=file)
    out = subprocess.run([BIN / "lathe-evaluation-study", *rest, "--plans", listed, "--mode",
                          "predictions"], capture_output=True, text=True, check=True).stdout
    ratios = {row["trial"]: row["latency_ratio"] for row in map(json.loads, out.splitlines())}
    return [ratios[number] for number in range(1, len(plans) + 1)]


def compare(flags, folder):
    searches = []
    for name in flags.name.split(","):
        own = folder.parent / name
        if not (own / "plans.jsonl").exists():
            list_trials(own / "state", own / "plans.jsonl")
        trials = [row for row in read(own / "plans.jsonl") if row["state"] == "MEASURED"]
        searches.append((name, own, trials, [row for row in trials[1:] if "early_stop" not in row]))
    ratios = iter(predicted(folder.parent, [row for *_, whole in searches for row in whole],
                            flags.rest))
    print("| search | trials | measured whole | core seconds | each | frontier | hypervolume | "
          "by one table | and by divergence |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, own, trials, whole in searches:
        seconds = sum(map(float, (own / "time").read_text().split()[:2]))
        by_table = [dict(row, latency_ratio=next(ratios)) for row in whole]
        volumes = []
        for rows in (whole, by_table):
            members = [rows[i] for i in frontier(rows)]
            volumes.append(hypervolume(members, trials[0]))
        # Report splits of few samples tell little: exp(-KL) for the accuracy ratio.
        volumes.append(volume((row["latency_ratio"], math.exp(-row["kl_divergence"]))
                              for row in by_table))
        print(f"| {name} | {len(trials)} | {len(whole)} | {seconds:.0f} | "
              f"{seconds / len(trials):.2f} | {len(members)} | "
              f"{' | '.join(f'{v:.4f}' for v in volumes)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["record", "play", "finalists", "looks", "table", "compare"])
    parser.add_argument("--name", required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", default="plain,product,looks,ladder")
    parser.add_argument("--every", type=int, default=1,
                        help="plain and product play every so many-th trial")
    parser.add_argument("--to", default=HERE / "runs")
    # argparse finds no list of positional arguments behind options.
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    flags = parser.parse_args(sys.argv[1:end])
    flags.rest = sys.argv[end + 1:]
    folder = pathlib.Path(flags.to) / flags.name
    if flags.step != "compare":
        folder.mkdir(parents=True, exist_ok=True)
    {"record": record, "play": play, "finalists": finalists, "looks": looks, "table": table,
     "compare": compare}[flags.step](flags, folder)


if __name__ == "__main__":
    main()
