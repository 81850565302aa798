"""telos.symmetry.WideTransformerRegressor: state, input, and the contract of scikit-learn's estimators."""

import copy
import pickle
import threading

import numpy as np
import pytest

import telos
from telos.symmetry import WideTransformerRegressor, gram

RNG = np.random.default_rng(5)
ROWS = RNG.integers(0, 4, (60, 5))
LABELS = (ROWS == 0).sum(1) + 0.1 * RNG.standard_normal(60)
NEW = RNG.integers(0, 4, (12, 5))


def fitted(**parameters):
    return WideTransformerRegressor(**parameters).fit(ROWS, LABELS)


# ---- State


def test_a_failed_fit_changes_nothing():
    model = fitted()
    before = model.predict(NEW)
    with pytest.raises(ValueError, match="59"):
        model.fit(ROWS[::-1], LABELS[:59])
    np.testing.assert_array_equal(model.predict(NEW), before)
    with pytest.raises(telos.Error, match="typo"):
        model.set_params(architecture="typo").fit(ROWS[::-1], LABELS)
    np.testing.assert_array_equal(model.predict(NEW), before)


def test_parameters_set_after_a_fit_wait_for_the_next():
    model = fitted(ntk=True)
    before = model.predict(NEW, return_std=True)
    model.set_params(ntk=False, ridge=9.0, architecture="simplified", vocabulary=2)
    np.testing.assert_array_equal(model.predict(NEW, return_std=True), before)


def test_predictions_may_run_beside_a_fit():
    model = fitted(threads=1)
    small, large = model.predict(NEW), fitted(threads=1).fit(np.tile(ROWS, (4, 1)), np.tile(LABELS, 4)).predict(NEW)
    done = threading.Event()

    def fit():
        for _ in range(10):
            model.fit(np.tile(ROWS, (4, 1)), np.tile(LABELS, 4)).fit(ROWS, LABELS)
        done.set()

    thread = threading.Thread(target=fit)
    thread.start()
    while not done.is_set():
        found = model.predict(NEW)
        assert (found == small).all() or (found == large).all()
    thread.join()


def test_before_the_first_fit():
    for use in (lambda m: m.predict(NEW), lambda m: m.score(NEW, LABELS[:12])):
        with pytest.raises(telos.Error, match="not fitted") as caught:
            use(WideTransformerRegressor())
        assert caught.value.kind == "usage" and "fit(X, y)" in caught.value.hint
    assert not hasattr(WideTransformerRegressor(), "n_features_in_")


# ---- Input


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "int64", "uint64", ">i4", object])
def test_rows_of_any_whole_numbers(dtype):
    rows = ROWS.astype(dtype)
    expected = gram(ROWS.tolist())
    np.testing.assert_array_equal(gram(rows), expected)
    np.testing.assert_array_equal(gram(np.asfortranarray(rows)), expected)
    wide = np.zeros((120, 10), dtype)
    wide[::2, ::2] = rows
    np.testing.assert_array_equal(gram(wide[::2, ::2]), expected)
    np.testing.assert_array_equal(gram(rows[::-1, ::-1]), gram(ROWS[::-1, ::-1].tolist()))


