"""`telos clustering` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import random
import signal
import subprocess
import time

import cli_case
from cli_case import MODELS, TEXT, Case, run, write_safetensors

GROUP = ("clustering",)
GOOD = ("great", "love", "superb", "wonderful", "fine", "charming")
BAD = ("awful", "boring", "dull", "terrible", "poor", "weak")
NEUTRAL = ("film", "plot", "actor", "scene", "music", "story", "camera", "ending", "night", "street")


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def reviews(count, seed=1):
    """Texts that two lists of words decide."""
    draw = random.Random(seed)
    for _ in range(count):
        label = draw.randrange(2)
        words = draw.choices(NEUTRAL, k=8) + draw.choices(GOOD if label else BAD, k=3)
        draw.shuffle(words)
        yield " ".join(words), label


class ClusteringBasics(Case):
    def test_every_help_ends_in_examples(self):
        for command in ([], ["run"], ["simulate"], ["phase"], ["heads"], ["sentiment"], ["sentiment", "train"],
                        ["sentiment", "predict"], ["sentiment", "explain"], ["sentiment", "leaders"], ["sentiment", "import"]):
            result = run(*GROUP, *command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertIn("Examples:\n  ", result.stdout, command)

    def test_definitions(self):
        result = run(*GROUP, "--definitions")
        self.assertEqual(result.returncode, 0, result.stderr)
        for term in ("hardmax system", "leader", "decided", "norm", "copies", "changed"):
            self.assertIn(term + "\n", result.stdout)


class ClusteringRun(Case):
    def test_emerging_leader(self):
        out = self.dir / "run"
        result = run(*GROUP, "run", "--demo", "emerging-leader", "--positions", "0,1,inf", "--out", out, "-o", "csv", "--table",
                     "tokens")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = table(result)
        self.assertEqual([row["leader"] for row in rows], ["0", "1", "2", "0", "2", "2", "0", "0"])
        self.assertEqual(rows[1]["decided"], "1", "it emerges at layer 1")
        for name in ("report.html", "positions-0.npy", "positions-1.npy", "positions-inf.npy", "leader.npy", "run.json"):
            self.assertTrue((out / name).exists(), name)
        leaders = table(run(*GROUP, "run", "--demo", "emerging-leader", "-o", "csv"))
        self.assertEqual({row["token"]: row["tokens"] for row in leaders}, {"0": "4", "1": "1", "2": "3"})
        self.assertIn("3 of 8 tokens lead", run(*GROUP, "run", "--demo", "emerging-leader").stdout)

    def test_a_matrix_changes_who_leads(self):
        path = self.dir / "tokens.csv"
        path.write_text("2,0\n0,1.5\n-1,-1\n0.5,0.5\n-0.2,0.3\n")
        plain = table(run(*GROUP, "run", path, "-o", "csv", "--table", "tokens"))
        stretched = table(run(*GROUP, "run", path, "--A", "diag:4,1", "-o", "csv", "--table", "tokens"))
        self.assertEqual(plain[4]["leader"], "1")
        self.assertEqual(stretched[4]["leader"], "2")

    def test_word_vectors_have_names(self):
        path = self.dir / "vectors.txt"
        path.write_text("king 2 0\nqueen 0 1.5\nfrog -1 -1\nprince 0.5 0.5\n")
        rows = table(run(*GROUP, "run", path, "-o", "csv", "--table", "tokens"))
        self.assertEqual([row["name"] for row in rows], ["king", "queen", "frog", "prince"])
        self.assertEqual(rows[3]["leader name"], "king")

    def test_finite_layers(self):
        rows = table(run(*GROUP, "run", "--demo", "gaussian", "--n", "200", "--alpha", "0.05", "--layers", "1", "-o", "csv",
                         "--table", "tokens"))
        self.assertIn("undecided", {row["end"] for row in rows})

    def test_limits_are_of_a_run_of_all_layers(self):
        out = self.dir / "run"
        self.assert_error(run(*GROUP, "run", "--demo", "emerging-leader", "--layers", "3", "--positions", "3,inf", "--out", out), 2,
                          "--positions", "--layers 3 ends before")
        self.assertFalse(out.exists())
        result = run(*GROUP, "run", "--demo", "emerging-leader", "--layers", "3")
        self.assertIn("exact, after 3 layers", result.stdout)
        self.assertNotIn("infinitely many", result.stdout)

    def test_positions_of_an_earlier_run_do_not_stay(self):
        out = self.dir / "run"
        demo = (*GROUP, "run", "--demo", "emerging-leader", "--out", out)
        names = lambda: sorted(path.name for path in out.glob("*.npy"))
        self.assertEqual(run(*demo, "--positions", "0,1,inf").returncode, 0)
        self.assertEqual(names(), ["leader.npy", "positions-0.npy", "positions-1.npy", "positions-inf.npy"])
        (out / "positions-mine.npy").write_bytes(b"")
        self.assertEqual(run(*demo, "--positions", "2").returncode, 0)
        self.assertEqual(names(), ["leader.npy", "positions-2.npy", "positions-mine.npy"])
        again = run(*GROUP, "run", out / "positions-2.npy", "--out", out)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(names(), ["positions-2.npy", "positions-mine.npy"])  # what it was read from stays
        self.assert_error(run(*GROUP, "run", out / "positions-2.npy", "--positions", "2", "--out", out), 2, "would be replaced")
        self.assert_error(run(*GROUP, "run", out / "positions-2.npy", "--tensor", "x"), 2, "--tensor")
        self.assert_error(run(*demo, "--layers", "0"), 2, "--layers")
        self.assert_error(run(*GROUP, "phase", "--betas", "1", "--beta-to", "9"), 2, "--beta-to")

    def test_a_value_matrix_has_no_step(self):
        value = (*GROUP, "run", "--demo", "gaussian", "--n", "20", "--V", "diag:1,-0.5")
        self.assertEqual(run(*value, "--alpha", "0.5").returncode, 2)
        result = run(*value, "--layers", "5")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("α ", result.stdout.split("\n\n")[0])

    def test_what_a_singular_matrix_does_not_see_moves_too(self):
        path = self.dir / "tokens.csv"
        path.write_text("1,1,0\n1,-1,0\n1,0,6\n-1,0,0\n")
        rows = table(run(*GROUP, "run", path, "--A", "diag:1,1,0", "-o", "csv", "--table", "tokens"))
        self.assertEqual(rows[2]["end"], "static")
        self.assertAlmostEqual(float(rows[2]["travelled"]), 6, places=12)
        self.assertIn("cannot tell the tokens apart", run(*GROUP, "run", path, "--A", "diag:0,0,0").stdout)
        path.write_text("1,1,0\n1,1,0\n")
        self.assertIn("All tokens are equal, and stand still", run(*GROUP, "run", path).stdout)

    def test_the_smallest_step(self):
        path = self.dir / "tokens.csv"
        path.write_text("2,0\n0,1.5\n-1,-1\n0.5,0.5\n")
        self.assertEqual(run(*GROUP, "run", path, "--alpha", "1e-17").returncode, 0)

    def test_a_value_matrix_ends_by_itself_and_says_why(self):
        self.assertIn("10,000", run(*GROUP, "run", "--help").stdout)
        result = run(*GROUP, "run", "--demo", "gaussian", "--n", "30", "--general-A", "--A", "diag:1,-1")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"ended .*after \d+ layers +\(")
        self.assertNotIn("left of the distance", result.stdout)

    def test_threads_do_not_show(self):
        one, two, seven = (run(*GROUP, "run", "--demo", "gaussian", "--n", "3000", "--d", "5", "-o", "csv", "--table", "tokens",
                               "--threads", n).stdout for n in (1, 2, 7))
        self.assertTrue(len(one) > 1000)
        self.assertEqual(one, two)
        self.assertEqual(one, seven)

    def test_bad_input(self):
        path = self.dir / "tokens.csv"
        for text, code, words in (("1,2\n3\n", 3, ["line 2"]), ("1,nan\n2,3\n", 4, ["line 1"]), ("", 3, ["tokens.csv"])):
            path.write_text(text)
            self.assert_error(run(*GROUP, "run", path), code, *words)
        path.write_text("1,2\n3,4\n")
        for option in ("--n", "--d", "--seed"):
            self.assertEqual(run(*GROUP, "run", path, option, "1").returncode, 2, option + " is of a demo")
        for option in ("--tensor", "--labels", "--rows"):
            self.assertEqual(run(*GROUP, "run", "--demo", "gaussian", option, "1").returncode, 2, option + " is of a file")
        self.assertEqual(run(*GROUP, "run", path, "--rows", "0").returncode, 2)
        for options, code, words in ((["--alpha", "-1"], 2, ["alpha"]), (["--alpha", "nan"], 2, []), (["--alpha", "0"], 2, ["alpha"]), (["--ties", "x"], 2, ["--ties"]),
                                     (["--A", "diag:1"], 3, ["--A", "2 numbers"]), (["--A", "diag:1,-1"], 4, ["--general-A"]),
                                     (["--positions", "1"], 2, ["--out"]), (["--layers", "1.5"], 2, ["--layers"])):
            self.assert_error(run(*GROUP, "run", path, *options), code, *words)
        labels = self.dir / "labels.txt"
        labels.write_text("one\n")
        self.assert_error(run(*GROUP, "run", path, "--labels", labels), 3, "labels.txt")
        self.assert_error(run(*GROUP, "run"), 2, "--demo")
        self.assert_error(run(*GROUP, "run", "--demo", "gausian"), 2, "gaussian")
        self.assert_error(run(*GROUP, "run", self.dir / "none.npy"), 3, "none.npy")


class ClusteringSoft(Case):
    def test_softmax_approaches_hardmax(self):
        cold = run(*GROUP, "simulate", "--demo", "emerging-leader", "--temperature", "1e-4", "-o", "json")
        self.assertEqual(cold.returncode, 0, cold.stderr)
        self.assertIn("3", json.loads(cold.stdout)["verdict"]["sentence"])

    def test_each_kind_runs(self):
        for kind in ("softmax", "localmax", "emergence", "sa", "usa"):
            end = ("--layers", "5") if kind in ("softmax", "localmax") else ("--time", "2")
            result = run(*GROUP, "simulate", "--demo", "gaussian", "--n", "12", "--kind", kind, *end, "--out", self.dir / kind)
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(run(*GROUP, "simulate", "--demo", "gaussian", "--kind", "hard").returncode, 2)

    def test_options_without_effect_are_refused(self):
        for kind, option, readers in (("softmax", "--time", "emergence"), ("localmax", "--temperature", "softmax"), ("usa", "--alpha", "localmax"),
                                      ("emergence", "--beta", "sa"), ("sa", "--relaxation", "localmax"), ("sa", "--layers", "softmax")):
            self.assert_error(run(*GROUP, "simulate", "--demo", "gaussian", "--kind", kind, option, "1"), 2, option, kind, readers)

    def test_phase_diagram(self):
        result = run(*GROUP, "phase", "--n", "8", "--systems", "4", "--betas", "3", "--times", "5", "--time", "5", "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(table(result))
        self.assertEqual(run(*GROUP, "phase", "--n", "0").returncode, 2)
        self.assert_error(run(*GROUP, "phase", "--systems", "9223372036854775808", "--betas", "2"), 3, "systems")


class Sentiment(Case):
    def data(self, count=400, name="reviews.tsv"):
        path = self.dir / name
        path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in reviews(count)))
        return path

    TRAIN = (*GROUP, "sentiment", "train")
    QUICK = ("--epochs", "6", "--batch", "16", "--rate", "0.02", "--layers", "3", "--max-length", "16")

    def trained(self, *options):
        out = self.dir / "model"
        result = run(*self.TRAIN, self.data(), *self.QUICK, "--out", out, *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return out / "model.safetensors"

    def test_train_predict_explain_leaders(self):
        model = self.trained()
        predicted = run(*GROUP, "sentiment", "predict", model, "--data", self.data(100, "more.tsv"), "-o", "json")
        self.assertEqual(predicted.returncode, 0, predicted.stderr)
        why = run(*GROUP, "sentiment", "explain", model, "a great film, superb music, wonderful", "--out", self.dir / "why")
        self.assertEqual(why.returncode, 0, why.stderr)
        self.assertTrue((self.dir / "why" / "report.html").exists())
        leaders = run(*GROUP, "sentiment", "leaders", model, self.data(100, "more.tsv"), "-o", "csv")
        self.assertEqual(leaders.returncode, 0, leaders.stderr)
        self.assertTrue(table(leaders))

    def test_texts_from_stdin_and_lines(self):
        model = self.trained()
        piped = run(*GROUP, "sentiment", "predict", model, "-", stdin="an awful, boring film")
        self.assertEqual(piped.returncode, 0, piped.stderr)
        lines = self.dir / "lines.txt"
        lines.write_text("great film\nawful plot\n")
        for options in (["fine", "--lines"], ["fine", "--data", lines], ["fine", "--positive", "1"], ["--data", lines, "--lines", "--positive", "1"]):
            self.assertEqual(run(*GROUP, "sentiment", "predict", model, *options).returncode, 2, options)
        result = run(*GROUP, "sentiment", "predict", model, "--data", lines, "--lines", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_resume_gives_the_same_model(self):
        data, whole, cut = self.data(), self.dir / "whole", self.dir / "cut"
        self.assertEqual(run(*self.TRAIN, data, *self.QUICK, "--no-baselines", "--out", whole).returncode, 0)
        long = [*map(str, self.QUICK), "--no-baselines"]
        process = subprocess.Popen([cli_case.TELOS, *map(str, (*self.TRAIN, data)), *long, "--out", str(cut)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started = time.monotonic()
        while not (cut / "runs").exists() and time.monotonic() - started < 60:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        process.communicate()
        self.assertIn(process.returncode, (0, 130))
        again = run(*self.TRAIN, data, *self.QUICK, "--no-baselines", "--out", cut, "--resume")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual((whole / "model.safetensors").read_bytes(), (cut / "model.safetensors").read_bytes())

    def words_data(self, name, negative, positive, empty=False):
        path = self.dir / name
        rows = [f"{text}\t{positive if label else negative}\n" for text, label in reviews(200)]
        if empty:
            rows.insert(0, f"\t{negative}\n")
            rows.insert(3, f" \t{positive}\n")
        path.write_text("text\tlabel\n" + "".join(rows))
        return path

    def test_the_models_classes_are_those_of_a_file_with_the_same_names(self):
        for negative, positive in (("spam", "ham"), ("1", "0")):  # alone, spam and 1 would be taken for positive
            data, out = self.words_data("mail.tsv", negative, positive), self.dir / f"model-{positive}"
            trained = run(*self.TRAIN, data, *self.QUICK, "--no-baselines", "--positive", positive, "--out", out)
            self.assertEqual(trained.returncode, 0, trained.stderr)
            model = out / "model.safetensors"
            predicted = table(run(*GROUP, "sentiment", "predict", model, "--data", data, "-o", "csv", "--table", "texts"))
            right = sum(row["class"] == row["label"] for row in predicted)
            self.assertGreater(right, 150)
            leaders = run(*GROUP, "sentiment", "leaders", model, data)
            self.assertRegex(leaders.stdout, r"accuracy +(7[5-9]|[89]\d|100)")
            for command in (["predict", model, "--data", data], ["leaders", model, data]):
                self.assert_error(run(*GROUP, "sentiment", *command, "--positive", negative), 2, "--positive", positive)

    def test_labels_are_shown_as_the_file_has_them(self):
        model = self.trained("--no-baselines")
        rows = table(run(*GROUP, "sentiment", "predict", model, "--data", self.words_data("other.tsv", "minus", "plus"), "-o", "csv",
                         "--table", "texts"))
        self.assertEqual({row["label"] for row in rows}, {"minus", "plus"})
        self.assertEqual({row["class"] for row in rows}, {"negative", "positive"})

    def test_empty_texts_are_counted_and_said(self):
        data = self.words_data("gaps.tsv", "no", "yes", empty=True)
        out = self.dir / "model"
        said = "2 empty texts were left out"
        trained = run(*self.TRAIN, data, *self.QUICK, "--no-baselines", "--out", out)
        self.assertIn(said, trained.stdout)
        model = out / "model.safetensors"
        self.assertIn(said, run(*GROUP, "sentiment", "leaders", model, data).stdout)
        self.assertIn(said, run(*GROUP, "sentiment", "predict", model, "--data", data).stdout)
        rows = table(run(*GROUP, "sentiment", "predict", model, "--data", data, "-o", "csv", "--table", "texts"))
        self.assertEqual([row["text"] for row in rows[:4]], ["1", "2", "4", "5"])
        lines = self.dir / "lines.txt"
        lines.write_text("great film\n\nawful plot\n\n\nfine\n")
        plain = (*GROUP, "sentiment", "predict", model, "--data", lines, "--lines")
        self.assertIn("3 empty lines were left out, the first at", run(*plain).stdout)
        self.assertEqual([row["text"] for row in table(run(*plain, "-o", "csv", "--table", "texts"))], ["0", "2", "5"])

    def test_a_new_training_leaves_nothing_of_the_old_one(self):
        out, quick = self.dir / "model", ("--epochs", "1", "--layers", "2", "--max-length", "16", "--no-baselines")
        self.assertEqual(run(*self.TRAIN, self.data(100), *quick, "--seeds", "0:1", "--out", out).returncode, 0)
        names = lambda: sorted(path.name for path in out.glob("*.safetensors"))
        self.assertEqual(names(), ["model-0.safetensors", "model-1.safetensors"])
        self.assert_error(run(*self.TRAIN, self.data(120), "--epochs", "0", "--restart", "--out", out), 2, "--epochs")
        self.assertEqual(names(), ["model-0.safetensors", "model-1.safetensors"], "a wrong setting throws nothing away")
        (out / "model-of-mine.safetensors").write_bytes(b"")
        self.assertEqual(run(*self.TRAIN, self.data(120), *quick, "--restart", "--out", out).returncode, 0)
        self.assertEqual(names(), ["model-of-mine.safetensors", "model.safetensors"])
        self.assert_error(run(*self.TRAIN, self.data(120), *quick, "--dim", "2,3", "--resume", "--out", out), 2, "--resume",
                          "one dimension", "--dim")
        self.assertEqual(run(*self.TRAIN, self.data(120), *quick, "--dim", "2,3", "--restart", "--out", out).returncode, 0)
        self.assertEqual(names(), ["model-d2.safetensors", "model-d3.safetensors", "model-of-mine.safetensors"])
        self.assertEqual(sorted(path.name for path in (out / "runs").iterdir()), ["d2", "d3"])
        self.assert_error(run(*self.TRAIN, self.data(120), *quick, "--dim", "2", "--resume", "--out", out), 2, "--resume",
                          "several dimensions")

    def test_the_published_filter_is_whole(self):
        for option in ("--confidence", "--far"):
            self.assertEqual(run(*GROUP, "sentiment", "leaders", "m.safetensors", "x.tsv", "--published", option, "0.9").returncode, 2)

    def test_spec_round_trip(self):
        shown = run(*self.TRAIN, "x.tsv", *self.QUICK, "--show")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        spec = self.dir / "spec.json"
        spec.write_text(shown.stdout)
        self.assertEqual(run(*self.TRAIN, "x.tsv", "--spec", spec, "--show").stdout, shown.stdout)
        self.assertEqual(run(*self.TRAIN, "x.tsv", "--spec", spec, "--dim", "3", "--show").returncode, 2)
        self.assert_error(run(*self.TRAIN, "x.tsv", "--dim", "2,3", "--show"), 2, "--show")
        spec.write_text(shown.stdout.replace('"epochs"', '"epoch"'))
        self.assert_error(run(*self.TRAIN, "x.tsv", "--spec", spec, "--show"), 3, "epochs")

    def test_tested_on_what_was_trained_on(self):
        data = self.data(100)
        result = run(*self.TRAIN, data, *self.QUICK, "--no-baselines", "--test", data)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("100 of 100 test texts are among the training texts", result.stdout)

    def test_divergence_is_not_success(self):
        self.assert_error(run(*self.TRAIN, self.data(100), "--epochs", "1", "--layers", "1", "--no-baselines", "--rate", "1e300"), 4,
                          "it diverged in epoch 0", "smaller learning rate")

    def test_options_without_use_are_refused(self):
        for options, name in ((("--dim", "2,2,2"), "--dim"), (("--mode", "hard", "--ste-temperature", "3"), "--ste-temperature"),
                              (("--restart",), "--restart"), (("--test", "x.tsv", "--test-share", "0.5"), "--test-share")):
            self.assert_error(run(*self.TRAIN, "x.tsv", *options), 2, name)
        self.assert_error(run(*self.TRAIN, self.data(40), "--patience", "1", "--validation", "0.001"), 2, "--validation", "is none")

    def test_bad_input(self):
        self.assert_error(run(*self.TRAIN, self.data(), *self.QUICK, "--min-count", "100000"), 2, "vocabulary", "100000")
        one_class = self.dir / "one.tsv"
        one_class.write_text("text\tlabel\nfine\t1\ngreat\t1\n")
        self.assert_error(run(*self.TRAIN, one_class), 3, "one.tsv", "all 2 texts")
        one_class.write_text("text\tlabel\n")
        self.assert_error(run(*self.TRAIN, one_class), 3, "one.tsv", "no texts")
        self.assert_error(run(*self.TRAIN, self.dir / "none.tsv"), 3, "none.tsv")
        self.assert_error(run(*self.TRAIN, self.data(), "--dim", "0"), 2, "--dim")
        self.assert_error(run(*self.TRAIN, self.data(), "--batch", "0"), 2)
        other = self.dir / "other.safetensors"
        write_safetensors(other, {"x": ("F32", [1], b"\0\0\0\0")})
        self.assert_error(run(*GROUP, "sentiment", "predict", other, "fine"), 3, "other.safetensors")
        out = self.dir / "model"
        self.assertEqual(run(*self.TRAIN, self.data(), *self.QUICK, "--out", out).returncode, 0)
        self.assert_error(run(*self.TRAIN, self.data(), *self.QUICK, "--out", out), 2, "--resume", "--restart")
        broken = bytearray((out / "model.safetensors").read_bytes())
        broken[-1] ^= 1
        other.write_bytes(bytes(broken))
        self.assert_error(run(*GROUP, "sentiment", "predict", other, "fine"), 3, "checksum")
        self.assert_error(run(*GROUP, "sentiment", "explain", out / "model.safetensors"), 2, "--file")


class ClusterHeads(Case):
    def test_a_model_and_a_text(self):
        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i * 7 % 40) for i in range(48)))
        result = run(*GROUP, "heads", MODELS / "bert", "--ids", ids, "--window", "16", "-o", "csv", "--table", "heads")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(all(0 < float(row["largest"]) <= 1 for row in table(result)))
        self.assert_error(run(*GROUP, "heads", MODELS / "bert"), 2, "--text")
        self.assertEqual(run(*GROUP, "heads", MODELS / "bert", "--ids", ids, "--permutations", "38").returncode, 2)


if __name__ == "__main__":
    cli_case.main(__name__, [ClusteringBasics, ClusteringRun, ClusteringSoft, Sentiment, ClusterHeads])
