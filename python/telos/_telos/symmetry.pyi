"""
What does an infinitely wide transformer learn first, and how symmetric is the data?
"""

from collections.abc import Callable, Sequence
import os
from typing import Annotated

import numpy
from numpy.typing import NDArray

import telos._telos


def order(f: Callable, windows: object, moved: Sequence[int], *, shuffles: int = 4, seed: int = 1, batch: int = 64) -> list:
    """
    How much of any function of token windows ignores the order of its tokens.

    f takes int32 ids (B × L) and returns numbers (B × d), or a list of such; windows is W × L; moved are the
    positions that change places. For each value: {part: (share of the variance, standard error)}.
    """

def measure(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, read: str = 'auto', shuffles: int = 4, seed: int = 1, window: int = 0, max_windows: int = 32, threads: int = 0) -> telos._telos.Report:
    """
    How much of what a context adds to a model's state ignores the order of its tokens, by layer and by length of
    the window. read: 'auto', 'last', 'first' or 'mean'. Raises telos.Error.
    """

class TextSymmetry:
    """How far the windows of a text are exchangeable."""

    @property
    def names(self) -> list[str]:
        """Letters, the most frequent first."""

    @property
    def windows(self) -> int:
        """Windows that were counted."""

    @property
    def fractions(self) -> dict:
        """
        Of what positions tell of each other: {irrep: (share, standard error)}; (L) ignores order.
        """

    @property
    def shuffled(self) -> dict:
        """The same with the tokens of each window in random order: exchangeable."""

    @property
    def markov(self) -> dict:
        """The same of the first-order Markov chain of the text, exact."""

    @property
    def p_value(self) -> float:
        """
        Of exchangeability, by shuffles within windows; NaN without shuffles, and where no positions covary.
        """

    def report(self) -> telos._telos.Report:
        """Verdict, figures and tables."""

def corpus(text: str, *, unit: str = 'word', vocabulary: int = 64, length: int = 16, blocks: int = 20, shuffles: int = 199, seed: int = 1, threads: int = 0) -> TextSymmetry:
    """
    How much of what the tokens of a text's windows tell of each other is the same in every order.
    unit: 'char', 'word' or 'piece'. Raises telos.Error.
    """

def partitions(length: int, degree: int | None = None) -> list:
    """
    All partitions of a length, of degree length − λ_1 up to the one given, as tuples.
    """

def dimension(partition: Sequence[int]) -> int:
    """f^λ by the hook length formula, exact."""

def multiplicity(partition: Sequence[int], vocabulary: int) -> int:
    """
    Copies of the irrep among functions of length tokens out of a vocabulary, exact.
    """

def kostka(partition: Sequence[int], counts: Sequence[int]) -> int:
    """
    Copies of the irrep among functions of the orderings of a bag of tokens with these counts.
    """

def character(partition: Sequence[int], cycles: Sequence[int]) -> int:
    """
    χ^λ of permutations with cycles of these lengths (Murnaghan and Nakayama).
    """

def class_sums(partition: Sequence[int]) -> tuple[int, int]:
    """
    What the sums of all transpositions and of all 3-cycles multiply the irrep by.
    """

def linear_energy(w: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> dict[str, float]:
    """
    Squares of the parts of w (positions × letters), of f(x) = Σ_b w[b, x_b].
    """

def pair_energy(w: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> dict[str, float]:
    """
    Squares of the parts of w (positions × positions, its diagonal not read), of f(x) = Σ_{b≠c} w[b, c] g(x_b) h(x_c).
    """

def gram(X: object, Y: object | None = None, *, architecture: str | os.PathLike = 'pre-ln-relu', ntk: bool = False, vocabulary: int = 0, pad: int | None = None, precision: str = 'f64', samples: int = 2000, seed: int = 1, threads: int = 0) -> NDArray[numpy.float64]:
    """
    NNGP kernel (or NTK) of an infinitely wide transformer on pairs of token sequences.

    architecture: a name of `telos symmetry kernel --list`, or the path of a JSON file. pad: the token id that stands for padding. precision: 'f32' computes pairs in single precision where that pays. Raises telos.Error.
    """

class WidePosterior:
    """
    What WideTransformerRegressor.fit finds; it never changes. Its pickle holds the samples, and loading one fits again.
    """

    def __init__(self, X: object, y: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], *, architecture: str | os.PathLike, ridge: float, ntk: bool, vocabulary: int, threads: int) -> None: ...

    def predict(self, X: object, *, return_std: bool, threads: int) -> object: ...

    @property
    def length(self) -> int | None:
        """Tokens of each sample, None where they differ."""

    def __getstate__(self) -> tuple: ...

    def __setstate__(self, arg: tuple[str, object, Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], float, bool, int], /) -> None: ...

def predict(target: str, vocabulary: int, length: int, *, alpha: float | None = None, architecture: str | os.PathLike | None = None, ntk: bool | None = None, token: float | None = None, position: float | None = None, noise: float = 0.01, ridge: float | None = None, theta: float = 0.5, threads: int = 0) -> telos._telos.Report:
    """
    How many samples a target takes by irrep: a report. Of the block with linear attention (token and position are its weights, 1 and 0.5 if not given), or of an architecture as in gram(), on all sequences, at most 4,096.

    target: 'copy:b', 'count:v', 'majority', 'bigram', 'pair:a,b'; alpha: of an urn, else uniform tokens.
    """
