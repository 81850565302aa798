#!/usr/bin/env python3
"""Makes tests/positional/golden/: a positional transformer written from PyTorch, with an input and its output.

Run with torch, numpy and safetensors installed:  python tests/golden/make_positional_goldens.py
The result is a few kilobytes and is committed; nothing here runs when telos is built or tested.
"""
import json
import math
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

OUT = pathlib.Path(__file__).resolve().parent.parent / "positional" / "golden"


class Layer(nn.Module):
    def __init__(self, positions, width, heads, hidden):
        super().__init__()
        self.qk = nn.Linear(positions, 2 * positions * heads)
        self.v = nn.Linear(width, width)
        self.o = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(2 * width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.heads = heads

    def forward(self, x, p):
        keys = p.shape[1]
        parts = self.qk(p).split(keys, dim=1)  # query, key by head
        values = self.v(x).chunk(self.heads, dim=2)
        mixed = [torch.softmax(q @ k.T / math.sqrt(keys), dim=1) @ v for q, k, v in zip(parts[::2], parts[1::2], values)]
        return self.mlp(torch.cat([x, self.o(torch.cat(mixed, dim=2))], dim=2))


class Positional(nn.Module):
    def __init__(self, positions, width, heads, hidden, layers):
        super().__init__()
        self.encoding = nn.Linear(1, width)
        self.decoding = nn.Linear(width, 1)
        self.layers = nn.ModuleList(Layer(positions, width, heads, hidden) for _ in range(layers))
        self.register_buffer("positions", torch.eye(positions), persistent=False)

    def forward(self, x):
        x = self.encoding(x)
        for layer in self.layers:
            x = layer(x, self.positions.to(x.dtype))
        return self.decoding(x)


def main() -> None:
    torch.manual_seed(3)
    OUT.mkdir(exist_ok=True)
    model = Positional(positions=5, width=6, heads=2, hidden=4, layers=2)
    config = json.dumps({"nodes": 4, "width": 6, "heads": 2, "hidden": 4, "layers": 2})
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, OUT / "torch.safetensors", metadata={"format": "pt", "telos.positional.config": config})
    # The same as a wrapper's state (torch.compile, DataParallel), with the config in a file beside it.
    save_file({"module." + name: tensor for name, tensor in state.items()}, OUT / "torch_wrapped.safetensors",
              metadata={"format": "pt"})
    (OUT / "torch_wrapped.json").write_text(config + "\n")
    x = torch.randn(6, 5, 1, dtype=torch.float64)
    x[:, 4] = 0
    with torch.no_grad():
        y = model.double()(x)
    np.save(OUT / "torch_x.npy", x[..., 0].numpy())
    np.save(OUT / "torch_y.npy", y[..., 0].numpy())


if __name__ == "__main__":
    main()
