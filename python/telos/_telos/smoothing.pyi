"""Do the tokens become alike with depth, and which heads do it?"""

import os
from typing import Annotated

import numpy
from numpy.typing import NDArray


def spectrum(model: str | os.PathLike, *, fold: str = 'auto', threads: int = 0) -> dict:
    """
    Spectra of H = W_V W_O, one row a head: eigenvalues (heads × k, complex), singular values, trace, rho, copy score,
    Henrici departure, zone shares and tendency. fold: none, gamma, center+gamma or auto.
    """

def zone(h: complex) -> str:
    """
    Zone of an eigenvalue h of W_V W_O: smooth (|h + 1| >= 1), sharp (|h + 1/2| <= 1/2), depends, or null.
    """

def flip_point(h: complex) -> float:
    """a* = -2 Re h / |h|^2 - 1, where h changes sides."""

def token_measures(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> dict:
    """
    How alike the rows (tokens) of a float64 matrix are: hfc_lfc, cos_mean, stable_rank, …
    """
