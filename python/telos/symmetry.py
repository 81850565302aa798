"""What does an infinitely wide transformer learn first, and how symmetric is the data?"""

import numpy as np

from telos._telos import InvalidError
from telos._telos.symmetry import *
from telos._telos.symmetry import WidePosterior


class NotFittedError(InvalidError, AttributeError):
    """A prediction was asked for before fit(X, y)."""

    kind, where, message, hint = "usage", "WideTransformerRegressor", "is not fitted", "call fit(X, y) first"

    def __str__(self):
        return f"{self.where}: {self.message}\n→ {self.hint}"


class WideTransformerRegressor:
    """Regression with the Gaussian process of an infinitely wide transformer on token sequences.

    An estimator as scikit-learn has them. X: rows of token ids, or lists of any lengths; y: n, or n × outputs.

    architecture: as in gram(). ridge: the variance of the noise; 0 interpolates. ntk: the NTK instead of the NNGP kernel.
    vocabulary: ids are below it; 0 takes any. threads: 0 takes all cores; results do not depend on it.
    """

    def __init__(self, architecture="pre-ln-relu", *, ridge=0.01, ntk=False, vocabulary=0, threads=0):
        self.architecture = architecture
        self.ridge = ridge
        self.ntk = ntk
        self.vocabulary = vocabulary
        self.threads = threads

    def fit(self, X, y):
        """Returns itself. Raises telos.Error where K + ridge is not positive definite; then what was fitted before stays."""
        self.posterior_ = WidePosterior(
            X,
            _labels(y),
            architecture=self.architecture,
            ridge=self.ridge,
            ntk=bool(self.ntk),
            vocabulary=self.vocabulary,
            threads=self.threads,
        )
        return self

    def predict(self, X, return_std=False):
        """Posterior mean; with return_std also the standard deviation of the clean function."""
        return self._fitted().predict(X, return_std=return_std, threads=self.threads)

    def score(self, X, y):
        """R² of the mean, averaged over outputs. An output that does not vary has 1 where it is met exactly, else 0."""
        mean = self.predict(X)
        mean, y = (values.reshape(len(values), -1) for values in (mean, _labels(y)))
        if y.shape != mean.shape:
            raise ValueError(f"y has {len(y)} rows of {y.shape[1]} outputs, expected {len(mean)} of {mean.shape[1]}")
        residual = ((y - mean) ** 2).sum(axis=0)
        total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        constant = total == 0
        return float(np.where(constant, residual == 0, 1 - residual / np.where(constant, 1, total)).mean())

    @property
    def n_features_in_(self):
        """Tokens of each sample, where all have as many."""
        length = self._fitted().length
        if length is None:
            raise AttributeError("n_features_in_: the samples differ in length")
        return length

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters):
        """For the next fit."""
        for name in parameters:
            if name not in _PARAMETERS:
                raise ValueError(f"there is no parameter {name}; known: {', '.join(_PARAMETERS)}")
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def __repr__(self):
        own, usual = self.get_params(), WideTransformerRegressor().get_params()
        named = [f"{name}={value!r}" for name, value in own.items() if name != "architecture" and value != usual[name]]
        return f"WideTransformerRegressor({', '.join([repr(self.architecture), *named])})"

    def __sklearn_tags__(self):
        from sklearn.utils import RegressorTags, Tags, TargetTags  # asks only where scikit-learn does

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True, multi_output=True),
            regressor_tags=RegressorTags(),
        )

    def _fitted(self):
        try:
            return self.posterior_
        except AttributeError:
            raise NotFittedError from None


_PARAMETERS = ("architecture", *WideTransformerRegressor.__init__.__kwdefaults__)


def _labels(y):
    """y as float64, n or n × outputs."""
    values = np.asarray(y)
    if values.dtype.kind not in "biuf" and (values.dtype != object or values.ndim == 0):
        raise TypeError(f"y: expected numbers, found {values.dtype}")
    values = np.ascontiguousarray(values, np.float64)
    if np.ndim(y) not in (1, 2):
        raise ValueError(f"y: expected one or two dimensions, found {np.ndim(y)}")
    if values.size == 0:
        raise ValueError(f"y: expected a row and a column at least, found {' × '.join(map(str, values.shape))}")
    if not np.isfinite(values).all():
        at = np.argwhere(~np.isfinite(values))[0]
        where = ", ".join(f"{name} {i}" for name, i in zip(("row", "column"), at))
        raise ValueError(f"y: {where}: expected a finite number, found {values[tuple(at)]}")
    return values
