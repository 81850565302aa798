"""The Python package: numpy in and out. Models are the tiny golden ones of the repository."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import telos

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = ROOT / "tests" / "golden" / "models"
STUBS = ROOT / "python" / "telos"
TEXT = (ROOT / "examples" / "text" / "origin.txt").read_text(encoding="utf-8")


def test_version():
    assert telos.__version__.count(".") == 2


def test_weights_only_diagnosis_is_a_tendency():
    report = telos.diagnose(MODELS / "gpt2")
    assert "tendency" in report.basis
    assert report.verdict and report.keys and report.verdict in str(report)
    data = json.loads(report.to_json())
    assert data["verdict"]["sentence"] == report.verdict
    assert report.to_html().startswith("<!DOCTYPE html>") or report.to_html().startswith("<!doctype html>")


def test_diagnosis_on_token_ids_does_not_depend_on_threads():
    ids = [(7 * i) % 30 for i in range(64)]
    reports = [telos.diagnose(MODELS / "gpt2", ids=ids, window=8, threads=t) for t in (1, 2, 7)]
    assert "measured" in reports[0].basis
    for other in reports[1:]:
        for name in reports[0].tables:
            a, b = reports[0].table(name), other.table(name)
            for column in a:
                if isinstance(a[column], np.ndarray):
                    np.testing.assert_array_equal(a[column], b[column])  # NaN equals NaN here
                else:
                    assert a[column] == b[column]


def test_tables_are_arrays_and_agree_with_json():
    report = telos.diagnose(MODELS / "gpt2")
    heads = report.table("heads")
    assert isinstance(heads["ρ"], np.ndarray) and heads["ρ"].dtype == np.float64
    with pytest.raises(KeyError, match="heads"):
        report.table("no such table")


def test_spectrum_agrees_with_numpy():
    spectrum = telos.smoothing.spectrum(MODELS / "gpt2", fold="none")
    weights = load(MODELS / "gpt2" / "model.safetensors")
    prefix = next(n for n in weights if n.endswith("h.0.attn.c_attn.weight"))[: -len("h.0.attn.c_attn.weight")]
    d = weights[prefix + "h.0.attn.c_attn.weight"].shape[0]
    eigenvalues = spectrum["eigenvalues"]
    k = eigenvalues.shape[1]
    for row, (layer, head) in enumerate(zip(spectrum["layer"].astype(int), spectrum["head"].astype(int))):
        w_v = weights[f"{prefix}h.{layer}.attn.c_attn.weight"][:, 2 * d + head * k : 2 * d + (head + 1) * k]
        w_o = weights[f"{prefix}h.{layer}.attn.c_proj.weight"][head * k : (head + 1) * k]
        expected = np.linalg.eigvals(w_o.astype(np.float64) @ w_v.astype(np.float64))
        scale = np.linalg.norm(w_o) * np.linalg.norm(w_v)
        np.testing.assert_allclose(np.sort_complex(eigenvalues[row]), np.sort_complex(expected), atol=1e-9 * scale)
        sigma = np.linalg.svd(w_v.astype(np.float64) @ w_o.astype(np.float64), compute_uv=False)[:k]
        np.testing.assert_allclose(spectrum["singular_values"][row], sigma, atol=1e-7 * scale)


def test_token_measures_and_zones():
    measures = telos.smoothing.token_measures(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert measures["hfc_lfc"] == pytest.approx(0.4618802154, abs=1e-10)
    assert measures["cos_mean"] == pytest.approx(0.9853249140, abs=1e-10)
    assert telos.smoothing.zone(0.3) == "smooth"
    assert telos.smoothing.zone(-0.3 + 0.4j) == "sharp"
    assert telos.smoothing.flip_point(-1.2) == pytest.approx(2 / 3)


def test_stubs_say_what_the_module_offers(tmp_path):
    # The committed stubs show every change of the interface in review.
    subprocess.run([sys.executable, "-m", "nanobind.stubgen", "-q", "-r", "-m", "telos._telos", "-O", str(tmp_path)], check=True)
    made = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*.pyi")}
    assert made
    for name, text in made.items():
        assert (STUBS / name).read_text() == text, f"{name} changed; python -m nanobind.stubgen -r -m telos._telos -O python/telos"


def test_errors_carry_their_fields():
    with pytest.raises(telos.Error, match="nowhere") as caught:
        telos.diagnose("/nowhere/at/all")
    assert caught.value.kind == "missing_file"
    assert isinstance(caught.value.hint, str)


def test_errors_are_also_those_that_python_has(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere") as missing:
        telos.diagnose("/nowhere/at/all")
    with pytest.raises(OSError, match="cannot be written") as refused:
        telos.bigram.generate(3, 50, 2).save(tmp_path / "no folder" / "task.json")
    with pytest.raises(ValueError, match="α") as invalid:
        telos.clustering.simulate(np.eye(2), "softmax", alpha=-1)
    assert [e.value.kind for e in (missing, refused, invalid)] == ["missing_file", "io", "usage"]
    for caught in (missing, refused, invalid):
        again = pickle.loads(pickle.dumps(caught.value))  # as from another process
        assert isinstance(again, telos.Error) and type(again) is type(caught.value)
        assert str(again) == str(caught.value) and again.hint == caught.value.hint
        assert type(again).__module__ == "telos"


def test_threads_out_of_range():
    for threads in (-1, 10**6):
        with pytest.raises(ValueError, match="threads"):
            telos.diagnose(MODELS / "gpt2", ids=[1] * 40, threads=threads)


LONG = """
import os, signal, sys, threading
import numpy, telos
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever runs the tests may ignore
def work():
    try:
        rows = numpy.random.default_rng(0).integers(0, 8, (6000, 24))
        telos.symmetry.gram(rows, architecture="deep", threads=2)
    except telos.Error as error:
        print("telos", error.kind)
{prepare}
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    {call}
except KeyboardInterrupt:
    print("stopped")
