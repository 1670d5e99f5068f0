#!/usr/bin/env python3
"""Makes README.md and the curves of recorded runs.

    experiments/search/report.py [--runs runs] [--to README.md]

Endpoints named beforehand: the share of the exhaustive hypervolume at the last
checkpoint, and the area under the curve from the first to the last.
"""
import argparse
import json
import os

import curves
import real_report
from statistics_of_runs import (area, figure, holm, interquartile_mean, permutation_p,
                                probability_of_improvement)

HERE = os.path.dirname(os.path.abspath(__file__))
UNSEEDED = ["random", "nsga2", "tpe", "haq", "amc"]
SOLVERS = ["adaptive", "clado"]
SEEDED = ["seeded-nsga2", "seeded-localsearch", "seeded-tpe"]
MARGIN = 0.003


class Run:
    def __init__(self, path):
        with open(path) as file:
            self.json = json.load(file)
        self.name = os.path.basename(path)[:-len(".json")]
        self.checkpoints = self.json["checkpoints"]
        self.ratios = self.json["hypervolume_ratio"]
        self.final = [seed[-1] for seed in self.ratios]
        self.areas = [area(self.checkpoints, seed) for seed in self.ratios]


def read(folder):
    """Runs by table, then by name."""
    tables = {}
    for table in sorted(os.listdir(folder)):
        inside = os.path.join(folder, table)
        if os.path.isdir(inside) and table != "real":
            tables[table] = {run.name: run for run in
                             (Run(os.path.join(inside, f)) for f in sorted(os.listdir(inside))
                              if f.endswith(".json"))}
    return tables


def main_table(runs):
    named = sorted(runs.values(), key=lambda run: -interquartile_mean(run.final))
    lines = ["| agent | seeds | " + " | ".join(str(c) for c in named[0].checkpoints)
             + " | area | ms per evaluation |",
             "|---" * (len(named[0].checkpoints) + 4) + "|"]
    for run in named:
        cells = [f"{interquartile_mean([seed[i] for seed in run.ratios]):.3f}"
                 for i in range(len(run.checkpoints) - 1)]
        lines.append(f"| `{run.name}` | {len(run.final)} | " + " | ".join(cells)
                     + f" | {figure(run.final)} | {figure(run.areas)} | "
                     f"{1e3 * run.json['seconds_per_evaluation']:.1f} |")
    return lines


def comparison(runs, others, shift=0.0):
    """Rows of rl against each of `others`; `shift` is taken off what they reached."""
    rl = runs["rl"]
    is_complete = all(name in runs for name in others)
    others = [name for name in others if name in runs]
    tests = [(name, endpoint) for name in others for endpoint in ("final", "areas")]
    paired = [permutation_p(getattr(rl, endpoint),
                            [x - shift for x in getattr(runs[name], endpoint)])
              for name, endpoint in tests]
    adjusted = holm(paired)
    if not tests:
        return [], None
    lines = ["| against | endpoint | difference | better with probability | p (Holm) |",
             "|---|---|---|---|---|"]
    for (name, endpoint), p in zip(tests, adjusted):
        ours, theirs = getattr(rl, endpoint), getattr(runs[name], endpoint)
        difference = interquartile_mean(ours) - interquartile_mean(theirs)
        lines.append(f"| `{name}` | {'last' if endpoint == 'final' else 'area'} | "
                     f"{difference:+.4f} | {probability_of_improvement(ours, theirs):.2f} | "
                     f"{p:.4f} |")
    # A claim about all of them cannot hold by some of them.
    holds = all(p < 0.05 for p in adjusted)
    if holds and not is_complete:
        holds = None
    return lines, holds


def verdict(holds):
    return {True: "holds", False: "**does not hold**", None: "not shown: not all of the comparisons were run"}[holds]


def audit(runs):
    """H6: at each budget of the table's grid, the best quality found against the solver's."""
    name = "- H6, no latency budget at which what was found is significantly worse than the solver's"
    if "ilp" not in runs or "quality_by_latency" not in runs["rl"].json:
        return name + ": not run."
    ours, theirs = (runs[run].json["quality_by_latency"] for run in ("rl", "ilp"))
    seeds = min(len(ours), len(theirs))
    budgets = [b for b in range(len(ours[0]))
               if any(ours[s][b] != theirs[s][b] for s in range(seeds))]
    worse = holm([permutation_p([theirs[s][b] for s in range(seeds)],
                                [ours[s][b] for s in range(seeds)]) for b in budgets])
    means = [sum(theirs[s][b] - ours[s][b] for s in range(seeds)) / seeds for b in budgets]
    significant = [loss for loss, p in zip(means, worse) if p < 0.05]
    largest = f", by {100 * max(significant):.2g} points at most" if significant else ""
    losses = sum(ours[s][b] < theirs[s][b] for s in range(seeds) for b in budgets)
    return (f"{name} (`ilp`): {verdict(not significant)} ({len(significant)} of "
            f"{len(ours[0])} budgets significantly worse{largest}; in {losses} of "
            f"{seeds * len(ours[0])} pairs of budget and seed the solver's is better).")


