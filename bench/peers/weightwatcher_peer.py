#!/usr/bin/env python3
"""One Markdown table: spectra from weights alone, telos against WeightWatcher's `analyze` on the same file.

Usage: weightwatcher_peer.py BENCH_SPECTRA MODEL_DIRECTORY [REPEATS]     BENCH_SPECTRA: the binary of bench/smoothing

Needs `pip install weightwatcher transformers torch` in a virtual environment of its own. The two take turns on the same
threads; the median of each counts, and reading the file is inside both times. They answer different questions:
WeightWatcher fits a power law to the singular values of every matrix, telos solves W_V W_O of every head; what they
share is the user who wants a verdict on a checkpoint without data.
"""
import os
import statistics
import subprocess
import sys
import time

THREADS = "2"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = THREADS
os.environ["HF_HUB_OFFLINE"] = "1"


def theirs(path):
    import torch
    import transformers
    import weightwatcher

    torch.set_num_threads(int(THREADS))
    start = time.perf_counter()
    model = transformers.AutoModel.from_pretrained(path, dtype=torch.float32)
    table = weightwatcher.WeightWatcher(model=model).analyze()
    return time.perf_counter() - start, len(table)


def ours(bench, path):
    line = subprocess.run([bench, path, "1", THREADS], check=True, capture_output=True, text=True).stdout.split()
    return float(line[0]), int(line[1])


def main():
    bench, path = sys.argv[1:3]
    repeats = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    theirs(path)  # the first call imports and compiles
    a, b = [], []
    for _ in range(repeats):
        seconds, heads = ours(bench, path)
        a.append(seconds)
        seconds, matrices = theirs(path)
        b.append(seconds)
    mine, peer = statistics.median(a), statistics.median(b)
    print("| program | what | seconds (median of %d) | ratio |" % repeats)
    print("|---|---|---|---|")
    print(f"| telos | {heads} heads | {mine:.3f} | 1 |")
    print(f"| WeightWatcher | {matrices} matrices | {peer:.2f} | {peer / mine:.0f}× |")


if __name__ == "__main__":
    main()
