#!/usr/bin/env python3
"""Makes tests/io/golden/: files written by safetensors, torch and numpy, which the readers of telos must understand.

Run with torch, numpy and safetensors installed:  python tests/golden/make_io_goldens.py
The result is a few kilobytes and is committed; nothing here runs when telos is built or tested.
"""
import json
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "io" / "golden"


def special_values() -> torch.Tensor:
    """Values whose rounding to 16 bits is not trivial: subnormals, ties, the largest, infinities."""
    return torch.tensor([0.0, -0.0, 1.0, -5.0, 1 / 3, 65504.0, 1e-7, 6.1e-5, 5.96e-8, 1.00048828125, float("inf"),
                         -float("inf"), 3.140625, -2.7182818, 1e-3], dtype=torch.float64).reshape(3, 5)


def dtypes() -> None:
    values = special_values()
    tensors = {}
    for name, dtype in {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}.items():
        tensors[name] = values.to(dtype).clone()
        tensors[name + ".expected"] = values.to(dtype).to(torch.float64).clone()  # what a reader of `name` must give
    tensors["ids"] = torch.arange(6, dtype=torch.int64).reshape(2, 3)
    tensors["mask"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["three_dimensions"] = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    save_file(tensors, OUT / "dtypes.safetensors", metadata={"format": "pt", "title": "größe"})


def sharded() -> None:
    """One model in one file and in three shards, the tensors dealt to them out of order."""
    generator = torch.Generator().manual_seed(7)
    tensors = {f"layer.{i}.weight": torch.randn(4, 6, generator=generator) for i in range(5)}
    for folder in ("single", "sharded"):
        (OUT / folder).mkdir(exist_ok=True)
    save_file(tensors, OUT / "single" / "model.safetensors", metadata={"format": "pt"})
    placed = {}
    for shard, members in enumerate(([3, 0], [4], [1, 2]), start=1):
        name = f"model-{shard:05d}-of-00003.safetensors"
        save_file({f"layer.{i}.weight": tensors[f"layer.{i}.weight"] for i in members}, OUT / "sharded" / name, metadata={"format": "pt"})
        placed.update({f"layer.{i}.weight": name for i in members})
    index = {"metadata": {"total_size": 5 * 4 * 6 * 4}, "weight_map": placed}
    (OUT / "sharded" / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def arrays() -> None:
    base = np.array([[1.5, -2.0, 3.25], [4.0, 5e-3, -6.0]])
    integers = np.array([[1, -2, 3], [4, 5, -600000]])
    for name, array in {
        "f8": base, "f4": base.astype("<f4"), "f2": base.astype("<f2"), "i4": integers.astype("<i4"), "i8": integers.astype("<i8"),
        "f8_big": base.astype(">f8"), "f4_big": base.astype(">f4"), "f2_big": base.astype(">f2"), "i4_big": integers.astype(">i4"),
        "f8_fortran": np.asfortranarray(base), "i8_big_fortran": np.asfortranarray(integers.astype(">i8")),
        "vector": base[0].copy(), "no_rows": np.zeros((0, 3)),
    }.items():
        np.save(OUT / f"{name}.npy", array)
    with open(OUT / "version2.npy", "wb") as out:
        np.lib.format.write_array(out, base, version=(2, 0))
    with open(OUT / "version3.npy", "wb") as out:
        np.lib.format.write_array(out, base, version=(3, 0))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    dtypes()
    sharded()
    arrays()
