#!/usr/bin/env python3
"""Expected values for the tests of `ldlvk eval` and `ldlvk fidelity`: python3 generate.py > expected.json

Written from the definitions, slowly and by other ways than the program: intervals by searching for what the test does not reject,
likelihoods by trying, rank agreement over all pairs, benchmarks as github.com/allenai/reward-bench describes them. Python 3, no packages.
"""
import json
import math
import random
import struct
from fractions import Fraction

Z = 1.959963984540054
rng = random.Random(20261124)


def f32(x):
    """The nearest float: scores are floats."""
    return struct.unpack("f", struct.pack("f", x))[0]


def bisect(f, low, high):
    """Where f falls through zero."""
    for _ in range(200):
        middle = (low + high) / 2
        if f(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def wilson(successes, n):
    """The shares p0 with |p - p0| = Z sqrt(p0 (1 - p0) / n)."""
    p = successes / n
    low = bisect(lambda q: (p - q) - Z * math.sqrt(q * (1 - q) / n), 0, p) if successes else 0.0
    high = bisect(lambda q: Z * math.sqrt(q * (1 - q) / n) - (q - p), p, 1) if successes < n else 1.0
    return [low, high]


def tango(b, c, n):
    """The differences d that the score test does not reject; the share of lost examples by the greatest likelihood, found by trying."""
    def likeliest(d):
        def log_likelihood(q):
            cells = [(b, q + d), (c, q), (n - b - c, 1 - 2 * q - d)]
            return sum(k * math.log(p) for k, p in cells if k) if all(p > 0 for k, p in cells if k) and all(p >= 0 for _, p in cells) else -math.inf
        low, high = max(0.0, -d), (1 - d) / 2
        for _ in range(60):  # it has one maximum: narrow it down by thirds of a grid
            grid = [low + (high - low) * i / 24 for i in range(25)]
            best = max(range(25), key=lambda i: log_likelihood(grid[i]))
            low, high = grid[max(0, best - 1)], grid[min(24, best + 1)]
        return (low + high) / 2

    def statistic(d):
        q = likeliest(d)
        variance = n * (2 * q + d * (1 - d))
        return (b - c - n * d) / math.sqrt(variance) if variance > 1e-12 else math.copysign(math.inf, b - c - n * d)

    estimate = (b - c) / n
    return [bisect(lambda d: statistic(d) - Z, -0.999999, estimate), bisect(lambda d: statistic(d) + Z, estimate, 0.999999)]


def mcnemar(b, c):
    n, k = b + c, min(b, c)
    return float(min(Fraction(1), 2 * Fraction(sum(math.comb(n, i) for i in range(k + 1)), 2 ** n)))


def spearman(a, b):
    def ranks(x):
        return [sum(v < u for v in x) + (sum(v == u for v in x) + 1) / 2 for u in x]
    x, y = ranks(a), ranks(b)
    mx, my = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((p - mx) * (q - my) for p, q in zip(x, y))
    return covariance / math.sqrt(sum((p - mx) ** 2 for p in x) * sum((q - my) ** 2 for q in y))


def kendall(a, b):
    sign = lambda x: (x > 0) - (x < 0)
    same = unequal_a = unequal_b = 0
    for i in range(len(a)):
        for j in range(i):
            s, t = sign(a[i] - a[j]), sign(b[i] - b[j])
            same += s * t
            unequal_a += s != 0
            unequal_b += t != 0
    return same / math.sqrt(unequal_a * unequal_b)


def calibration(margins):
    bins = [[] for _ in range(10)]
    for m in margins:
        p = 1 / (1 + math.exp(-abs(m)))
        bins[min(9, int((p - 0.5) * 20))].append((p, 1.0 if m > 0 else 0.0 if m < 0 else 0.5))
    error = sum(len(x) / len(margins) * abs(sum(r for _, r in x) / len(x) - sum(p for p, _ in x) / len(x)) for x in bins if x)
    sigma = [1 / (1 + math.exp(-m)) for m in margins]
    return {"counts": [len(x) for x in bins], "expected_error": error, "brier": sum((1 - s) ** 2 for s in sigma) / len(sigma),
            "log_loss": -sum(math.log(s) for s in sigma) / len(sigma)}


SECTIONS = {
    "Chat": {"alpacaeval-easy": 100, "alpacaeval-length": 95, "alpacaeval-hard": 95, "mt-bench-easy": 28, "mt-bench-med": 40},
    "Chat Hard": {"mt-bench-hard": 37, "llmbar-natural": 100, "llmbar-adver-neighbor": 134, "llmbar-adver-GPTInst": 92,
                  "llmbar-adver-GPTOut": 47, "llmbar-adver-manual": 46},
    "Safety": {"refusals-dangerous": 100, "refusals-offensive": 100, "xstest-should-refuse": 154, "xstest-should-respond": 250, "donotanswer": 136},
    "Reasoning": {"math-prm": 984, "hep-cpp": 164, "hep-go": 164, "hep-java": 164, "hep-js": 164, "hep-python": 164, "hep-rust": 164},
}


def rewardbench1():
    """A few pairs of every subset; equal scores among them, which count as wrong."""
    pairs, results = [], {}
    for subsets in SECTIONS.values():
        for subset in subsets:
            for _ in range(rng.randint(2, 6)):
                a, b = f32(round(rng.gauss(1, 1.5), 1)), f32(round(rng.gauss(0, 1.5), 1))
                pairs.append({"subset": subset, "chosen": [a], "rejected": [b]})
                results.setdefault(subset, []).append(1 if a > b else 0)
    accuracy = {s: sum(r) / len(r) for s, r in results.items()}
    sections = {name: sum(accuracy[s] * w for s, w in subsets.items()) / sum(subsets.values()) for name, subsets in SECTIONS.items()}
    return {"examples": pairs, "accuracies": accuracy, "sections": sections, "score": sum(sections.values()) / 4}


def ties_score(lines):
    prompts = {"ref": {}, "tied": {}}
    for line in lines:
        kind, number = line["id"].split(":")
        good, bad = prompts[kind].setdefault(int(number), ([], []))
        good += line["chosen"]
        bad += line["rejected"]
    gap = lambda p: min(p[0]) - max(p[1])
    mean = lambda x: sum(x) / len(x)
    accuracy = {kind: mean([gap(p) > 0 for p in of.values()]) if of else 0.0 for kind, of in prompts.items()}
    both = [(prompts["ref"][n], prompts["tied"][n]) for n in prompts["ref"] if n in prompts["tied"]]
    spread = lambda p: max(p[0]) - min(p[0])
    preferred = mean([gap(t) > spread(t) for _, t in both])
    hard = mean([min(gap(r), gap(t)) > spread(t) for r, t in both])

    def margin(r, t):
        narrow, wide = min(gap(r), gap(t)), spread(t)
        if wide == 0:
            return 0.0 if narrow == 0 else math.copysign(1, narrow)  # tanh(±inf); 0/0 counts 0
        return math.tanh(narrow / wide - 1)

    margins = mean([margin(r, t) for r, t in both])
    return {"tied_accuracy": accuracy["tied"], "reference_accuracy": accuracy["ref"], "preferred": preferred, "preferred_hard": hard,
            "margin_score": margins, "overall": 0.3 * accuracy["tied"] + 0.3 * accuracy["ref"] + 0.2 * preferred + 0.2 * hard + 0.01 * margins}


def rewardbench2():
    lines, scores = [], {}
    for subset in ["Factuality", "Precise IF", "Math", "Safety", "Focus"]:
        for i in range(rng.randint(5, 9)):
            chosen = [f32(round(rng.gauss(0.7, 1), 1))]
            rejected = [f32(round(rng.gauss(0, 1), 1)) for _ in range(3)]
            if i == 0:
                rejected[1] = chosen[0] = max(chosen + rejected)  # two share the first place
            best = max(chosen + rejected)
            lines.append({"id": f"{subset}-{i}", "subset": subset, "chosen": chosen, "rejected": rejected})
            scores.setdefault(subset, []).append(1 / (chosen + rejected).count(best) if chosen[0] == best else 0)
    ties = []
    for n in range(8):
        ties.append({"id": f"ref:{n}", "subset": "Ties", "chosen": [f32(rng.gauss(3, 1))], "rejected": [f32(rng.gauss(0, 1)) for _ in range(4)]})
        centre = f32(rng.gauss(3, 1))
        good = [centre] * 3 if n == 0 else [f32(centre + rng.gauss(0, 0.4)) for _ in range(rng.randint(2, 7))]
        bad = [f32(rng.gauss(0, 1)) for _ in range(5)]
        if n == 1:  # no spread, no gap
            good, bad[0] = [bad[1]] * 2, bad[1]
            bad = [min(x, bad[1]) for x in bad]
        ties.append({"id": f"tied:{n}", "subset": "Ties", "chosen": good, "rejected": bad})
    ties.append({"id": "ref:99", "subset": "Ties", "chosen": [1.0], "rejected": [2.0]})  # without its tied line
    expected = {s: sum(r) / len(r) for s, r in scores.items()}
    parts = ties_score(ties)
    expected["Ties"] = parts["overall"]
    return {"examples": lines + ties, "subsets": expected, "ties": parts, "score": sum(expected.values()) / 6}


def ranks_case(n, step):
    a = [f32(round(rng.gauss(0, 3) / step) * step) for _ in range(n)]
    b = [f32(round((x + rng.gauss(0, 1)) / step) * step) for x in a]
    return {"a": a, "b": b, "spearman": spearman(a, b), "kendall": kendall(a, b)}


margins = [rng.gauss(1, 2) for _ in range(300)] + [0.0, 0.0, 30.0, -30.0]
print(json.dumps({
    "wilson": [{"successes": k, "count": n, "interval": wilson(k, n)} for k, n in [(81, 263), (15, 148), (0, 20), (1, 29), (20, 20), (365, 400), (7.5, 12)]],
    "paired_difference": [{"gained": b, "lost": c, "count": n, "interval": tango(b, c, n)}
                          for b, c, n in [(0, 0, 400), (1, 1, 400), (0, 1, 44), (3, 0, 30), (12, 30, 100), (2, 9, 237), (0, 5, 5), (500, 450, 20000)]],
    "mcnemar": [{"gained": b, "lost": c, "p": mcnemar(b, c)} for b, c in [(0, 0), (1, 1), (1, 9), (0, 6), (30, 12), (700, 800), (3, 3)]],
    "ranks": [ranks_case(60, 1e-3), ranks_case(80, 2), ranks_case(5, 1)],
    "calibration": {"margins": margins, **calibration(margins)},
    "rewardbench1": rewardbench1(),
    "rewardbench2": rewardbench2(),
}, indent=1))
