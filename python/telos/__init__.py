"""telos: what a transformer tends to.

>>> import telos
>>> report = telos.diagnose("path/to/model", "Some text to run it on ...")
>>> print(report.verdict)
"""

from telos import symmetry
from telos._telos import Error, Report, __version__, bigram, clustering, diagnose, inspect, positional, smoothing

__all__ = ["Error", "Report", "__version__", "bigram", "clustering", "diagnose", "inspect", "positional", "smoothing", "symmetry"]