print(telos.symmetry.gram([[0]]).shape, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_ctrl_c_stops_a_long_call():
    def run(prepare, call):
        code = LONG.format(prepare=prepare, call=call)
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout

    assert run("", "work()") == "stopped\n(1, 1) True\n"
    # A program's own handler has the word; so has the main thread where another one works.
    own = "signal.signal(signal.SIGINT, lambda *_: (print('heard', flush=True), os._exit(0)))"
    assert run(own, "telos.symmetry.gram(numpy.zeros((6000, 1), int)); threading.Event().wait(30)") == "heard\n"
    waits = "thread = threading.Thread(target=work, daemon=True); thread.start()"
    assert run(waits, "thread.join()") == "stopped\n(1, 1) True\n"


def test_save_leaves_a_run_folder(tmp_path):
    telos.diagnose(MODELS / "gpt2").save(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").stat().st_size < 2_000_000
    assert json.loads((tmp_path / "run" / "run.json").read_text())


def test_real_model():
    model = os.environ.get("TELOS_TEST_MINILM")
    if not model:
        pytest.skip("TELOS_TEST_MINILM is not set")
    report = telos.diagnose(model, TEXT, window=32, max_windows=2)
    assert "measured" in report.basis


def load(path):
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*t["data_offsets"])], dtype=np.float32).reshape(t["shape"])
        for name, t in header.items()
        if t["dtype"] == "F32"
    }


PROGRAM = """\
input x
state least = x
output least
repeat r < log2(n)
  round
    recv left from i - 2**r else i
    least = min(least, left.least)
  end
end
"""


def test_programs_compile_and_run_exactly(tmp_path):
    program, model = tmp_path / "least.pco", tmp_path / "least.safetensors"
    program.write_text(PROGRAM)
    report = telos.positional.compile(program, n=6, save=model)
    assert "exactly" in report.verdict
    x = np.random.default_rng(0).integers(-1000, 1000, (50, 6)).astype(float)
    expected = np.minimum.accumulate(x, axis=1)
    for arithmetic in ("f32", "f64", "exact"):
        np.testing.assert_array_equal(telos.positional.execute(program, x, n=6, arithmetic=arithmetic), expected)
    padded = np.hstack([x, np.zeros((50, 1))])  # the scratch position
    np.testing.assert_array_equal(telos.positional.evaluate(model, padded)[:, :6], expected)
    attention = telos.positional.attention(model).reshape(-1, 7, 7)
    np.testing.assert_array_equal(attention.sum(axis=2), 1)
    assert telos.positional.capacity(model).table("capacity-layers")["Λ"].size == len(attention)
    with pytest.raises(telos.Error, match="cummin"):
        telos.positional.compile("cumin")


