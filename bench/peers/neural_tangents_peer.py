"""Gram matrices of an infinitely wide transformer, telos beside neural-tangents on the same sequences in one run.

    neural_tangents_peer.py TELOS [large]

Needs jax 0.4.25, jaxlib 0.4.25, neural-tangents 0.6.5, numpy < 2, scipy < 1.13. One pre-LayerNorm block (softmax
attention at 1/d with tied queries and keys, relu), read at the mean: NNGP kernel and NTK, in float64. neural-tangents is
compiled before it is timed; telos is timed as a whole process. Prints a Markdown table.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import neural_tangents as nt  # noqa: E402
from neural_tangents import stax  # noqa: E402

TOKEN, POSITION, VOCABULARY = 1.0, 0.5, 16
BLOCK = {"norm": "pre", "attn": {"kind": "softmax", "scale": "1/d"}, "mlp": {"phi": "relu", "w2": 2, "b2": 0.1}}


def network(length):
    attention = stax.serial(stax.LayerNorm(), stax.GlobalSelfAttention(1, 1, 1, 1, linear_scaling=True))
    dense = stax.serial(stax.LayerNorm(), stax.Dense(1, W_std=2**0.5, b_std=0.1**0.5), stax.Relu(), stax.Dense(1))
    layers = [stax.Dense(1, W_std=(VOCABULARY + length) ** 0.5)]
    for branch in (attention, dense):
        layers += [stax.FanOut(2), stax.parallel(stax.Identity(), branch), stax.FanInSum()]
    return stax.serial(*layers, stax.LayerNorm(), stax.GlobalAvgPool(), stax.Dense(1))[2]


def features(tokens):
    n, length = tokens.shape
    position = np.broadcast_to(np.sqrt(POSITION) * np.eye(length), (n, length, length))
    return np.concatenate([np.sqrt(TOKEN) * np.eye(VOCABULARY)[tokens], position], -1)


def time_peer(tokens, get, batch):
    kernel = jax.jit(network(tokens.shape[1]), static_argnames="get")
    x = features(tokens)
    n, out = len(x), np.zeros((len(x), len(x)))

    def fill(timed):
        for i in range(0, n, batch):
            for j in range(0, n, batch):
                out[i : i + batch, j : j + batch] = np.asarray(kernel(x[i : i + batch], x[j : j + batch], get))
                if not timed:
                    return
    fill(False)
    start = time.perf_counter()
    fill(True)
    return time.perf_counter() - start, out


def time_telos(telos, tokens, get, scratch):
    (scratch / "block.json").write_text(json.dumps({"embed": {"se2": TOKEN, "sp2": POSITION, "pos": "iid"}, "blocks": [BLOCK],
                                                    "readout": "mean"}))
    np.savetxt(scratch / "tokens.txt", tokens, fmt="%d")
    (scratch / "K.npy").unlink(missing_ok=True)
    command = [telos, "symmetry", "kernel", "--arch", scratch / "block.json", "--data", scratch / "tokens.txt", "--vocab",
               str(VOCABULARY), "--pairs", "0", "--matrix", scratch / "K.npy"] + ["--ntk"] * (get == "ntk")
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, np.load(scratch / "K.npy")


def main():
    telos, large = sys.argv[1], sys.argv[2:] == ["large"]
    print(f"neural-tangents {nt.__version__}, jax {jax.__version__}, float64\n")
    print("| n | L | kernel | telos, s | neural-tangents, s | ratio | largest difference |\n|--:|--:|:--|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as scratch:
        for n, length, batch in ((256, 32, 64), (1000, 64, 25)) if large else ((256, 32, 64),):
            tokens = np.random.default_rng(1).integers(0, VOCABULARY, (n, length))
            for get in ("nngp", "ntk"):
                ours = min((time_telos(telos, tokens, get, Path(scratch)) for _ in range(3)), key=lambda r: r[0])
                theirs = time_peer(tokens, get, batch)
                print(f"| {n} | {length} | {get.upper()} | {ours[0]:.2f} | {theirs[0]:.2f} | {theirs[0] / ours[0]:.1f} | "
                      f"{np.abs(ours[1] - theirs[1]).max():.1e} |", flush=True)


if __name__ == "__main__":
    main()
