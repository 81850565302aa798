"""Training steps of the hardmax sentiment model by telos and by PyTorch, interleaved in one run.

    python bench/peers/sentiment_torch.py BENCH_SENTIMENT [--dims 2 16] [--threads 2] [--rounds 7] [--model MODELS_PY]

BENCH_SENTIMENT is the binary of bench/clustering. A step is forward through 8 layers, cross-entropy, backward, clipping
to norm 5 and Adam on a batch of 64 texts of 128 words from 121,296, as in the published training of 2407.01602: words
drawn by Zipf's law and texts padded as the 50,000 reviews of IMDb are (80 different words in 128 positions on average).
The PyTorch side is that of the published code, dense softmax attention on all 128 positions; with --model it is the
class TClassifier of the published utils/models.py itself. From the same weights and texts both sides must have the same
first loss. Turns alternate; printed are medians over the last two thirds of the turns and their ratio, beside the CPU
time, summed over threads, which other work on the machine lengthens less.
"""

import argparse
import importlib.util
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
from torch import nn

WORDS, POSITIONS, BATCH, BATCHES, ALPHA = 121_296, 128, 64, 20, 0.5


class Attention(nn.Module):
    def __init__(self, temperature):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), ALPHA))
        self.temperature = temperature

    def forward(self, x):
        weights = torch.softmax(torch.bmm(x, x.transpose(-2, -1)) / self.temperature, dim=2)
        return (x + torch.bmm(weights, self.alpha * x)) / (1 + self.alpha)


class Classifier(nn.Module):
    """The same names as in the published class."""

    def __init__(self, words, emb, n, depth, temperature):
        super().__init__()
        self.depth = depth
        self.encoder = nn.Embedding(words, emb)
        self.attention = Attention(temperature)
        self.decoder = nn.Linear(emb, 1)

    def forward(self, x):
        x = self.encoder(x)
        for _ in range(self.depth):
            x = self.attention(x)
        return torch.sigmoid(self.decoder(x.mean(dim=1)))


def published_class(path):
    spec = importlib.util.spec_from_file_location("published_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TClassifier


def make_texts():
    """Zipf's law with a flat head, as without stop words, and lengths of which two thirds are below 128."""
    generator = np.random.default_rng(1)
    rank = np.arange(1, WORDS)
    share = 1 / (rank + 30.0)
    texts = generator.choice(rank, (BATCH * BATCHES, POSITIONS), p=share / share.sum())
    lengths = generator.lognormal(np.log(103), 0.55, len(texts))
    texts[np.arange(POSITIONS)[None, :] >= lengths[:, None]] = 0
    labels = generator.integers(0, 2, len(texts))
    return np.concatenate([texts, labels[:, None]], 1)


class Torch:
    def __init__(self, model, texts, weights):
        self.model = model(WORDS, weights.shape[1], POSITIONS, 8, 0.001)
        ids = torch.from_numpy(texts.astype(np.int64))
        self.ids, self.labels = ids[:, :-1].split(BATCH), ids[:, -1].float().split(BATCH)
        self.weights = torch.from_numpy(weights)
        self.restart()

    def restart(self):
        with torch.no_grad():
            self.model.encoder.weight.copy_(self.weights[:-1])
            self.model.decoder.weight.copy_(self.weights[-1:])
            self.model.decoder.bias.zero_()
            self.model.attention.alpha.fill_(ALPHA)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.steps = 0

    def step(self):
        index = self.steps % BATCHES
        self.steps += 1
        self.adam.zero_grad()
        loss = nn.functional.binary_cross_entropy(self.model(self.ids[index]).squeeze(), self.labels[index])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5)
        self.adam.step()
        return loss.item()

    def losses(self, count):
        losses = [self.step() for _ in range(count)]
        self.restart()
        return losses

    def time(self, count):
        times = []
        for _ in range(count):
            cpu, wall = time.process_time(), time.perf_counter()
            self.step()
            times.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
        return times


class Telos:
    def __init__(self, binary, folder, threads):
        command = [binary, folder / "texts.npy", folder / "weights.npy", str(ALPHA), str(BATCH), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return [float(x) for x in self.process.stdout.readline().split()]

    def losses(self, count):
        return self.ask(f"losses {count}")

    def time(self, count):
        answer = self.ask(f"time {count}")[:-1]
        return list(zip(answer[::2], answer[1::2]))


def compare(args, dim, threads, model):
    torch.set_num_threads(threads)
    generator = np.random.default_rng(2)
    texts, weights = make_texts(), generator.normal(size=(WORDS + 1, dim)).astype(np.float32)
    weights[-1] = generator.uniform(-1, 1, dim) / np.sqrt(dim)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        np.save(folder / "texts.npy", texts.astype(np.int32))
        np.save(folder / "weights.npy", weights)
        telos, peer = Telos(args.binary, folder, threads), Torch(model, texts, weights)
        ours, theirs = telos.losses(3), peer.losses(3)
        assert abs(ours[0] - theirs[0]) < 1e-4 * theirs[0], f"losses {ours} and {theirs}"
        times = {telos: [], peer: []}
        for _ in range(args.rounds):
            for side, steps in ((telos, 20), (peer, 3)):
                times[side] += [side.time(steps)]
                time.sleep(0.2)
        median = {side: [statistics.median(t[k] for turn in turns[len(turns) // 3:] for t in turn) for k in (0, 1)]
                  for side, turns in times.items()}
        telos.process.stdin.close()
        telos.process.wait()
    (a, a_cpu), (b, b_cpu) = median[telos], median[peer]
    print(f"| {dim} | {threads} | {a:.2f} ({a_cpu:.2f}) | {b:.1f} ({b_cpu:.1f}) | {b / a:.1f} | {547 * a / 1e3:.1f} s | "
          f"{547 * b / 1e3:.0f} s |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", help="utils/models.py of the published code")
    args = parser.parse_args()
    model = published_class(args.model) if args.model else Classifier
    print(f"PyTorch {torch.__version__}, {'published class' if args.model else 'the published formulas'}; "
          "milliseconds a step, in brackets CPU time; an epoch is 547 steps\n")
    print("| d | threads | telos | PyTorch | ratio | telos, an epoch | PyTorch, an epoch |\n|---|---|---|---|---|---|---|")
    for dim in args.dims:
        for threads in args.threads:
            compare(args, dim, threads, model)


if __name__ == "__main__":
    main()
