"""Regret curves with bands, as SVG."""
import math

from statistics_of_runs import interquartile_mean, interval

WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 720, 420, 60, 40, 130, 12
COLOURS = ["#1b6ca8", "#c0392b", "#27824a", "#8e44ad", "#d68910", "#16808a", "#7f6000",
           "#555555", "#ad1457", "#00838f", "#5d4037", "#3949ab", "#689f38"]


def write(path, runs):
    """One curve a run: 1 - ratio, logarithmic, over the checkpoints."""
    points = next(iter(runs.values())).checkpoints
    least = min(min(1 - ratio for ratio in map(max, run.ratios)) for run in runs.values())
    bottom = math.floor(10 * math.log10(max(least, 1e-4))) / 10

    def place(x, regret):
        across = LEFT + (x - points[0]) / (points[-1] - points[0]) * (WIDTH - LEFT - RIGHT)
        up = (math.log10(max(regret, 1e-4)) - bottom) / -bottom
        return f"{across:.1f},{HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for x in points:
        at = place(x, 1).split(",")[0]
        parts.append(f'<text x="{at}" y="{HEIGHT - 14}" text-anchor="middle">{x}</text>')
    for exponent in range(math.ceil(bottom), 1):
        for factor in (1, 2, 5):
            regret = factor * 10 ** exponent
            if 10 ** bottom <= regret <= 1:
                at = place(points[0], regret).split(",")[1]
                parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" '
                             'stroke="#ddd"/>'
                             f'<text x="{LEFT - 6}" y="{at}" text-anchor="end">{regret:g}</text>')
    ordered = sorted(runs.values(), key=lambda run: -interquartile_mean(run.final))
    for i, run in enumerate(ordered):
        colour = COLOURS[i % len(COLOURS)]
        columns = [[seed[c] for seed in run.ratios] for c in range(len(points))]
        bands = [interval(column, draws=400) for column in columns]
        edge = [place(x, 1 - high) for x, (_, high) in zip(points, bands)]
        edge += reversed([place(x, 1 - low) for x, (low, _) in zip(points, bands)])
        middle = [place(x, 1 - interquartile_mean(column))
                  for x, column in zip(points, columns)]
        parts.append(f'<polygon points="{" ".join(edge)}" fill="{colour}" opacity="0.15"/>')
        parts.append(f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" '
                     'stroke-width="1.6"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 14 + 17 * i}" '
                     f'fill="{colour}">{run.name}</text>')
    parts.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n")
