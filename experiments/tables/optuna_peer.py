#!/usr/bin/env python3
"""Plays Optuna's samplers on an enumerated search space, by the rules of
lathe-bench: first looks at entries are charged, looking again is free.

    experiments/tables/optuna_peer.py --table T.npz --sampler nsga2 --seeds 5

Needs Debian's python3-optuna and python3-numpy. Prints the JSON object that
`lathe-bench -o json` prints, with the sampler as the agent.
"""
import argparse
import json
import sys
import time

try:
    import numpy
    import optuna
except ModuleNotFoundError as error:
    sys.exit(f"optuna_peer.py needs Python's {error.name}, which is not installed; install "
             f"Debian's python3-{error.name} and run it with /usr/bin/python3")

CHECKPOINTS = (50, 75, 100, 150, 200, 300)
SAMPLERS = {
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


class Table:
    def __init__(self, path):
        arrays = numpy.load(path)
        self.shape = [int(n) for n in arrays["shape"]]
        self.quality = arrays["quality"]
        self.latency = arrays["latency_ratio"]
        self.size = arrays["size_ratio"]
        self.latency_budgets = arrays["budget_latency"]
        self.size_budgets = arrays["budget_size"]
        self.reference = float(arrays["quality_reference"])
        self.exhaustive = float(arrays["exhaustive_hypervolume"])


class Game:
    """Scores the entries that were looked at, in the order of first looks."""

    def __init__(self, table, evaluations):
        self.table = table
        self.evaluations = evaluations
        self.seen = set()
        self.best = numpy.full((len(table.latency_budgets), len(table.size_budgets)),
                               table.reference)
        self.ratios = {}

    def look(self, entry):
        if entry in self.seen:
            return
        self.seen.add(entry)
        table = self.table
        fits = numpy.logical_and.outer(table.latency[entry] <= table.latency_budgets,
                                       table.size[entry] <= table.size_budgets)
        self.best[fits] = numpy.maximum(self.best[fits], table.quality[entry])
        self.ratios[len(self.seen)] = float(
            (self.best - table.reference).mean() / table.exhaustive)

    def is_over(self):
        return len(self.seen) >= self.evaluations


def play(table, sampler, seed, evaluations):
    game = Game(table, evaluations)
    game.look(0)  # The uncompressed entry, as for every agent.
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"],
                                sampler=SAMPLERS[sampler](seed))
    # A sampler may ask again and again for what it has seen.
    for _ in range(20 * evaluations):
        if game.is_over():
            break
        trial = study.ask()
        choices = [trial.suggest_categorical(f"d{d}", list(range(n)))
                   for d, n in enumerate(table.shape)]
        entry = int(numpy.ravel_multi_index(choices, table.shape))
        game.look(entry)
        study.tell(trial, [float(table.quality[entry]), float(table.latency[entry]),
                           float(table.size[entry])])
    return game


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True)
    parser.add_argument("--sampler", choices=sorted(SAMPLERS), required=True)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed-from", type=int, default=0)
    flags = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    table = Table(flags.table)
    checkpoints = [c for c in CHECKPOINTS if c < flags.evaluations] + [flags.evaluations]
    start = time.monotonic()
    ratios = []
    looks = 0
    for seed in range(flags.seed_from, flags.seed_from + flags.seeds):
        game = play(table, flags.sampler, seed, flags.evaluations)
        last = len(game.seen)
        looks += last
        ratios.append([game.ratios[min(c, last)] for c in checkpoints])
    print(json.dumps({
        "agent": f"optuna-{flags.sampler}", "table": flags.table,
        "checkpoints": checkpoints, "hypervolume_ratio": ratios,
        "seconds_per_evaluation": (time.monotonic() - start) / looks}))


if __name__ == "__main__":
    main()
