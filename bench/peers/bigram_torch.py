"""Training steps on sparse contextual bigrams by telos and by PyTorch, in turns, in one run.

    python bench/peers/bigram_torch.py TELOS [--threads 1] [--rounds 5] [--length 5000]

TELOS is the command line. A step is the same on both sides: draw a batch of 64 samples, the gradients of V and A,
preconditioning and projection, soft threshold. PyTorch, float32, without a loop over samples: `dense` multiplies one-hot
matrices and differentiates by autograd; `gather` sums weights by token (scatter_add) and looks gradients up (gather), the
best that was found. Its tokens come from torch.rand and bucketize, which is faster than torch.multinomial. telos' time is
the difference of two runs of different lengths, so that its start does not count. Printed: medians of tokens a second.
"""

import argparse
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F

BATCH, ETA, THRESHOLD = 64, 0.02, 0.03


class Task:
    """Random, of the laws of `telos bigram generate`; only sizes matter here."""

    def __init__(self, tokens, length, sparsity=2):
        self.n, self.length = tokens, length
        self.p = torch.distributions.Dirichlet(torch.ones(tokens)).sample((tokens,)).T.contiguous()
        mu = torch.ones(tokens) / tokens
        for _ in range(1000):
            mu = self.p @ mu
        self.mu = mu / mu.sum()
        self.positions = torch.stack([torch.randperm(length)[:sparsity] for _ in range(tokens)])

    def draw(self):
        cdf = self.mu.cumsum(0)[:-1]
        x = torch.bucketize(torch.rand(BATCH, self.length), cdf)
        last = torch.bucketize(torch.rand(BATCH), cdf)
        attended = self.positions[last, torch.randint(self.positions.shape[1], (BATCH,))]
        token = x[torch.arange(BATCH), attended]
        output = (torch.rand(BATCH, 1) > self.p.T.cumsum(1)[token][:, :-1]).sum(1)
        return x, last, output


class Step:
    def __init__(self, task, gather):
        self.task, self.gather = task, gather
        self.v = task.mu[:, None].repeat(1, task.n)
        self.a = torch.full((task.n, task.length), 1 / task.length)  # row: last token

    def gradients(self, x, last, output):
        target = F.one_hot(output, self.task.n).float()
        if self.gather:
            a = self.a[last]
            h = torch.zeros(BATCH, self.task.n).scatter_add_(1, x, a)
            r = h @ self.v.T - target
            w = r @ self.v
            ga = torch.zeros_like(self.a).index_add_(0, last, w.gather(1, x))
            return r.T @ h / BATCH, ga / BATCH
        v, a = self.v.requires_grad_(), self.a.requires_grad_()
        one_hot = F.one_hot(x, self.task.n).float()
        h = torch.bmm(one_hot.transpose(1, 2), a[last][:, :, None])[:, :, 0]
        loss = 0.5 * ((h @ v.T - target) ** 2).sum() / BATCH
        gv, ga = torch.autograd.grad(loss, (v, a))
        self.v, self.a = v.detach(), a.detach()
        return gv, ga

    def __call__(self):
        mu, length = self.task.mu, self.task.length
        gv, ga = self.gradients(*self.task.draw())
        centred = self.v - mu[:, None]
        threshold = ETA * THRESHOLD * (centred.square().sum(0) * mu).sum().sqrt()
        gv = gv / mu - gv.sum(1, keepdim=True)
        ga = ga / mu[:, None]
        ga = ga - ga.mean(1, keepdim=True)
        e = self.a - 1 / length - ETA * ga
        e = e.sign() * (e.abs() - threshold).clamp(min=0)
        self.a = 1 / length + e - e.mean(1, keepdim=True)
        self.v = self.v - ETA * gv


def torch_rate(step, seconds=1.0):
    step()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    return steps * BATCH * step.task.length / (time.perf_counter() - start)


def telos_rate(telos, tokens, length, threads):
    def run(samples):
        start = time.perf_counter()
        subprocess.run([telos, "bigram", "train", "--n", str(tokens), "--t", str(length), "--q", "2", "--samples", str(samples),
                        "--no-early-stop", "--no-refit", "--threads", str(threads), "-o", "csv"], check=True,
                       capture_output=True)
        return time.perf_counter() - start

    few = BATCH * 100
    many = few + int(1.5e9 / length / 64 / (1 + tokens / 40)) * 64
    return (many - few) * length / (run(many) - run(few))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("telos")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=5000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    print(f"PyTorch {torch.__version__}, {options.threads} thread(s), T = {options.length}, batch {BATCH}\n")
    print("| N | telos, Gtok/s | PyTorch dense | ratio | PyTorch gather | ratio |\n|--:|--:|--:|--:|--:|--:|")
    for tokens in (3, 8, 64):
        task = Task(tokens, options.length)
        dense, gather = Step(task, False), Step(task, True)
        rates = [[], [], []]
        for _ in range(options.rounds):
            rates[0].append(telos_rate(options.telos, tokens, options.length, options.threads))
            rates[1].append(torch_rate(dense))
            rates[2].append(torch_rate(gather))
        ours, one_hot, looked_up = (statistics.median(r) / 1e9 for r in rates)
        print(f"| {tokens} | {ours:.3f} | {one_hot:.4f} | {ours / one_hot:.0f}× | {looked_up:.4f} | {ours / looked_up:.0f}× |",
              flush=True)


if __name__ == "__main__":
    main()
