"""Which tokens lead, and where do the others end up?"""

from collections.abc import Sequence
import os
from typing import Annotated

import numpy
from numpy.typing import NDArray

import telos._telos


class Leader:
    """
    A token that attends to itself alone from some layer on, and never moves.
    """

    @property
    def token(self) -> int: ...

    @property
    def copies(self) -> int: ...

    @property
    def norm(self) -> float: ...

    @property
    def emergence(self) -> int: ...

    @property
    def followers(self) -> int: ...

    def __repr__(self) -> str: ...

class Run:
    """An exact run of the hardmax system."""

    @property
    def tokens(self) -> int: ...

    @property
    def unique(self) -> int: ...

    @property
    def rate(self) -> float:
        """What is left of the distance to the limit after a further layer."""

    @property
    def layers(self) -> int:
        """Layers computed one by one; all later ones are formulas."""

    @property
    def complete(self) -> bool:
        """Every token is decided."""

    @property
    def leaders(self) -> list[Leader]: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def limits(self) -> NDArray[numpy.float64]:
        """Exact limits (layers=None), or positions after the last layer: n × d."""

    @property
    def leader(self) -> NDArray[numpy.int64]:
        """Token that each token's limit is, −1 where it is none."""

    @property
    def decided(self) -> NDArray[numpy.int64]:
        """
        Layer from which on each token's way is a formula, −1 where it is not decided.
        """

    @property
    def ends(self) -> list[str]:
        """leader, follows, static, face, asymptotic or undecided, a token."""

    def positions(self, layer: int) -> NDArray[numpy.float64]:
        """Positions after a layer: n × d."""

    def targets(self, token: int, layer: int) -> list[int]:
        """The tokens of largest score for a token (lowest of equal ones)."""

    def report(self, labels: Sequence[str] = []) -> telos._telos.Report:
        """The page of the run, with its animated figure."""

def run(tokens: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], *, alpha: float = 1.0, layers: int | None = None, A: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, general_A: bool = False, ties: float = 1e-12, center: bool = False, paths: bool = True, threads: int = 0) -> Run:
    """
    The hardmax system on tokens (n × d), exactly: z_i moves α/(1+α) of the way to the mean of the tokens of
    largest ⟨A z_i, z_j⟩. layers None is infinitely many; ties 0 compares to the bit.
    """

class SoftRun:
    """States of a soft or continuous relative of the hardmax system."""

    @property
    def times(self) -> NDArray[numpy.float64]: ...

    @property
    def clusters(self) -> list[int]:
        """Clusters at each time: components at `distance`."""

    @property
    def component(self) -> list[int]:
        """Of each token at the end."""

    @property
    def energy(self) -> NDArray[numpy.float64]:
        """usa: E_β at each time."""

    @property
    def smallest_cosine(self) -> NDArray[numpy.float64]: ...

    @property
    def notes(self) -> list[str]: ...

    def state(self, index: int) -> NDArray[numpy.float64]:
        """Tokens at times[index]: n × d."""

def simulate(tokens: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], kind: str, *, alpha: float = 1.0, temperature: float = 0.001, relaxation: float = 0.0, beta: float = 1.0, A: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, K: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, layers: int = 30, time: float = 10.0, step: float = 0.0, frames: int = 60, distance: float = 0.01, threads: int = 0) -> SoftRun:
    """
    Relatives of the hardmax system: softmax and localmax layers, the rescaled ODE ('emergence'), attention on the
    sphere ('sa', 'usa'), by RK4 with attention at every stage. step 0 is chosen by the system.
    """

def expected_leaders(tokens: int, dimension: int) -> float:
    """
    Expected leaders at layer 0 among n standard normal tokens in d dimensions.
    """

def equiangular(tokens: int, beta: float, times: Sequence[float], unnormalised: bool = False) -> NDArray[numpy.float64]:
    """γ(t) of n orthonormal tokens on the sphere."""

class SentimentModel:
    """Word vectors, K hardmax layers, mean, linear, sigmoid."""

    @staticmethod
    def load(path: str | os.PathLike) -> SentimentModel: ...

    @staticmethod
    def import_published(weights: str | os.PathLike, vocabulary: str | os.PathLike) -> SentimentModel:
        """The published .pth file, read without running pickle."""

    def save(self, path: str | os.PathLike) -> None: ...

    @property
    def alpha(self) -> float: ...

    @property
    def bias(self) -> float: ...

    @property
    def v(self) -> NDArray[numpy.float32]: ...

    @property
    def words(self) -> list[str]: ...

    @property
    def embedding(self) -> NDArray[numpy.float32]: ...

    def predict(self, texts: Sequence[str], mode: str = 'hard', threads: int = 0) -> NDArray[numpy.float64]:
        """Probability of the positive class of each text."""

    def explain(self, text: str, threads: int = 0) -> telos._telos.Report:
        """Which words decided, and the sum: a Report."""

    def leaders(self, texts: Sequence[str], labels: Sequence[int] = [], confidence: float = 0.0, far: float = 0.0, threads: int = 0) -> telos._telos.Report:
        """Words that lead over a corpus: a Report."""

def read_texts(path: str | os.PathLike) -> tuple[list[str], NDArray[numpy.uint8]]:
    """
    Texts and labels (0, 1) of a csv, tsv or jsonl file, or a folder with pos and neg.
    """

def train(texts: Sequence[str], labels: Sequence[int], test_texts: Sequence[str] = [], test_labels: Sequence[int] = [], *, dim: int = 2, layers: int = 8, epochs: int = 30, seed: int = 0, lower_case: bool = True, mask_padding: bool = True, mode: str = 'soft', baselines: bool = True, threads: int = 0) -> tuple[SentimentModel, telos._telos.Report]:
    """
    Train a sentiment model; returns (SentimentModel, Report). Without test texts, three tenths of the texts test.
    """

def heads(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, window: int = 0, max_windows: int = 16, thresholds: Sequence[float] | None = None, alpha: float = 1.0, threads: int = 0) -> telos._telos.Report:
    """
    How hard each head's attention is, which tokens it follows, and how the residual stream clusters.
    """
