"""Layers of the hardmax dynamics by telos and by numpy, in turns in one run.

    python bench/peers/hardmax_peer.py BENCH_HARDMAX [--n 2000] [--layers 8] [--rounds 5] [--published PATH]

BENCH_HARDMAX is the binary of bench/clustering. The numpy side is written in the manner of the published experiments
(arXiv 2407.01602): a Python loop over layers and tokens, the argmax set of one token from one product with all, its mean
as a weighted sum. --published (or TELOS_PUBLISHED_MODEL) names the file utils/models.py of the authors' repository, whose own
hardmaxDynamics then takes its place. Both sides make the same number of layers from the same float64 tokens and must agree on the last
positions to 1e-9. Printed: the best wall time of all rounds, on one thread and on two, and the ratio of medians of CPU time, which other
work on the machine lengthens less; for the last column numpy computes a layer by matrix products, which nobody published.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
import numpy as np  # noqa: E402

ALPHA = 0.5


def loop_over_tokens(tokens, alpha, layers):
    s1 = 1 / (1 + alpha)
    s2 = alpha * s1
    z = tokens.T.copy()
    moved = np.zeros_like(z)
    for _ in range(layers):
        for i in range(z.shape[1]):
            scores = np.dot(z[:, i], z)
            best = scores == np.max(scores)
            moved[:, i] = s2 * np.sum(best / np.sum(best) * z, axis=1)
        z = s1 * z + moved
    return z.T


def whole_layers(tokens, alpha, layers):
    s1 = 1 / (1 + alpha)
    z = tokens.copy()
    for _ in range(layers):
        scores = z @ z.T
        best = (scores == scores.max(axis=1, keepdims=True)).astype(float)
        z = s1 * z + alpha * s1 * (best @ z) / best.sum(axis=1, keepdims=True)
    return z


def published(path):
    spec = importlib.util.spec_from_file_location("published_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda tokens, alpha, layers: module.hardmaxDynamics(alpha, layers, tokens[None])[0]


def timed(function, *arguments):
    begin, cpu = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return 1e3 * (time.perf_counter() - begin), 1e3 * (time.process_time() - cpu), result


class Telos:
    """Runs the binary once for each timing; it prints milliseconds of run_hardmax alone."""

    def __init__(self, binary, tokens, folder):
        self.binary, self.tokens, self.out = binary.resolve(), folder / "tokens.npy", folder / "limits.npy"
        np.save(self.tokens, tokens)

    def run(self, alpha, layers, threads):
        words = [self.binary, "--tokens", self.tokens, "--alpha", str(alpha), "--layers", str(layers), "--threads", str(threads),
                 "--out", self.out]
        line = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout
        times = json.loads(line)
        return times["ms"], times["cpu_ms"], np.load(self.out)


def compare(binary, peer, n, d, layers, rounds, folder):
    tokens = np.random.default_rng(d).standard_normal((n, d))
    ours = Telos(binary, tokens, folder)
    times = {"one": [], "two": [], "peer": [], "whole": []}
    for _ in range(rounds):
        *one, mine = ours.run(ALPHA, layers, 1)
        *two, _ = ours.run(ALPHA, layers, 2)
        *other, theirs = timed(peer, tokens, ALPHA, layers)
        *whole, _ = timed(whole_layers, tokens, ALPHA, layers)
        for side, pair in zip(times, (one, two, other, whole)):
            times[side].append(pair)
        if (worst := np.abs(mine - theirs).max()) > 1e-9:
            raise SystemExit(f"d = {d}: the two sides differ by {worst}")
    wall = {side: min(pair[0] for pair in pairs) for side, pairs in times.items()}
    cpu = {side: statistics.median(pair[1] for pair in pairs) for side, pairs in times.items()}
    print(f"| {n} | {d} | {layers} | {wall['one']:.2f} | {wall['two']:.2f} | {wall['peer']:.0f} | **{wall['peer'] / wall['one']:.0f}** | "
          f"{cpu['peer'] / cpu['one']:.0f} | {cpu['whole'] / cpu['one']:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--d", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--published", type=pathlib.Path, default=os.environ.get("TELOS_PUBLISHED_MODEL"))
    arguments = parser.parse_args()
    peer = published(arguments.published) if arguments.published else loop_over_tokens
    print(f"numpy {np.__version__}, Python {sys.version.split()[0]}; peer: "
          f"{'the published hardmaxDynamics' if arguments.published else 'our own loop over tokens'}\n")
    print("| n | d | layers | telos ms | 2 threads | peer ms | ratio | ratio of CPU time | 〃, whole layers in numpy |\n|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for d in arguments.d:
            compare(arguments.binary, peer, arguments.n, d, arguments.layers, arguments.rounds, pathlib.Path(folder))


if __name__ == "__main__":
    main()
