"""telos: what a transformer tends to.

>>> import telos
>>> report = telos.diagnose("path/to/model", "Some text to run it on ...")
>>> print(report.verdict)

What goes wrong raises telos.Error, which is also a ValueError (InvalidError), an OSError (FileError) or a FileNotFoundError
(MissingFileError) where it is of that kind. Ctrl-C stops long calls.
"""

from telos import symmetry
from telos._telos import (
    Error,
    FileError,
    InvalidError,
    MissingFileError,
    Report,
    __version__,
    bigram,
    clustering,
    diagnose,
    inspect,
    positional,
    smoothing,
)

__all__ = [
    "Error",
    "FileError",
    "InvalidError",
    "MissingFileError",
    "Report",
    "__version__",
    "bigram",
    "clustering",
    "diagnose",
    "inspect",
    "positional",
    "smoothing",
    "symmetry",
]