def pretrained(runs):
    """H8: evaluations to 0.95 of the exhaustive hypervolume, from scratch and pre-trained."""
    name = "- H8, pre-trained on another network, fewer evaluations to 0.95"
    if "rl-pretrained" not in runs:
        return name + ": not run."
    both = []
    for run in ("rl", "rl-pretrained"):
        # A run that never got there counts as if it had at twice the last checkpoint.
        never = 2 * runs[run].checkpoints[-1]
        both.append([never if to is None else to
                     for to in runs[run].json["evaluations_to_0.95"]])
    p = permutation_p(both[0], both[1])
    tables = ", ".join(runs["rl-pretrained"].json["pretrained_on"])
    return (f"{name}: {verdict(p < 0.05)} (interquartile mean {interquartile_mean(both[0]):.1f} "
            f"from scratch, {interquartile_mean(both[1]):.1f} pre-trained on {tables}, p "
            f"{p:.3f}).")


def hypotheses(table, runs):
    lines = [f"### Hypotheses on {table}", ""]
    summary = []
    for name, claim, others, shift in (
            ("H1", "better than random, NSGA-II, TPE and DDPG", UNSEEDED, 0.0),
            ("H2", "better than the adaptive solver and CLADO", SOLVERS, 0.0),
            ("H3", "better than each seeded search", SEEDED, 0.0),
            ("H4", f"not worse than surrogate + evolution (margin {MARGIN})",
             ["surrogate-ea"], MARGIN)):
        rows, holds = comparison(runs, others, shift)
        summary.append(f"- {name}, {claim}: {verdict(holds)}.")
        if rows:
            lines += [f"{name}:", ""] + rows + [""]
    reached = interquartile_mean(runs["rl"].final)
    summary.append(f"- H5, 0.98 of the exhaustive hypervolume at the last checkpoint: "
                   f"{verdict(reached >= 0.98)} ({reached:.4f}).")
    unasked = runs["rl"].json.get("unasked")
    if unasked:
        # Earlier runs left out what was not answered, or exceeded its budget.
        counted = ("count as worth nothing" if unasked.get("losses") == "all budgets"
                   else "are left out")
        summary.append(
            f"- H7, {unasked['asked']} budgets nobody asked for, mean loss of quality under 0.5 "
            f"points: {verdict(unasked['mean_loss'] < 0.005)} "
            f"(mean {100 * unasked['mean_loss']:.2f} points of the range from reference to "
            f"original, 95th percentile {100 * unasked['loss_p95']:.2f}; "
            f"{unasked['exceeded']} that exceeded their budget when looked up and "
            f"{unasked['unanswered']} without an answer {counted}).")
    summary += [audit(runs), pretrained(runs)]
    summary.sort()
    return summary + [""] + lines


def sources(run):
    lines = ["| proposer | evaluations | gain | share of the gain |", "|---|---|---|---|"]
    shares = run.json["sources"]
    whole = sum(share["gain"] for share in shares.values())
    for name, share in sorted(shares.items(), key=lambda item: -item[1]["gain"]):
        lines.append(f"| `{name}` | {share['evaluations']:.1f} | {share['gain']:.4f} | "
                     f"{100 * share['gain'] / whole:.1f} % |")
    return lines


def ceiling(path):
    """What ceiling.py found, in words."""
    if not os.path.exists(path):
        return []
    with open(path) as file:
        found = json.load(file)
    return [f"Measured latencies scatter by {100 * found['residual_sd']:.2f} % about a model of "
            "single decisions and pairs of neighbours: who knew every quality and that model, "
            f"and measured its {found['entries']} frontier entries, would have "
            f"{found['hypervolume_ratio']:.4f} (`ceiling.py`). What is above belongs to entries "
            "that came out quicker than their kind, which no model finds.", ""]


def section(table, runs, folder, found_by_all):
    agents = {name: run for name, run in runs.items() if not name.startswith("rl-")}
    ablations = {name: run for name, run in runs.items()
                 if name.startswith("rl-") or name == "rl"}
    lines = [f"## {table}", "",
             "Share of the exhaustive hypervolume, interquartile mean over the seeds with its "
             "95 % bootstrap interval at the last checkpoint.", ""]
    lines += main_table(agents) + [""]
    curves.write(os.path.join(folder, f"{table}.svg"), agents)
    lines += [f"![What is missing from the exhaustive hypervolume, by evaluations]({table}.svg)",
              ""]
    lines += found_by_all
    if "rl" in runs:
        lines += hypotheses(table, runs) + [f"### What `rl`'s evaluations gained on {table}", ""]
        lines += sources(runs["rl"]) + [""]
    if len(ablations) > 1:
        lines += [f"### `rl` without its parts on {table}", ""] + main_table(ablations) + [""]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default=os.path.join(HERE, "runs"))
    parser.add_argument("--to", default=os.path.join(HERE, "README.md"))
    flags = parser.parse_args()
    with open(os.path.join(HERE, "introduction.md")) as file:
        lines = [file.read().rstrip(), ""]
    for table, runs in read(flags.runs).items():
        lines += section(table, runs, os.path.dirname(os.path.abspath(flags.to)),
                         ceiling(os.path.join(flags.runs, table + ".ceiling.json")))
    lines += real_report.sections(os.path.join(flags.runs, "real"))
    with open(flags.to, "w") as file:
        file.write("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
