"""`telos bigram` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import signal
import subprocess
import time

import cli_case
from cli_case import Case, run

GROUP = ("bigram",)
# Small enough to be learned in a second.
SMALL = ("--n", "3", "--t", "250", "--q", "2")


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def number(report, label):
    (value,) = (key["value"] for key in report["keys"] if key["label"] == label)
    return float(value.replace(",", "").replace("−", "-"))


class BigramBasics(Case):
    def test_every_help_ends_in_examples(self):
        for command in ([], ["generate"], ["plan"], ["population"], ["train"], ["transfer"]):
            result = run(*GROUP, *command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertIn("Example", result.stdout, command)

    def test_definitions(self):
        result = run(*GROUP, "--definitions")
        self.assertEqual(result.returncode, 0, result.stderr)
        for term in ("sparse contextual bigram", "K_P", "mirror solution"):
            self.assertIn(term + "\n", result.stdout)


class BigramTheory(Case):
    def test_a_task_is_the_same_read_back(self):
        out = self.dir / "task"
        made = run(*GROUP, "generate", *SMALL, "--seed", "4", "--out", out, "-o", "csv", "--table", "constants")
        self.assertEqual(made.returncode, 0, made.stderr)
        read = run(*GROUP, "generate", out / "instance.json", "-o", "csv", "--table", "constants")
        self.assertEqual(made.stdout, read.stdout)

    def test_the_dynamics_end_at_the_truth(self):
        result = run(*GROUP, "population", *SMALL, "--steps", "4000", "-o", "csv", "--table", "path")
        self.assertEqual(result.returncode, 0, result.stderr)
        last = table(result)[-1]
        self.assertEqual(last["step"], "4000")
        self.assertAlmostEqual(float(last["α_V"]) * float(last["α_A"]), 1, delta=0.01)

    def test_a_plan_knows_what_longer_contexts_cost(self):
        snr = []
        for length in ("250", "25000"):
            result = run(*GROUP, "plan", "--n", "3", "--t", length, "--q", "2", "-o", "json")
            self.assertEqual(result.returncode, 0, result.stderr)
            snr.append(number(json.loads(result.stdout), "SNR of the sign"))
        self.assertGreater(snr[0], 3 * snr[1])

    def test_attention_without_signal_never_grows(self):
        result = run(*GROUP, "plan", "--t", "2", "--q", "2", "--q-weights", "uniform")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("endless", result.stdout)

    def test_bad_tasks(self):
        path = self.dir / "task.json"
        good = {"format": "telos.bigram.instance", "version": 1, "tokens": 2, "length": 4,
                "p": [[0.9, 0.3], [0.1, 0.7]],
                "q": [{"positions": [0], "weights": [1]}, {"positions": [1, 3], "weights": [0.5, 0.5]}]}
        path.write_text(json.dumps(good))
        self.assertEqual(run(*GROUP, "generate", path).returncode, 0)
        rows = {**good, "p": [[0.9, 0.1], [0.3, 0.7]]}
        far = {**good, "q": [{"positions": [4], "weights": [1]}, good["q"][1]]}
        half = {**good, "q": [{"positions": [0], "weights": [0.5]}, good["q"][1]]}
        apart = {**good, "p": [[1, 0], [0, 1]]}
        for bad, word in ((rows, "rows"), (far, "position"), (half, "sum"), (apart, "chain")):
            path.write_text(json.dumps(bad))
            self.assert_error(run(*GROUP, "generate", path), 3, word)
        self.assert_error(run(*GROUP, "generate", "--q", "9", "--t", "4"), 2, "9")
        self.assert_error(run(*GROUP, "generate", "--p", "zipf"), 2, "--p", "dirichlet")


class BigramTraining(Case):
    def test_positions_are_found(self):
        out = self.dir / "run"
        result = run(*GROUP, "train", *SMALL, "--samples", "64000", "--refit-samples", "20000", "--screen-samples", "20000",
                     "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("found exactly", report["verdict"]["sentence"])
        self.assertLess(number(report, "loss above the least"), 1e-3)
        for name in ("report.html", "instance.json", "model.safetensors", "run.json"):
            self.assertTrue((out / name).exists(), name)

    def test_same_bytes_for_any_number_of_threads(self):
        command = (*GROUP, "train", *SMALL, "--samples", "8000", "--refit-samples", "2000", "--screen-samples", "2000", "-o",
                   "csv", "--table", "columns")
        self.assertEqual(len({run(*command, "--threads", n).stdout for n in ("1", "2", "7")}), 1)

    def test_transfer_starts_from_what_was_learned(self):
        old = self.dir / "old"
        size = ("--samples", "64000", "--refit-samples", "20000", "--screen-samples", "20000")
        self.assertEqual(run(*GROUP, "train", *SMALL, *size, "--out", old).returncode, 0)
        result = run(*GROUP, "transfer", old / "model.safetensors", old / "instance.json", "--keep", "V", *size, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Transfer helped", json.loads(result.stdout)["verdict"]["sentence"])

    def test_negative_transfer_keeps_the_model_from_scratch(self):
        size = ("--samples", "16000", "--refit-samples", "2000", "--screen-samples", "2000", "--batch", "16")
        old, new, transferred, scratch = (self.dir / name for name in ("old", "new", "transferred", "scratch"))
        for arguments in (("train", "--n", "3", "--t", "100", "--task-seed", "1", *size, "--out", old),
                          ("generate", "--n", "3", "--t", "100", "--seed", "2", "--out", new),
                          ("train", new / "instance.json", *size, "--out", scratch)):
            self.assertEqual(run(*GROUP, *arguments).returncode, 0)
        result = run(*GROUP, "transfer", old / "model.safetensors", new / "instance.json", "--keep", "both", "--theta", "1", *size,
                     "--out", transferred)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("Negative transfer", result.stdout)
        self.assertEqual((transferred / "model.safetensors").read_bytes(), (scratch / "model.safetensors").read_bytes())

    def test_interrupted_and_resumed_is_the_same_run(self):
        whole, cut = self.dir / "whole", self.dir / "cut"
        arguments = ("train", "--t", "3000", "--samples", "100000" if cli_case.SLOW else "400000", "--refit-samples", "2000", "--screen-samples", "2000",
                     "--no-early-stop", "-o", "csv", "--table", "columns")
        expected = run(*GROUP, *arguments, "--out", whole)
        self.assertEqual(expected.returncode, 0, expected.stderr)
        process = subprocess.Popen([cli_case.TELOS, *GROUP, *arguments, "--out", str(cut)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        while not cut.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertTrue((cut / "checkpoint.safetensors").exists())
        self.assert_error(run(*GROUP, *arguments, "--out", cut), 2, "--resume", "--restart")
        self.assert_error(run(*GROUP, *arguments, "--seed", "9", "--out", cut, "--resume"), 2)
        resumed = run(*GROUP, *arguments, "--out", cut, "--resume")
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertEqual(resumed.stdout, expected.stdout)
        self.assertEqual((cut / "model.safetensors").read_bytes(), (whole / "model.safetensors").read_bytes())
        self.assertFalse((cut / "checkpoint.safetensors").exists())
        self.assert_error(run(*GROUP, *arguments, "--resume"), 2, "--out")

    def test_a_related_task_and_its_frequencies(self):
        old, new = self.dir / "old", self.dir / "new"
        size = ("--samples", "8000", "--refit-samples", "2000", "--screen-samples", "2000")
        self.assertEqual(run(*GROUP, "train", *SMALL, *size, "--out", old).returncode, 0)
        made = run(*GROUP, "generate", "--related", old / "instance.json", "--share", "0.9", "--seed", "5", "--new-positions",
                   "--out", new, "-o", "csv")
        self.assertEqual(made.returncode, 0, made.stderr)
        before = table(run(*GROUP, "generate", old / "instance.json", "-o", "csv"))
        self.assertNotEqual([row["positions"] for row in before], [row["positions"] for row in table(made)])
        result = run(*GROUP, "transfer", old / "model.safetensors", new / "instance.json", "--keep", "both", *size)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("in total variation", result.stdout)
        far = abs(sum(abs(float(a["μ"]) - float(b["μ"])) for a, b in zip(before, table(made)))) / 2
        self.assertGreater(far, 0.1)
        self.assertIn("different frequencies", result.stderr)
        self.assertEqual(run(*GROUP, "generate", "--share", "0.5").returncode, 2)
        other = ("generate", "--related", old / "instance.json", "--share", "1", "--seed", "5", "-o", "json")
        self.assertNotEqual(json.loads(run(*GROUP, *other).stdout)["sections"],
                            json.loads(run(*GROUP, *other, "--p", "reversible").stdout)["sections"])
        drawn = self.dir / "drawn"
        self.assertEqual(run(*GROUP, "generate", *SMALL, "--seed", "7", "--out", drawn).returncode, 0)
        self.assert_error(run(*GROUP, "generate", "--related", drawn / "instance.json", "--seed", "7"), 2, "--seed", "TASK itself")

    def test_models_of_other_commands_stay(self):
        trained = self.dir / "trained"
        size = ("--samples", "8000", "--refit-samples", "2000", "--screen-samples", "2000")
        self.assertEqual(run(*GROUP, "train", *SMALL, *size, "--out", trained).returncode, 0)
        before = (trained / "model.safetensors").read_bytes()
        self.assert_error(run(*GROUP, "fit", cli_case.TEXT, "--out", trained), 2, "model.safetensors", "another command")
        self.assertEqual((trained / "model.safetensors").read_bytes(), before)
        fitted = self.dir / "fitted"
        for _ in range(2):  # its own may be made again
            self.assertEqual(run(*GROUP, "fit", cli_case.TEXT, "--vocab", "16", "--out", fitted).returncode, 0)

    def test_options_without_use_are_refused(self):
        self.assert_error(run(*GROUP, "train", *SMALL, "--eta-a", "0.1"), 2, "--eta-a", "scb has no use for it", "sgd, softmax")
        self.assert_error(run(*GROUP, "train", *SMALL, "--algo", "psgd", "--l1", "0.1"), 2, "--l1")
        self.assert_error(run(*GROUP, "train", *SMALL, "--algo", "sgd", "--no-refit"), 2, "--no-refit")
        for option in (("--eta", "0.1"), ("--batch", "8"), ("--no-early-stop",)):
            self.assert_error(run(*GROUP, "train", *SMALL, "--algo", "moments", *option), 2, option[0], "moments has no use for it")
        self.assert_error(run(*GROUP, "train", *SMALL, "--restart"), 2, "--restart")
        self.assert_error(run(*GROUP, "train", "task.json", "--task-seed", "3"), 2, "--task-seed")
        self.assert_error(run(*GROUP, "plan", "task.json", "--seed", "3"), 2, "--seed")
        self.assert_error(run(*GROUP, "train", *SMALL, "--no-refit", "--refit-samples", "10"), 2, "--no-refit")
        self.assert_error(run(*GROUP, "transfer", "m.safetensors", "task.json", "--algo", "moments"), 2, "--algo", "no descent")
        self.assert_error(run(*GROUP, "eval", "m.safetensors", "task.json", "--held-out", "0"), 2, "--held-out")

    def test_plain_descent_blows_up_above_its_bound(self):
        result = run(*GROUP, "train", "--algo", "sgd", "--eta-a", "0.1", "--eta-v", "0.1", "--samples", "20000")
        self.assert_error(result, 4, "blew up", "bound")

    def test_bad_options(self):
        self.assert_error(run(*GROUP, "train", "--algo", "adam"), 2, "adam", "scb")
        self.assert_error(run(*GROUP, "train", *SMALL, "--batch", "0"), 2, "batch")
        self.assert_error(run(*GROUP, "train", *SMALL, "--eta", "-1"), 2, "eta")


class BigramHeads(Case):
    def test_heads_of_a_model_by_token_ids(self):
        model = self.model("gpt2")
        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i % 13) for i in range(400)))
        result = run(*GROUP, "heads", model, "--ids", ids, "--offsets", "4", "-o", "csv", "--table", "heads", "--min-count", "1")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        for row in rows:
            shares = [float(row[name]) for name in ("previous", "same", "farther", "agreement", "induction")]
            self.assertTrue(all(0 <= share <= 1 for share in shares), row)
            self.assertEqual(row["next"], "0")
        other = run(*GROUP, "heads", model, "--ids", ids, "--offsets", "4", "-o", "csv", "--table", "heads", "--min-count", "1",
                    "--threads", "1")
        self.assertEqual(other.stdout, result.stdout)

    def test_offsets_that_windows_do_not_have_change_nothing(self):
        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i * i % 13) for i in range(400)))
        model, rows = self.model("gpt2"), []
        for offsets in ("8", "60"):
            result = run(*GROUP, "heads", model, "--ids", ids, "--window", "16", "--offsets", offsets, "--min-count", "1", "-o", "csv",
                         "--table", "heads")
            self.assertEqual(result.returncode, 0, result.stderr)
            rows.append(table(result))
        self.assertEqual(rows[0], rows[1])

    def test_a_short_text_has_few_offsets(self):
        ids = self.dir / "ids.txt"
        ids.write_text("1 2 3 1 2 4 1 2")
        result = run(*GROUP, "heads", self.model("gpt2"), "--ids", ids, "--min-count", "1", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("offsets up to 4", result.stdout)

    def test_heads_need_a_text(self):
        self.assert_error(run(*GROUP, "heads", self.model("gpt2")), 2, "needs a text", "--text")


if __name__ == "__main__":
    cli_case.main(__name__, [BigramBasics, BigramTheory, BigramTraining, BigramHeads])
