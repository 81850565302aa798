#!/usr/bin/env python3
"""Makes tests/nn/golden/optimizers.json: what PyTorch's optimisers and its plateau scheduler do, in float64.

Run with torch installed:  python tests/golden/make_optimizer_goldens.py
The result is a few kilobytes and is committed; nothing here runs when telos is built or tested.
"""
import json
import math
import pathlib

import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "nn" / "golden"
SIZES = [(3, 5), (1, 7)]  # a weight that decays under AdamW and a bias that does not
STEPS = 12
REPORTED = (1, 2, 12)


def start(i: int) -> float:
    return math.cos(1.1 * i)


def gradient(step: int, i: int, value: torch.Tensor) -> torch.Tensor:
    return math.sin(0.7 * i + 1.3 * step) * (1 + 0.1 * i) + 0.1 * value


def rate(step: int) -> float:
    return 0.01 / step


def run(make, clip: float) -> dict:
    flat = [start(i) for i in range(sum(r * c for r, c in SIZES))]
    parameters, offset = [], 0
    for rows, cols in SIZES:
        values = torch.tensor(flat[offset:offset + rows * cols], dtype=torch.float64)
        parameters.append(torch.nn.Parameter(values))
        offset += rows * cols
    optimizer = make(parameters)
    result = {"norms": [], "parameters": {}}
    for step in range(1, STEPS + 1):
        offset = 0
        for p in parameters:
            p.grad = torch.stack([gradient(step, offset + k, p.detach()[k]) for k in range(p.numel())])
            offset += p.numel()
        if clip > 0:
            result["norms"].append(torch.nn.utils.clip_grad_norm_(parameters, clip).item())
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        if step in REPORTED:
            result["parameters"][str(step)] = [x for p in parameters for x in p.detach().tolist()]
    return result


def optimizers() -> dict:
    def adamw(parameters):
        weight, bias = parameters
        return torch.optim.AdamW([{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0}],
                                 betas=(0.9, 0.95))
    makers = {
        "adam": lambda p: torch.optim.Adam(p),
        "adam_decay": lambda p: torch.optim.Adam(p, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.3),
        "adamw": adamw,
        "sgd": lambda p: torch.optim.SGD(p, lr=1),
        "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.2),
    }
    result = {}
    for name, make in makers.items():
        result[name] = run(make, 0)
        result[name + "_clipped"] = run(make, 1.5)
    return result


def plateau() -> dict:
    """A noisy metric that falls, stalls, and holds a NaN, over 200 epochs."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=5e-4)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3, threshold=1e-2,
                                                           min_lr=1e-6)
    metrics, rates = [], []
    for i in range(200):
        metric = float("nan") if i == 20 else max(1 / (1 + i), 0.02) * (1 + 0.3 * math.sin(2.1 * i * i))
        scheduler.step(metric)
        metrics.append(None if math.isnan(metric) else metric)
        rates.append(optimizer.param_groups[0]["lr"])
    return {"metrics": metrics, "rates": rates}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    golden = {"torch": torch.__version__, "optimizers": optimizers(), "plateau": plateau()}
    (OUT / "optimizers.json").write_text(json.dumps(golden, indent=0) + "\n")
