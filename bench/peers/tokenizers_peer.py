#!/usr/bin/env python3
"""One Markdown line: throughput of telos and of the reference library `tokenizers` on one thread, on the same file.

Usage: tokenizers_peer.py BENCH_TOKENIZER TOKENIZER TEXT     BENCH_TOKENIZER: the binary of bench/text
TOKENIZER is a tokenizer.json, or a directory with vocab.json and merges.txt (GPT-2). The two take turns, five times
each, and the best time of each counts.
"""
import os
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers


def load(path):
    if not os.path.isdir(path):
        return Tokenizer.from_file(path)
    tok = Tokenizer(models.BPE.from_file(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt")))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.add_special_tokens(["<|endoftext|>"])
    return tok


def main():
    bench, path, text_path = sys.argv[1:4]
    tok = load(path)
    tok.no_padding()
    tok.no_truncation()
    with open(text_path, encoding="utf-8", newline="") as f:
        text = f.read()
    size = len(text.encode()) / 1e6
    ours, theirs = [], []
    for _ in range(5):
        tokens, seconds = subprocess.run([bench, path, text_path, "1"], check=True, capture_output=True, text=True).stdout.split()
        ours.append(float(seconds))
        start = time.perf_counter()
        count = len(tok.encode(text).ids)
        theirs.append(time.perf_counter() - start)
        if count != int(tokens):
            sys.exit(f"telos finds {tokens} tokens, tokenizers {count}")
    a, b = size / min(ours), size / min(theirs)
    name = os.path.basename(os.path.dirname(path) if path.endswith(".json") else os.path.normpath(path))
    print(f"| {name} | {size:.1f} MB, {tokens} tokens | telos {a:.1f} MB/s | tokenizers {tokenizers.__version__} {b:.1f} MB/s | {a / b:.1f}× |")


main()
