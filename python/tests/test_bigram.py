"""telos.bigram: tasks, exact dynamics, training."""

import numpy as np
import pytest

import telos
from telos import bigram


def test_a_task_and_its_constants(tmp_path):
    task = bigram.generate(4, 100, 2, seed=3)
    assert task.p.shape == (4, 4) and task.q.shape == (4, 100)
    np.testing.assert_allclose(task.p @ task.mu, task.mu, atol=1e-15)
    np.testing.assert_allclose(task.p.sum(axis=0), 1)
    assert all((row > 0).sum() <= 2 for row in task.q)
    centred = task.p - task.mu[:, None]
    assert task.constants["K_P"] == pytest.approx((task.mu * (centred**2).sum(axis=0)).sum(), rel=1e-12)
    task.save(tmp_path / "task.json")
    np.testing.assert_array_equal(bigram.load(tmp_path / "task.json").p, task.p)


def test_the_exact_dynamics_find_the_truth():
    path = bigram.population(bigram.generate(3, 250, 2), steps=4000)
    assert path["alpha_v"][0] == 0
    assert path["alpha_v"][-1] * path["alpha_a"][-1] == pytest.approx(1, abs=0.01)
    assert path["loss"][-1] < path["loss"][0]


def test_training_finds_every_position():
    task = bigram.generate(3, 250, 2)
    result = bigram.train(task, samples=64000, refit_samples=20000, screen_samples=20000)
    assert all(column.exact for column in result.columns)
    assert np.abs(result.a - task.q).max() < 0.1
    assert len(result.curve["samples"]) == len(result.curve["loss"]) > 10


def test_errors():
    with pytest.raises(telos.Error):
        bigram.generate(3, 2, 5)
    with pytest.raises(telos.Error, match="adam"):
        bigram.train(bigram.generate(3, 50, 2), algorithm="adam")


def test_a_text_and_what_it_is_made_of():
    text = "".join("ab cd"[i * i % 5] for i in range(4000))
    found = bigram.estimate(text, offsets=4, sparsity=2)
    v = len(found.names)
    assert found.q.shape == (v, 5) and found.p.shape == (v, v) and found.mu.shape == (v,)
    np.testing.assert_allclose(found.q.sum(axis=1), 1)
    np.testing.assert_allclose(found.p.sum(axis=0), 1)
    assert set(found.nats) == {"unigram", "bigram", "one q", "q by last token", "without the last token"}
    # The text has period 5: two tokens back tell more than one.
    assert found.nats["q by last token"][0] < found.nats["bigram"][0] < found.nats["unigram"][0]
    assert found.report().table("models")
    with pytest.raises(ValueError):
        bigram.estimate(text, unit="syllable")


def test_studies_have_parameters_and_checks():
    names = [study["name"] for study in bigram.studies()]
    assert "svm" in names and len(names) >= 6
    report = bigram.study("mesa", seed=2)
    assert report.table("mesa-checks")
    with pytest.raises(telos.Error, match="mesa"):
        bigram.study("messa")
