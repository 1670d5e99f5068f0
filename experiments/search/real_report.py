"""Tables of what real.py recorded, one a network."""
import json
import os

from statistics_of_runs import (figure, interquartile_mean, permutation_p,
                                probability_of_improvement)


class Search:
    """One recorded search."""

    def __init__(self, path):
        with open(path) as file:
            run = json.load(file)
        self.agent, self.seed, self.trials = run["agent"], run["seed"], run["trials"]
        self.final, self.optimism = run["hypervolume"], run["optimism"]
        self.thinking_ratio, self.rounds = run["thinking_ratio"], run["rounds"]

    def seconds(self):
        """What trials took, the agent's thinking with them."""
        return sum(r["evaluation_seconds"] + r["thinking_seconds"] for r in self.rounds)

    def at_trials(self, trials):
        """Hypervolume of what the search split said of the first trials."""
        return sum(r["gain"] for r in self.rounds if r["trial"] < trials)

    def at_seconds(self, seconds):
        """The same of the trials that had ended after so many seconds."""
        reached, spent = 0.0, 0.0
        for r in self.rounds:
            spent += r["evaluation_seconds"] + r["thinking_seconds"]
            if spent > seconds + 1e-9:
                break
            reached += r["gain"]
        return reached

    def slowest_round(self):
        """Thinking over evaluating, of the round in which it thought longest."""
        slow = max((r for r in self.rounds if r["trial"] > 0),
                   key=lambda r: r["thinking_seconds"])
        return slow["thinking_seconds"] / slow["evaluation_seconds"]


def mean(values):
    return sum(values) / len(values)


def agents_table(searches, trials, seconds):
    lines = ["| agent | seeds | hypervolume, report split | at half the trials | at all "
             f"| after {seconds:.0f} s | s a trial | thinking | slowest round "
             "| optimism, points |", "|---" * 10 + "|"]
    order = sorted(searches, key=lambda a: -interquartile_mean([s.final for s in searches[a]]))
    for agent in order:
        runs = searches[agent]
        lines.append(
            f"| `{agent}` | {len(runs)} | {figure([s.final for s in runs])} "
            f"| {interquartile_mean([s.at_trials(trials / 2) for s in runs]):.4f} "
            f"| {interquartile_mean([s.at_trials(trials) for s in runs]):.4f} "
            f"| {interquartile_mean([s.at_seconds(seconds) for s in runs]):.4f} "
            f"| {mean([s.seconds() / s.trials for s in runs]):.2f} "
            f"| {100 * mean([s.thinking_ratio for s in runs]):.1f} % "
            f"| {100 * max(s.slowest_round() for s in runs):.1f} % "
            f"| {100 * mean([s.optimism for s in runs]):+.2f} |")
    return lines


def against_table(searches, trials, seconds):
    """`rl` against each other agent, on the seeds that both have."""
    lines = ["| `rl` against | seeds | at all trials | better with probability | p "
             f"| after {seconds:.0f} s | better with probability | p |", "|---" * 8 + "|"]
    own = {s.seed: s for s in searches.get("rl", [])}
    for agent, runs in searches.items():
        pairs = [(own[s.seed], s) for s in runs if agent != "rl" and s.seed in own]
        if not pairs:
            continue
        cells = []
        for reached in (lambda s: s.at_trials(trials), lambda s: s.at_seconds(seconds)):
            ours, theirs = ([reached(pair[i]) for pair in pairs] for i in (0, 1))
            cells.append(f"| {mean(ours) - mean(theirs):+.4f} "
                         f"| {probability_of_improvement(ours, theirs):.2f} "
                         f"| {permutation_p(ours, theirs):.3f} ")
        lines.append(f"| `{agent}` | {len(pairs)} " + "".join(cells) + "|")
    return lines


def section(network, folder):
    searches = {}
    for name in sorted(os.listdir(folder)):
        search = Search(os.path.join(folder, name))
        searches.setdefault(search.agent, []).append(search)
    runs = [s for of_agent in searches.values() for s in of_agent]
    if not runs:
        return []
    trials = min(s.trials for s in runs)
    seconds = min(s.seconds() for s in runs)
    return [f"## Real searches of {network}", "",
            f"`real.py`: {trials} trials of `lathe search` with one worker, measured accuracy and "
            "latency. The first hypervolume is of the report split, which no agent saw; the "
            "others are of the search split: at equal evaluations, and at equal wall clock, "
            f"which is what the quickest of the runs took ({seconds:.0f} s). Seconds hold the "
            "agent's thinking. Thinking: over what the proposals' evaluations took, for whole "
            "jobs and for the round of any seed in which it took longest. p: one-sided, paired, "
            "not corrected; with five seeds it cannot be under 0.03.", "",
            *agents_table(searches, trials, seconds), "",
            *against_table(searches, trials, seconds), ""]


def sections(folder):
    lines = []
    if os.path.isdir(folder):
        for network in sorted(os.listdir(folder)):
            lines += section(network, os.path.join(folder, network))
    return lines
