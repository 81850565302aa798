"""telos.symmetry: irreps, texts, and how much of a function ignores order."""

import math

import numpy as np
import pytest

import telos
from telos import symmetry


def test_irreps():
    assert symmetry.dimension((62, 1, 1)) == 1953
    assert symmetry.dimension([30] * 4) > 2**63, "of any size"
    assert len(format(symmetry.dimension(range(77, 0, -1)), "x")) > 3700, "beyond the 4,300 digits that int() reads"
    assert [symmetry.multiplicity(p, 3) for p in symmetry.partitions(4)] == [15, 15, 6, 3, 0]
    everything = sum(symmetry.dimension(p) * symmetry.multiplicity(p, 3) for p in symmetry.partitions(12))
    assert everything == 3**12
    assert symmetry.kostka((3, 1), [2, 2]) == 1
    assert symmetry.character((3, 1, 1), [2, 2, 1]) == -2
    assert symmetry.class_sums((6, 2)) == (14, 28)
    assert len(symmetry.partitions(40, degree=2)) == 4
    with pytest.raises(telos.Error):
        symmetry.dimension((1, 2))


def test_projections():
    w = np.array([[-1, 2, 1], [-4, 3, 3], [5, 3, -2], [-2, 2, 2], [2, 4, -2]], float)
    assert symmetry.linear_energy(w) == pytest.approx({"trivial": 40, "standard": 74})
    pair = symmetry.pair_energy(np.arange(25.0).reshape(5, 5))
    off = np.arange(25.0).reshape(5, 5) * (1 - np.eye(5))
    assert sum(pair.values()) == pytest.approx((off**2).sum())


def test_order_of_a_function():
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 5, (200, 9), dtype=np.int32)
    value = rng.standard_normal(5)
    count, copy = symmetry.order(lambda x: [value[x[:, :8]].sum(1, keepdims=True), value[x[:, [3]]]], windows, range(8))
    assert count["symmetric"][0] == pytest.approx(1)
    share, error = copy["place by place"]
    assert abs(share - 7 / 8) < 4 * error
    with pytest.raises(ValueError, match="row for each"):
        symmetry.order(lambda x: np.zeros((1, 1)), windows, range(8))
    with pytest.raises(telos.Error, match="at least 4"):
        symmetry.order(lambda x: np.zeros((len(x), 1)), windows, [0, 1])


@pytest.mark.parametrize(
    "f, windows, error, message",
    [
        (lambda x: x, np.full((8, 4), 1.7), TypeError, "windows: row 0, column 0.*1.7"),
        (lambda x: x, np.full((8, 4), 2**32 + 1), ValueError, "windows: row 0, column 0.*4294967297"),
        (lambda x: x, [[1, 2, 3, 4], [1, 2, 3]], ValueError, "one length"),
        (lambda x: None, np.eye(4, dtype=int), TypeError, "B × d"),
        (lambda x: x[:, 0], np.eye(4, dtype=int), TypeError, "B × d"),
        (lambda x: [[1.0]] * len(x), np.eye(4, dtype=int), TypeError, "B × d"),
        (lambda x: 1 / 0, np.eye(4, dtype=int), ZeroDivisionError, "division"),
    ],
)
def test_order_refuses(f, windows, error, message):
    with pytest.raises(error, match=message):
        symmetry.order(f, windows, range(4))


def test_order_of_a_function_whose_values_change():
    calls = []

    def widening(x):
        calls.append(x)
        return np.ones((len(x), len(calls)))

    with pytest.raises(ValueError, match="number or width"):
        symmetry.order(widening, np.arange(320).reshape(80, 4) % 5, range(4))


def test_a_text():
    rng = np.random.default_rng(1)
    letters = []
    for _ in range(8000):
        letters.append(letters[-1] if letters and rng.random() < 0.5 else "abcd"[rng.integers(4)])
    found = symmetry.corpus("".join(letters), unit="char", vocabulary=4, length=8, shuffles=19)
    share, error = found.fractions["(L)"]
    assert abs(share - 0.580077335667) < 4 * error
    assert found.shuffled["(L)"][0] == pytest.approx(1, abs=0.1)
    assert math.isclose(found.p_value, 0.05)
    assert "%" in found.report().verdict
    with pytest.raises(ValueError, match="unit"):
        symmetry.corpus("abc", unit="byte")