def test_rows_of_any_lengths():
    ragged = [[0, 1], np.array([2], np.uint8), (1, 2, 3)]
    expected = gram([[0, 1], [2], [1, 2, 3]])
    np.testing.assert_array_equal(gram(ragged), expected)
    rows = np.empty(3, object)
    rows[:] = ragged
    np.testing.assert_array_equal(gram(rows), expected)
    model = WideTransformerRegressor().fit(ragged, [1, 2, 3])
    assert model.predict([[1], [2, 2, 2, 2]]).shape == (2,)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    "rows, error, message",
    [
        ([[0, 1], [0.9, 1]], TypeError, r"X: row 1, column 0: expected a token id.*found 0\.9"),
        (np.array([[0.0, 1.0]]), TypeError, "row 0, column 0"),
        ([[0, "3"]], TypeError, "row 0, column 1: .*'3'"),
        (["ab"], TypeError, "row 0, column 0: .*'a'"),
        ([[0, None]], TypeError, "row 0, column 1: .*None"),
        ([[0, 1], [2, -1]], ValueError, "row 1, column 1: .*-1"),
        ([[2**31]], ValueError, "row 0, column 0: .*2147483648"),
        ([[2**70]], ValueError, "row 0, column 0: "),
        (np.array([[2**64 - 1]], np.uint64), ValueError, "row 0, column 0: .*18446744073709551615"),
        ([0, 1], TypeError, "row 0: expected a sequence"),
        (np.arange(3), TypeError, "row 0: expected a sequence"),
        (7, TypeError, "X: expected rows"),
    ],
)
def test_what_is_no_token_is_refused(rows, error, message):
    with pytest.raises(error, match=message):
        gram(rows)
    with pytest.raises(error, match=message):
        fitted().predict(rows)
    with pytest.raises(error, match=message):
        WideTransformerRegressor().fit(rows, [1.0])
    with pytest.raises(error, match=message.replace("X: ", "Y: ")):
        gram([[0]], rows)


def test_labels_of_any_numbers():
    whole = (ROWS == 0).sum(1)
    expected = WideTransformerRegressor().fit(ROWS, whole.astype(float)).predict(NEW)
    every_other = np.repeat(whole, 2)[::2]
    for y in (whole, whole.tolist(), whole.astype("float32"), every_other, whole.astype(object)):
        np.testing.assert_array_equal(WideTransformerRegressor().fit(ROWS, y).predict(NEW), expected)
        assert WideTransformerRegressor().fit(ROWS, y).score(ROWS, y) > 0.9
    two = np.asfortranarray(np.stack([whole, -whole], 1))
    columns = WideTransformerRegressor().fit(ROWS, two).predict(NEW)
    np.testing.assert_array_equal(columns, np.stack([expected, -expected], 1))


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas")
    model = WideTransformerRegressor().fit(pandas.DataFrame(ROWS), pandas.Series(LABELS))
    np.testing.assert_array_equal(model.predict(pandas.DataFrame(NEW)), fitted().predict(NEW))
    assert model.score(pandas.DataFrame(NEW), pandas.DataFrame(LABELS[:12])) == fitted().score(NEW, LABELS[:12])


@pytest.mark.parametrize(
    "y, error, message",
    [
        ([0, 1, np.nan], ValueError, "y: row 2: expected a finite number, found nan"),
        ([[0, 1], [1, -np.inf], [0, 0]], ValueError, "y: row 1, column 1: .*-inf"),
        ([1, 2], ValueError, "2 rows.*3"),
        ([[[1]], [[2]], [[3]]], ValueError, "dimensions"),
        (1.0, ValueError, "dimensions"),
        (np.zeros((3, 0)), ValueError, "column"),
        ([[1], [2, 3], [4]], ValueError, "inhomogeneous"),
        (["1", "2", "3"], TypeError, "y: expected numbers"),
        ([1j, 2, 3], TypeError, "y: expected numbers"),
        (None, TypeError, "y: expected numbers"),
    ],
)
def test_what_is_no_label_is_refused(y, error, message):
    rows = [[0, 1], [1, 2], [2, 2]]
    with pytest.raises(error, match=message):
        WideTransformerRegressor().fit(rows, y)
    with pytest.raises(error, match=message):
        WideTransformerRegressor().fit(rows, [1, 2, 3]).score(rows, y)


def test_a_token_that_no_sample_had():
    model = WideTransformerRegressor().fit([[0, 1], [1, 1], [1, 0]], [0.0, 1.0, 2.0])
    named = WideTransformerRegressor(vocabulary=9).fit([[0, 1], [1, 1], [1, 0]], [0.0, 1.0, 2.0])
    np.testing.assert_allclose(model.predict([[0, 8], [1, 0]], return_std=True), named.predict([[0, 8], [1, 0]], return_std=True))
    with pytest.raises(telos.Error, match="vocabulary of 9"):
        named.predict([[0, 9]])


