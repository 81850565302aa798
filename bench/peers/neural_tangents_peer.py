"""Gram matrices of an infinitely wide transformer, telos beside neural-tangents on the same sequences in one run.

    neural_tangents_peer.py TELOS [--case S1|S2] [--precision f64|f32] [--kernel nngp|ntk] [--limit SECONDS]

Needs jax 0.4.25, jaxlib 0.4.25, neural-tangents 0.6.5, numpy < 2, scipy < 1.13. One pre-LayerNorm block (softmax
attention at 1/d with tied queries and keys, relu), read at the mean: S1 has 256 sequences of 32 tokens, S2 1,000 of 64.
neural-tangents is compiled before it is timed, and stopped after the limit: its time is then that of the batches done,
scaled to all. telos is timed as a whole process, the best of three (S2: once). Differences are those from telos in f64, over the
root of both diagonal entries: the largest of different sequences, and of equal ones. Prints a row of a Markdown table for each case, precision and kernel.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOKEN, POSITION, VOCABULARY = 1.0, 0.5, 16
BLOCK = {"norm": "pre", "attn": {"kind": "softmax", "scale": "1/d"}, "mlp": {"phi": "relu", "w2": 2, "b2": 0.1}}
CASES = {"S1": (256, 32, 64), "S2": (1000, 64, 25)}  # sequences, tokens, sequences of a batch


def network(length):
    from neural_tangents import stax

    attention = stax.serial(stax.LayerNorm(), stax.GlobalSelfAttention(1, 1, 1, 1, linear_scaling=True))
    dense = stax.serial(stax.LayerNorm(), stax.Dense(1, W_std=2**0.5, b_std=0.1**0.5), stax.Relu(), stax.Dense(1))
    layers = [stax.Dense(1, W_std=(VOCABULARY + length) ** 0.5)]
    for branch in (attention, dense):
        layers += [stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum()]
    return stax.serial(*layers, stax.LayerNorm(), stax.GlobalAvgPool(), stax.Dense(1))[2]


def features(np, tokens, precision):
    n, length = tokens.shape
    position = np.broadcast_to(np.sqrt(POSITION) * np.eye(length), (n, length, length))
    joined = np.concatenate([np.sqrt(TOKEN) * np.eye(VOCABULARY)[tokens], position], -1)
    return joined.astype(np.float64 if precision == "f64" else np.float32)


def time_peer(np, jax, tokens, get, precision, batch, limit):
    kernel = jax.jit(network(tokens.shape[1]), static_argnames="get")
    x = features(np, tokens, precision)
    n, out = len(x), np.full((len(x), len(x)), np.nan)

    def fill(i, j):
        out[i : i + batch, j : j + batch] = np.asarray(kernel(x[i : i + batch], x[j : j + batch], get))

    fill(0, 0)
    batches = [(i, j) for i in range(0, n, batch) for j in range(0, n, batch)]
    start, done = time.perf_counter(), 0
    for i, j in batches:
        fill(i, j)
        done += 1
        if time.perf_counter() - start > limit:
            break
    share = done / len(batches)
    return (time.perf_counter() - start) / share, share, out


def time_telos(np, telos, tokens, get, precision, scratch):
    (scratch / "block.json").write_text(json.dumps({"embed": {"se2": TOKEN, "sp2": POSITION, "pos": "iid"}, "blocks": [BLOCK],
                                                    "readout": "mean"}))
    np.savetxt(scratch / "tokens.txt", tokens, fmt="%d")
    (scratch / "K.npy").unlink(missing_ok=True)
    command = [telos, "symmetry", "kernel", "--arch", scratch / "block.json", "--data", scratch / "tokens.txt", "--vocab",
               str(VOCABULARY), "--pairs", "0", "--matrix", scratch / "K.npy", "--precision", precision] + ["--ntk"] * (get == "ntk")
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start, np.load(scratch / "K.npy").astype(np.float64)


def compare(telos, case, precision, get, limit):
    """One row. jax fixes its precision once a process."""
    import jax

    jax.config.update("jax_enable_x64", precision == "f64")
    import numpy as np

    n, length, batch = CASES[case]
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, (n, length))
    with tempfile.TemporaryDirectory() as scratch:
        ours = min((time_telos(np, telos, tokens, get, precision, Path(scratch)) for _ in range(3 if case == "S1" else 1)), key=lambda r: r[0])
        known = ours[1] if precision == "f64" else time_telos(np, telos, tokens, get, "f64", Path(scratch))[1]
    seconds, share, theirs = time_peer(np, jax, tokens, get, precision, batch, limit)
    scale = np.sqrt(np.outer(np.diag(known), np.diag(known)))
    note = "" if share == 1 else f" (from {100 * share:.0f} %)"

    def differences(matrix):
        difference = np.abs(matrix - known) / scale
        equal = np.nanmax(np.diag(difference))
        np.fill_diagonal(difference, 0)
        return f"{np.nanmax(difference):.0e}, {equal:.0e}"

    print(f"| {case} | {n} | {length} | {get.upper()} | {precision} | {ours[0]:.2f} | {seconds:.1f}{note} | {seconds / ours[0]:.1f} | "
          f"{differences(ours[1]) if precision == 'f32' else '–'} | {differences(theirs)} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("telos")
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--precision", choices=("f64", "f32"))
    parser.add_argument("--kernel", choices=("nngp", "ntk"))
    parser.add_argument("--limit", type=float, default=60)
    a = parser.parse_args()
    if a.case and a.precision and a.kernel:
        return compare(a.telos, a.case, a.precision, a.kernel, a.limit)
    print("| case | n | L | kernel | precision | telos, s | neural-tangents, s | ratio | telos differs | neural-tangents differs |\n"
          "|:--|--:|--:|:--|:--|--:|--:|--:|:--|:--|", flush=True)
    for case in [a.case] if a.case else ["S1"]:
        for precision in [a.precision] if a.precision else ["f64", "f32"]:
            for kernel in [a.kernel] if a.kernel else ["nngp", "ntk"]:
                subprocess.run([sys.executable, __file__, a.telos, "--case", case, "--precision", precision, "--kernel", kernel,
                                "--limit", str(a.limit)], check=True)


if __name__ == "__main__":
    main()
