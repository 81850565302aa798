"""Training steps of positional and standard transformers by telos and by PyTorch, interleaved in one run.

    python bench/peers/positional_peer.py BENCH_POSITIONAL [--threads 1 2] [--rounds 15] [--only NAME] [--trajectory]

BENCH_POSITIONAL is the binary of bench/positional. A step is forward, mean squared error, backward and Adam on one batch
of cumulative sums, in float32, with the same number of threads. The PyTorch side is the published architecture: one
linear map for queries and keys whose columns are cut by head, values, output map, [X ‖ O] into the MLP; attention by
explicit softmax or F.scaled_dot_product_attention, whichever is faster here, and Adam fused. Before timing, both sides
must give the same losses in the first steps from the same weights and batches. Turns of some
150 ms alternate; each side rests before the other starts. Printed: medians over the last two thirds of all turns, their ratio, steps/s, and
GFLOP/s of the operations that telos does (folded layers need fewer than the network as it is written). CPU time, summed
over threads, is printed beside the wall time, because other work on the machine lengthens it less. --trajectory: largest
relative distance of the losses of 200 steps from a run in float64.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

TURN_MS = 150   # what a turn of one side takes at least
BATCHES = 4
#        name                   kind          n   batch  hidden
CASES = [("default", "positional", 8, 1000, 64),
         ("hidden 16", "positional", 8, 1000, 16),
         ("B 2048, hidden 128", "positional", 8, 2048, 128),
         ("n 2", "positional", 2, 1000, 64),
         ("n 16", "positional", 16, 1000, 64),
         ("n 32", "positional", 32, 1000, 64),
         ("standard", "standard", 8, 1000, 64),
         ("standard, n 32", "standard", 32, 1000, 64)]


class Layer(nn.Module):
    def __init__(self, keys, source, width, heads, hidden):
        super().__init__()
        self.qk = nn.Linear(source, 2 * keys * heads)
        self.v = nn.Linear(width, width)
        self.o = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.heads, self.keys, self.explicit = heads, keys, True
        for map in (self.qk, self.v, self.o):
            nn.init.xavier_uniform_(map.weight)
            nn.init.zeros_(map.bias)

    def forward(self, x, positions):
        source = x if positions is None else positions
        qk = self.qk(source).unflatten(-1, (self.heads, 2, self.keys))
        v = self.v(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, k = qk[..., 0, :].transpose(-3, -2), qk[..., 1, :].transpose(-3, -2)
        if self.explicit:
            mixed = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(self.keys), dim=-1) @ v
        else:
            batch = (x.shape[0],) + q.shape[-3:]
            mixed = F.scaled_dot_product_attention(q.expand(batch), k.expand(batch), v)
        return self.mlp(torch.cat([x, self.o(mixed.transpose(1, 2).flatten(2))], dim=-1))


class Network(nn.Module):
    def __init__(self, kind, n, hidden, width=64, heads=2):
        super().__init__()
        self.positional = kind == "positional"
        rows = n + 1
        self.encoding = nn.Linear(1 if self.positional else 1 + rows, width)
        self.decoding = nn.Linear(width, 1)
        keys = rows if self.positional else width
        self.layers = nn.ModuleList(Layer(keys, keys, width, heads, hidden) for _ in range(int(math.log2(n)) + 1))
        self.register_buffer("positions", torch.eye(rows), persistent=False)

    def forward(self, x):
        if not self.positional:
            x = torch.cat([x, self.positions.expand(x.shape[0], -1, -1)], dim=-1)
        x = self.encoding(x)
        for layer in self.layers:
            x = layer(x, self.positions if self.positional else None)
        return self.decoding(x)


def make_samples(n, count):
    """The published law: an interval for each sample, uniform numbers from it; the scratch position holds 0."""
    generator = np.random.default_rng(1)
    ends = generator.uniform(-2, 2, (count, 2, 1))
    x = ends.min(1) + (ends.max(1) - ends.min(1)) * generator.random((count, n))
    pad = np.zeros((count, 1))
    return np.concatenate([x, pad, np.cumsum(x, 1), pad], 1).astype(np.float32)


class Torch:
    def __init__(self, network, samples, batch):
        rows = samples.shape[1] // 2
        data = torch.from_numpy(samples)
        self.x, self.y = data[:, :rows, None].split(batch), data[:, rows:, None].split(batch)
        self.initial = {name: value.clone() for name, value in network.state_dict().items()}
        self.network, self.batch = network, batch
        self.restart()
        self.choose_attention()

    def restart(self):
        self.network.load_state_dict(self.initial)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=5e-4, fused=True)
        self.steps = 0

    def step(self):
        index = self.steps % BATCHES
        self.steps += 1
        self.adam.zero_grad()
        loss = F.mse_loss(self.network(self.x[index])[:, :-1], self.y[index][:, :-1])
        loss.backward()
        self.adam.step()
        return loss.item()

    def choose_attention(self):
        times = {}
        for explicit in (True, False):
            for layer in self.network.layers:
                layer.explicit = explicit
            self.step()
            times[explicit] = statistics.median(wall for wall, _ in self.time(4))
        self.explicit = times[True] <= times[False]
        for layer in self.network.layers:
            layer.explicit = self.explicit
        self.restart()

    def losses(self, count):
        self.restart()
        return [self.step() for _ in range(count)]

    def time(self, count):
        times = []
        for _ in range(count):
            begin, cpu = time.perf_counter(), time.process_time()
            self.step()
            times.append((1e3 * (time.perf_counter() - begin), 1e3 * (time.process_time() - cpu)))
        return times


class Telos:
    def __init__(self, binary, model, samples, batch, threads):
        self.process = subprocess.Popen([binary, model, samples, str(batch), str(threads)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        *self.plans, peak, gflop = self.process.stdout.readline().split()
        self.peak, self.gflop = float(peak) * threads, float(gflop)

    def ask(self, command, count):
        self.process.stdin.write(f"{command} {count}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def time(self, count):
        *times, _ = self.ask("time", count)
        return list(zip(times[::2], times[1::2]))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def write_model(network, kind, n, hidden, path):
    config = {"nodes": n, "hidden": hidden}
    if kind == "standard":
        config |= {"source": "features", "input_positions": True}
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, path, metadata={"telos.positional.config": json.dumps(config)})


def same_losses(ours, theirs, name, steps=5):
    a, b = ours.ask("losses", steps), theirs.losses(steps)
    worst = max(abs(x - y) / y for x, y in zip(a, b))
    if worst > 1e-4:
        raise SystemExit(f"{name}: the two sides disagree, losses {a} against {b}")


def trajectory(ours, theirs, steps=200):
    exact = ours.ask("reference", steps)
    worst = [max(abs(x - y) / y for x, y in zip(losses, exact))
             for losses in (ours.ask("losses", steps), theirs.losses(steps))]
    return f" {worst[0]:.1e} | {worst[1]:.1e} |"


def turn(side):
    """Steps of a turn: as many as take TURN_MS, and at least three."""
    step = statistics.median(wall for wall, _ in side.time(3))
    return max(3, round(TURN_MS / step))


def compare(case, threads, arguments, folder):
    name, kind, n, batch, hidden = case
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = Network(kind, n, hidden)
    model, samples = str(folder / "model.safetensors"), str(folder / "samples.npy")
    write_model(network, kind, n, hidden, model)
    numbers = make_samples(n, BATCHES * batch)
    np.save(samples, numbers)
    ours, theirs = Telos(arguments.binary, model, samples, batch, threads), Torch(network, numbers, batch)
    same_losses(ours, theirs, name)
    turns = {side: turn(side) for side in (theirs, ours)}
    times = {ours: [], theirs: []}
    for _ in range(arguments.rounds):
        for side in (theirs, ours):
            time.sleep(0.05)
            steps = side.time(turns[side])
            times[side] += steps[len(steps) // 3:]  # in the first ones sleeping threads wake up
    (mine, my_cpu), (other, its_cpu) = (
        [statistics.median(column) for column in zip(*times[side])] for side in (ours, theirs))
    rate = ours.gflop / mine * 1e3
    print(f"| {name} | {threads} | {'/'.join(ours.plans)} | {mine:.2f} | {other:.2f} | **{other / mine:.2f}** | {1e3 / mine:.1f} | "
          f"{rate:.0f} | {rate / ours.peak:.0%} | {my_cpu:.2f} | {its_cpu:.2f} | {its_cpu / my_cpu:.2f} |"
          + (trajectory(ours, theirs) if arguments.trajectory else ""), flush=True)
    ours.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", help="one case by its name")
    parser.add_argument("--trajectory", action="store_true")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {arguments.rounds} turns of {TURN_MS} ms\n")
    print("| network | threads | plans | telos ms | torch ms | torch / telos | steps/s | GFLOP/s | of FMA peak | telos CPU ms | "
          "torch CPU ms | torch / telos |" + (" telos to float64 | torch to float64 |" if arguments.trajectory else ""))
    print("|" + "---|" * (14 if arguments.trajectory else 12))
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            for threads in arguments.threads:
                if arguments.only in (None, case[0]):
                    compare(case, threads, arguments, pathlib.Path(folder))


if __name__ == "__main__":
    main()