# ---- Score


def test_score_is_the_mean_of_the_outputs():
    metrics = pytest.importorskip("sklearn.metrics")
    y = np.stack([LABELS, 1000 * RNG.standard_normal(60), np.full(60, 2.0)], 1)
    model = WideTransformerRegressor().fit(ROWS, y)
    assert model.score(ROWS, y) == pytest.approx(metrics.r2_score(y, model.predict(ROWS)), rel=1e-12)
    assert fitted().score(NEW, LABELS[:12, None]) == fitted().score(NEW, LABELS[:12])


def test_score_where_labels_do_not_vary():
    model = fitted()
    assert model.score(NEW, np.ones(12)) == 0
    assert WideTransformerRegressor().fit(ROWS, np.zeros(60)).score(NEW, np.zeros(12)) == 1
    with pytest.raises(ValueError, match="outputs"):
        model.score(NEW, np.zeros((12, 2)))


# ---- As an estimator


def test_parameters():
    model = WideTransformerRegressor("simplified", ridge=0.5)
    assert model.get_params() == {"architecture": "simplified", "ridge": 0.5, "ntk": False, "vocabulary": 0, "threads": 0}
    assert repr(model) == "WideTransformerRegressor('simplified', ridge=0.5)"
    with pytest.raises(ValueError, match="width.*ridge"):
        model.set_params(ntk=True, width=3)
    assert not model.ntk, "nothing is set where one name is wrong"
    assert fitted(ridge=np.float64(0.5), ntk=np.bool_(True), threads=np.int64(1)).predict(NEW).shape == (12,)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_predict_the_same_to_the_bit(copied, tmp_path):
    path = tmp_path / "mine.json"
    text = '{"embed": {"sp2": 0.3}, "blocks": [{"norm": "pre", "attn": {"kind": "relu"}}]}'
    for parameters in ({}, {"architecture": path, "ntk": True, "vocabulary": 4, "ridge": 0.3}):
        path.write_text(text)
        model = WideTransformerRegressor(**parameters).fit(ROWS, np.stack([LABELS, -LABELS], 1))
        path.unlink()
        again = copied(model)
        assert again.get_params() == model.get_params()
        for a, b in zip(again.predict(NEW, return_std=True), model.predict(NEW, return_std=True)):
            np.testing.assert_array_equal(a, b)
    assert copied(fitted()).predict(NEW).shape == (12,)
    assert not hasattr(copied(WideTransformerRegressor()), "n_features_in_")


def test_scikit_learn_takes_it():
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.utils.validation import check_is_fitted

    model = WideTransformerRegressor("pre-ln-relu", ridge=0.02)
    twin = base.clone(model)
    assert twin is not model and twin.get_params() == model.get_params()
    assert base.is_regressor(model)
    assert fitted().n_features_in_ == 5
    check_is_fitted(fitted())
    rare = ROWS.copy()
    rare[0, 0] = 17  # a token that one fold alone has
    assert cross_val_score(model, rare, LABELS, cv=3).shape == (3,)
    scores = cross_val_score(model, ROWS, LABELS, cv=3, error_score="raise")
    np.testing.assert_array_equal(cross_val_score(model, ROWS, LABELS, cv=3, n_jobs=2, error_score="raise"), scores)
    search = GridSearchCV(model, {"ridge": [1e-2, 1e2], "ntk": [False, True]}, cv=3, n_jobs=2, error_score="raise")
    assert search.fit(ROWS, LABELS).best_params_["ridge"] == 1e-2
    pipeline = make_pipeline(FunctionTransformer(lambda x: x[:, ::-1]), model).fit(ROWS, LABELS)
    np.testing.assert_array_equal(pipeline.predict(NEW), base.clone(model).fit(ROWS[:, ::-1], LABELS).predict(NEW[:, ::-1]))
    with pytest.raises(telos.Error) as caught:
        cross_val_score(base.clone(model).set_params(architecture="typo"), ROWS, LABELS, cv=2, n_jobs=2, error_score="raise")
    assert caught.value.kind