def test_training_is_a_function_of_its_spec():
    (spec,) = telos.positional.spec("quick", "min")
    spec |= {"epochs": 2, "runs": 1, "train_samples": 200, "test_samples": 50, "batch": 50}
    first, second = (telos.positional.train([spec], threads=t).table("errors") for t in (1, 2))
    np.testing.assert_array_equal(first["mse"], second["mse"])
    with pytest.raises(telos.Error, match="epochs"):
        telos.positional.train([spec | {"epoch": 3}])


def test_positions_of_a_model_and_of_studies():
    ids = [(7 * i * i + 3 * i) % 30 for i in range(128)]
    heads = telos.positional.heads(MODELS / "gpt2", ids=ids, window=8).table("heads")
    np.testing.assert_allclose(heads["pair"] + heads["content"], 1)
    report = telos.positional.whatif(MODELS / "gpt2", ids=ids, window=8, threshold=0.0)
    assert report.table("change")["value"].size >= 2
    assert telos.positional.studies(["counting"]).verdict.startswith("1 of 1")


def test_hardmax_run_ends_at_leaders():
    tokens = np.array([[2, 0], [0, 1.5], [-1, -1], [0.5, 0.5], [-0.2, 0.3]])
    run = telos.clustering.run(tokens)
    assert run.complete and run.leader.tolist() == [0, 1, 2, 0, 1]
    assert run.ends == ["leader"] * 3 + ["follows"] * 2
    np.testing.assert_array_equal(run.limits, tokens[run.leader])
    np.testing.assert_allclose(run.positions(1)[3], [1.25, 0.25], rtol=1e-15)
    assert run.targets(3, 0) == [0]
    assert telos.clustering.run(tokens, A=np.diag([4.0, 1.0])).leader.tolist() == [0, 1, 2, 0, 2]
    assert "3 of 5 tokens lead" in run.report(["a", "b", "c", "d", "e"]).verdict
    with pytest.raises(telos.Error, match="alpha"):
        telos.clustering.run(tokens, alpha=-1)


def test_soft_systems():
    tokens = np.eye(8)
    run = telos.clustering.simulate(tokens, "sa", beta=1.0, time=3.0)
    expected = telos.clustering.equiangular(8, 1.0, run.times.tolist())
    np.testing.assert_allclose(run.smallest_cosine, expected, atol=1e-5)
    assert run.state(0).shape == (8, 8)
    assert abs(telos.clustering.expected_leaders(1000, 2) - 8.125075) < 1e-6
    with pytest.raises(telos.Error, match="hard"):
        telos.clustering.simulate(tokens, "hard")


def test_sentiment_model_learns_explains_and_is_saved(tmp_path):
    draw = np.random.default_rng(1)
    words = {0: ["awful", "dull", "poor"], 1: ["great", "love", "superb"]}
    labels = [int(x) for x in draw.integers(0, 2, 300)]
    texts = [" ".join([*draw.choice(["film", "plot", "actor", "scene"], 4), *draw.choice(words[y], 3)]) for y in labels]
    model, report = telos.clustering.train(texts, labels, epochs=40, layers=2, dim=4)
    assert "of the test texts right" in report.verdict
    model.save(tmp_path / "model.safetensors")
    again = telos.clustering.SentimentModel.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(model.predict(texts), again.predict(texts))
    assert again.embedding.shape == (len(again.words), 4)
    why = again.explain("a superb film")
    contributions = why.table("leaders")["contribution"]
    assert len(contributions) >= 2  # a leader, b, and the sum


def test_clusters_of_a_model():
    report = telos.clustering.heads(MODELS / "gpt2", ids=list(range(40)) * 3, window=16)
    assert len(report.table("heads")["head"]) > 0
