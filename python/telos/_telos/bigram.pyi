"""
What sparse contextual bigram structure is there, and how many samples does it take?
"""

from collections.abc import Mapping, Sequence
import os

import numpy
from numpy.typing import NDArray

import telos._telos


class Instance:
    """One sparse contextual bigram task."""

    @property
    def length(self) -> int:
        """T, the number of positions."""

    @property
    def tokens(self) -> int:
        """N, the number of tokens."""

    @property
    def sparsity(self) -> int:
        """Q, the most positions that a last token looks at."""

    @property
    def p(self) -> NDArray[numpy.float64]:
        """N × N, columns are laws of the output."""

    @property
    def mu(self) -> NDArray[numpy.float64]:
        """N, stationary."""

    @property
    def q(self) -> NDArray[numpy.float64]:
        """N × T, row k: where last token k looks."""

    @property
    def constants(self) -> dict:
        """K_P, K_Q, gamma, J_P, loss_start, loss_least."""

    def save(self, path: str | os.PathLike) -> None:
        """As JSON."""

def generate(tokens: int = 3, length: int = 5000, sparsity: int = 2, *, concentration: float = 1.0, seed: int = 1) -> Instance:
    """A random task, the same on every machine."""

def load(path: str | os.PathLike) -> Instance:
    """A task as Instance.save() or `telos bigram generate` left it."""

class Column:
    """Where one last token looks, as found."""

    @property
    def positions(self) -> list[int]: ...

    @property
    def weights(self) -> list[float]: ...

    @property
    def stable(self) -> bool: ...

    @property
    def exact(self) -> bool: ...

class TrainResult:
    """What a training run found."""

    @property
    def v(self) -> NDArray[numpy.float64]:
        """N × N, close to P."""

    @property
    def a(self) -> NDArray[numpy.float64]:
        """N × T, row k close to q of k."""

    @property
    def columns(self) -> list[Column]: ...

    @property
    def steps(self) -> int: ...

    @property
    def samples(self) -> int: ...

    @property
    def samples_to_support(self) -> int:
        """0: not reached."""

    @property
    def mirrored(self) -> bool: ...

    @property
    def loss(self) -> float:
        """Population loss at the end."""

    @property
    def held_out(self) -> float: ...

    @property
    def held_out_error(self) -> float: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def curve(self) -> dict:
        """
        Course of the descent as arrays: samples, loss, alpha_v, alpha_a, distance_v, distance_a.
        """

def train(instance: Instance, *, algorithm: str = 'scb', batch: int = 64, eta: float = 0.02, samples: int = 128000, refit_samples: int = 100000, screen_samples: int = 50000, seed: int = 1, threads: int = 0) -> TrainResult:
    """
    Learn a task from samples: scb, paper, psgd, sgd, nonneg, softmax or moments. Results do not depend on threads.
    Raises telos.Error.
    """

def population(instance: Instance, *, eta: float = 0.1, steps: int = 2000) -> dict:
    """
    The exact dynamics of infinitely many samples a step: alpha_v, alpha_a, loss.
    """

class TextEstimate:
    """What a sparse contextual bigram says of a text."""

    @property
    def names(self) -> list[str]:
        """V tokens, the most frequent first."""

    @property
    def mu(self) -> NDArray[numpy.float64]:
        """V frequencies."""

    @property
    def p(self) -> NDArray[numpy.float64]:
        """V × V, column j: law of the next token where token j is attended."""

    @property
    def q(self) -> NDArray[numpy.float64]:
        """
        V × (offsets + 1), row k: where last token k looks, offset 0 is itself.
        """

    @property
    def nats(self) -> dict:
        """Held-out cross-entropy a token: {model: (nats, standard error)}."""

    @property
    def gain(self) -> dict:
        """Nats below the bigram, paired: {model: (nats, standard error)}."""

    def report(self) -> telos._telos.Report:
        """Verdict, figures and tables."""

def estimate(text: str, *, unit: str = 'char', vocabulary: int = 64, offsets: int = 16, sparsity: int = 3, threads: int = 0) -> TextEstimate:
    """
    Which offsets each last token of a text looks at, and what that explains of the next token beyond the bigram.
    unit: 'char' or 'word'. Raises telos.Error.
    """

def studies() -> list:
    """
    The studies: name, title, paper, claim, and parameters with their defaults.
    """

def study(name: str, parameters: Mapping[str, float] = {}, *, seed: int = 1, threads: int = 0) -> telos._telos.Report:
    """
    Run a study at the given sizes: its claim, checks and figure. Raises telos.Error.
    """

def heads(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, offsets: int = 16, vocabulary: int = 64, window: int = 0, max_windows: int = 16, threads: int = 0) -> telos._telos.Report:
    """
    How far back attention heads of a model or a recorded trace look, which repeat what followed before, and whether they look where the text's next token is informed. Raises telos.Error.
    """
