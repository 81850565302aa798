"""
Which algorithms can position-only attention run, learn and carry out of distribution?
"""

from collections.abc import Iterable, Sequence
import os
from typing import Annotated

import numpy
from numpy.typing import NDArray

import telos._telos


def compile(program: str | os.PathLike, *, n: int = 0, network: str | os.PathLike = '', save: str | os.PathLike | None = None) -> telos._telos.Report:
    """
    Turn a built-in program or a .pco file into the weights of a positional transformer, and prove it.

    n 0 takes the file's own, or 8; network is a file of comparators for sort and median; save writes the model.
    """

def execute(program: str | os.PathLike, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, n: int = 0, network: str | os.PathLike = '', arithmetic: str = 'f64') -> NDArray[numpy.float64]:
    """
    Run a program's network on samples: x has a row of n·inputs numbers a sample (node by node), the result n·outputs.
    arithmetic: 'f32', 'f64', or 'exact' (minima and maxima by comparison).
    """

def evaluate(model: str | os.PathLike, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, f64: bool = False, threads: int = 0) -> NDArray[numpy.float64]:
    """
    Outputs of a trained, compiled or converted model: x has a row of S·in_dim numbers a sample (S = n + scratch).
    """

def attention(model: str | os.PathLike) -> NDArray[numpy.float64]:
    """
    The attention matrices of a positional model, stacked: (layers · heads · S) × S.
    """

def capacity(model: str | os.PathLike, *, input_norm: float = 2.0, samples: int = 30000) -> telos._telos.Report:
    """Lipschitz constants and the norm-based bound, from the weights alone."""

def spec(experiment: str, task: str, model: str = 'positional') -> list:
    """
    The specs of an experiment, as dictionaries to change and to hand to train().
    """

def train(specs: Iterable, *, out: str | os.PathLike = '', threads: int = 0) -> telos._telos.Report:
    """
    Train every spec's runs and test them beyond the training range. With out, models, metrics and checkpoints are
    left there. Results do not depend on threads.
    """

def heads(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, threshold: float = 0.9, window: int = 0, max_windows: int = 16, threads: int = 0) -> telos._telos.Report:
    """
    How much of each head's attention positions explain: on a text, or in a recorded trace.
    """

def whatif(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, threshold: float = 0.9, window: int = 0, max_windows: int = 16, threads: int = 0) -> telos._telos.Report:
    """
    Replace the heads that positions explain by their mean attention; what becomes of the output?
    """

def studies(names: Sequence[str], *, seed: int = 1, threads: int = 0) -> telos._telos.Report:
    """
    Related systems, each with the check that decides its claim: counting, graphs, hops, performer, rpe-fft, nystrom,
    dape, hard, momentum.
    """
