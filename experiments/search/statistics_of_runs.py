"""Interquartile means, their bootstrap intervals, and paired tests."""
import random


def interquartile_mean(values):
    """Mean of the middle half; values at the edges count in part."""
    ordered = sorted(values)
    n = len(ordered)
    low, high = n / 4, 3 * n / 4
    total = 0.0
    for i, value in enumerate(ordered):
        total += value * max(0.0, min(i + 1, high) - max(i, low))
    return total / (high - low)


def interval(values, statistic=interquartile_mean, draws=2000, seed=1):
    """95 % bootstrap interval over the seeds."""
    generator = random.Random(seed)
    drawn = sorted(statistic(generator.choices(values, k=len(values))) for _ in range(draws))
    return drawn[int(0.025 * draws)], drawn[int(0.975 * draws) - 1]


def figure(values):
    """Interquartile mean with its interval, for tables."""
    low, high = interval(values)
    return f"{interquartile_mean(values):.4f} ({low:.4f} to {high:.4f})"


def probability_of_improvement(a, b):
    """That a run of `a` beats a run of `b`; ties count half."""
    wins = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    return wins / (len(a) * len(b))


def permutation_p(a, b, draws=20000, seed=1):
    """One-sided: how often signs drawn at random give a mean difference of the
    paired runs as large as the one seen."""
    generator = random.Random(seed)
    differences = [x - y for x, y in zip(a, b)]
    seen = sum(differences)
    hits = 1
    for _ in range(draws):
        hits += sum(d if generator.random() < 0.5 else -d for d in differences) >= seen - 1e-12
    return hits / (draws + 1)


def holm(p_values):
    """Holm's correction: the adjusted values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def area(checkpoints, ratios):
    """Mean height of the curve from the first checkpoint to the last."""
    total = 0.0
    for (x0, y0), (x1, y1) in zip(zip(checkpoints, ratios), zip(checkpoints[1:], ratios[1:])):
        total += (x1 - x0) * (y0 + y1) / 2
    return total / (checkpoints[-1] - checkpoints[0])
