"""telos.symmetry: irreps, texts, and how much of a function ignores order."""

import math

import numpy as np
import pytest

import telos
from telos import symmetry


def test_irreps():
    assert symmetry.dimension((62, 1, 1)) == 1953
    assert symmetry.dimension([30] * 4) > 2**63, "of any size"
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
