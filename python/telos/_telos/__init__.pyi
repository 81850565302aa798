"""
What a transformer tends to: theory, measurement and lab on a checkpoint and a text.
"""

from collections.abc import Sequence
import os

from telos import (
    Error as Error,
    FileError as FileError,
    InvalidError as InvalidError,
    MissingFileError as MissingFileError
)
from telos._telos import (
    bigram as bigram,
    clustering as clustering,
    positional as positional,
    smoothing as smoothing,
    symmetry as symmetry
)


class Report:
    """What a command has found; the same numbers in every form."""

    @property
    def command(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def verdict(self) -> str:
        """The verdict, one sentence."""

    @property
    def basis(self) -> str:
        """What the verdict rests on."""

    @property
    def evidence(self) -> list[str]:
        """The conditions that were met."""

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The key numbers as (label, value)."""

    @property
    def complete(self) -> bool:
        """False if part of the input could not be used."""

    @property
    def not_measured(self) -> list[str]:
        """What could not be used or measured, and why."""

    @property
    def remarks(self) -> list[str]:
        """What to know of what was measured."""

    @property
    def tables(self) -> list[str]:
        """Names that table() takes."""

    def table(self, id: str) -> dict:
        """One table as {column: numpy array or list}."""

    def to_json(self) -> str:
        """Everything with all digits, as JSON text."""

    def to_markdown(self) -> str: ...

    def to_html(self) -> str:
        """The self-contained page."""

    def save(self, directory: str | os.PathLike) -> None:
        """Leave report.html, report.json, tables and figures in a directory."""

    def __str__(self) -> str: ...

    def __repr__(self) -> str: ...

def diagnose(model: str | os.PathLike, text: str | None = None, *, ids: Sequence[int] | None = None, window: int = 0, max_windows: int = 16, threads: int = 0) -> Report:
    """
    Every lens that applies to a model (a .safetensors file, a model directory or a recorded trace) and a text.

    window 0 takes 128 tokens, or the model's context if that is shorter; threads 0 takes all cores. Results do not
    depend on threads. Raises telos.Error.
    """

def inspect(model: str | os.PathLike) -> Report:
    """
    What a file holds; what a diagnosis would read, need and take. Reads headers only.
    """