def test_kernels():
    x, y = [[0, 1, 2]], [[2, 1, 1]]
    assert symmetry.gram(x, y, vocabulary=3)[0, 0] == pytest.approx(0.459753365539803, abs=1e-12)
    assert symmetry.gram(x, y, vocabulary=3, ntk=True)[0, 0] == pytest.approx(1.37016265565689, abs=1e-12)
    rows = np.random.default_rng(2).integers(0, 4, (20, 6))
    square = symmetry.gram(rows)
    np.testing.assert_allclose(square, square.T)
    assert np.linalg.eigvalsh(square).min() > -1e-12
    ragged = symmetry.gram([[0], [1, 2, 3]], vocabulary=4)
    assert ragged.shape == (2, 2)
    with pytest.raises(telos.Error, match="pre-ln"):
        symmetry.gram(x, architecture="pre-ln-rleu")
    padded = symmetry.gram([[0, 3, 3], [1, 2, 2]], vocabulary=4, pad=3, architecture="pre-ln-gelu")
    assert padded == pytest.approx(symmetry.gram([[0], [1, 2, 2]], vocabulary=3, architecture="pre-ln-gelu"), abs=1e-12)
    rows = np.arange(60).reshape(10, 6) % 5
    wide, single = (symmetry.gram(rows, architecture="deep", precision=p) for p in ("f64", "f32"))
    assert 0 < np.abs(wide - single).max() < 1e-6
    with pytest.raises(ValueError):
        symmetry.gram(rows, precision="f16")


def test_regression_as_scikit_learn_has_it():
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 3, (160, 5))
    labels = (rows == 0).sum(1).astype(float)
    model = symmetry.WideTransformerRegressor(ridge=1e-4, vocabulary=3)
    assert model.fit(rows[:120], labels[:120]) is model
    assert model.score(rows[120:], labels[120:]) > 0.9
    mean, deviation = model.predict(rows[120:], return_std=True)
    assert mean.shape == deviation.shape == (40,)
    known = model.predict(rows[:120], return_std=True)[1]
    assert known.mean() < deviation.mean()
    assert model.set_params(ridge=0.5).get_params()["ridge"] == 0.5
    two = symmetry.WideTransformerRegressor(vocabulary=3).fit(rows, np.stack([labels, -labels], 1)).predict(rows[:4])
    np.testing.assert_allclose(two[:, 0], -two[:, 1])
    with pytest.raises(telos.Error, match="fit"):
        symmetry.WideTransformerRegressor().predict(rows)
    with pytest.raises(ValueError, match="no parameter"):
        model.set_params(width=3)
    with pytest.raises(telos.Error, match="ridge"):
        symmetry.WideTransformerRegressor("simplified", ridge=0).fit([[0, 1, 0], [0, 1, 0], [1, 0, 1]], np.arange(3.0))


def test_samples_of_a_target():
    report = symmetry.predict("copy:3", 8, 8)
    assert "(L−1,1)" in report.verdict
    samples = dict(zip(report.table("samples")["part"], report.table("samples")["samples"]))
    assert samples["(L−1,1)"] == pytest.approx(36.91, abs=0.01)
    with pytest.raises(telos.Error, match="copy"):
        symmetry.predict("kopy:3", 8, 8)
    any_kernel = symmetry.predict("copy:1", 3, 4, architecture="relu-attention", ntk=True)
    assert set(any_kernel.table("samples")["known"]) == {"exact"}


def test_predict_refuses_what_it_would_not_use():
    for options in ({"ntk": True}, {"architecture": "relu-attention", "token": 2.0}, {"architecture": "relu-attention", "position": 0.1}):
        with pytest.raises(telos.Error, match="belongs to"):
            symmetry.predict("copy:0", 4, 5, **options)
