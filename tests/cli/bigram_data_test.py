"""Own matrices, samples as files, evaluation and sweeps of `telos bigram`. Run like cli_test.py."""

import json
import signal
import subprocess
import time

import cli_case
from bigram_test import GROUP, SMALL, table
from cli_case import Case, run

SIZE = ("--samples", "32000", "--seed", "3")


class BigramTables(Case):
    def write(self, p, q):
        (self.dir / "P.tsv").write_text(p)
        (self.dir / "q.tsv").write_text(q)
        return ("generate", "--p-file", self.dir / "P.tsv", "--q-file", self.dir / "q.tsv")

    def test_own_matrices(self):
        rows = "a b c\n.6 .3 .1\n.3 .5 .2\n.2 .2 .6\n"
        positions = "token position weight\na 0 .75\na 2 .25\nb 1 1\nc 3 1\n"
        command = self.write(rows, positions)
        result = run(*GROUP, *command, "--orientation", "row", "--t", "5", "--out", self.dir / "task", "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([row["token"] for row in table(result)], ["a", "b", "c"])
        task = json.loads((self.dir / "task" / "instance.json").read_text())
        self.assertEqual(task["p"], [[0.6, 0.3, 0.2], [0.3, 0.5, 0.2], [0.1, 0.2, 0.6]])
        self.assertEqual((task["length"], task["q"][0]["positions"]), (5, [0, 2]))
        self.assert_error(run(*GROUP, *command, "--t", "5"), 3, "P.tsv, column 1", "the rows do sum to 1", "--orientation row")
        self.assert_error(run(*GROUP, *command, "--orientation", "row"), 2, "--t")
        self.assert_error(run(*GROUP, *command, "--orientation", "row", "--t", "3"), 3, "q.tsv, row 4 (line 5)", "position")
        self.assert_error(run(*GROUP, *command, "--orientation", "row", "--t", "5", "--q", "1"), 3, "at most 1")
        self.assertEqual(run(*GROUP, *command, "--n", "3").returncode, 2)
        self.assertEqual(run(*GROUP, "generate", "--p-file", self.dir / "P.tsv").returncode, 2)


class BigramSamples(Case):
    def setUp(self):
        super().setUp()
        self.task = self.dir / "task" / "instance.json"
        self.data = self.dir / "data" / "samples.safetensors"
        self.ok("generate", *SMALL, "--seed", "2", "--out", self.dir / "task")
        self.ok("sample", self.task, "--n", "40000", "--seed", "5", "--out", self.dir / "data")

    def ok(self, *arguments):
        result = run(*GROUP, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def test_training_without_the_truth(self):
        out = self.dir / "run"
        result = self.ok("train", "--data", self.data, *SIZE, "--out", out, "-o", "json")
        report = json.loads(result.stdout)
        self.assertIn("stable", report["verdict"]["sentence"])
        task = json.loads(self.task.read_text())
        found = {}
        for line in (out / "positions.tsv").read_text().splitlines()[1:]:
            token, position, _ = line.split("\t")
            found.setdefault(int(token), []).append(int(position))
        self.assertEqual([found[k] for k in range(3)], [q["positions"] for q in task["q"]])
        learned = [[float(x) for x in line.split("\t")] for line in (out / "transitions.tsv").read_text().splitlines()]
        for row, truth in zip(learned, task["p"]):
            for a, b in zip(row, truth):
                self.assertAlmostEqual(a, b, delta=0.1)
        self.ok("generate", "--p-file", out / "transitions.tsv", "--q-file", out / "positions.tsv", "--t", "250")
        for name in ("report.html", "model.safetensors", "run.json"):
            self.assertTrue((out / name).exists(), name)

        known = json.loads(self.ok("eval", out / "model.safetensors", self.task, "-o", "json").stdout)
        self.assertIn("3 of 3 last tokens' positions are exact", known["verdict"]["sentence"])
        measured = json.loads(self.ok("eval", out / "model.safetensors", "--data", self.data, "-o", "json").stdout)
        self.assertIn("on 40,000 samples", measured["verdict"]["sentence"])
        self.assertEqual(measured["keys"][0]["label"], "loss on the file")
        terms = next(t for s in known["sections"] for t in s["tables"] if t["id"] == "terms")
        value = dict(terms["rows"])
        self.assertAlmostEqual(value["sum"] + value["rest"], value["L − L*"], places=12)

    def test_same_bytes_for_any_number_of_threads(self):
        command = ("train", "--data", self.data, *SIZE, "-o", "csv", "--table", "columns")
        self.assertEqual(len({self.ok(*command, "--threads", n).stdout for n in ("1", "2", "7")}), 1)

    def test_bad_files(self):
        whole = self.data.read_bytes()
        bad = self.dir / "bad.safetensors"
        bad.write_bytes(whole[:-1])
        self.assert_error(run(*GROUP, "train", "--data", bad), 3, "bad.safetensors")
        bad.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assert_error(run(*GROUP, "train", "--data", bad), 3, "checksum")
        self.assert_error(run(*GROUP, "train", "--data", self.dir / "none"), 3)
        self.assertEqual(run(*GROUP, "train", "--data", self.data, "--n", "3").returncode, 2)
        self.assertEqual(run(*GROUP, "train", "--data", self.data, "--refit-samples", "3").returncode, 2)

    def test_another_shape(self):
        self.ok("generate", "--n", "4", "--t", "250", "--q", "2", "--out", self.dir / "other")
        self.ok("train", "--data", self.data, *SIZE, "--out", self.dir / "run")
        result = run(*GROUP, "eval", self.dir / "run" / "model.safetensors", self.dir / "other" / "instance.json")
        self.assert_error(result, 3, "V is 3 × 3 and A 3 × 250, but the task has 4 tokens and 250 positions")
        self.assert_error(run(*GROUP, "eval", self.dir / "run" / "model.safetensors"), 2, "--data")


class BigramSweep(Case):
    COMMAND = (*GROUP, "sweep", "--t", "60:120:x2", "--seeds", "1:3", "--samples", "4000", "-o", "csv", "--table", "runs")

    def test_shards_and_threads(self):
        whole = run(*self.COMMAND)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual(len(table(whole)), 18)
        out = self.dir / "sweep"
        for shard in ("1/2", "2/2"):
            part = run(*self.COMMAND, "--shard", shard, "--out", out, "--threads", "3")
            self.assertEqual(part.returncode, 0, part.stderr)
        self.assertEqual(len((out / "runs-1-of-2.tsv").read_text().splitlines()), 9)
        self.assertEqual(run(*self.COMMAND, "--out", out).stdout, whole.stdout)
        self.assertEqual((out / "runs.tsv").read_text(), "")
        self.assertTrue((out / "report.html").exists())

    def test_nothing_counts_twice(self):
        for option, values in (("--n", "3,3"), ("--t", "50,50"), ("--q", "2,2"), ("--seeds", "1,1"), ("--methods", "moments,moments")):
            self.assert_error(run(*GROUP, "sweep", option, values), 2, "is given twice")

    def test_interrupted_it_goes_on(self):
        out = self.dir / "sweep"
        command = (*GROUP, "sweep", "--t", "250", "--seeds", "1:40", "--methods", "scb", "--samples", "1600" if cli_case.SLOW else "8000", "-o", "csv",
                   "--table", "runs", "--out", str(out), "--threads", "1")
        process = subprocess.Popen([cli_case.TELOS, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and not ((out / "runs.tsv").exists() and (out / "runs.tsv").read_text()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        before = (out / "runs.tsv").read_text()
        self.assertLess(len(before.splitlines()), 40)
        result = run(*command)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(table(result)), 40)
        self.assertTrue((out / "runs.tsv").read_text().startswith(before))

    def test_bad_options(self):
        self.assert_error(run(*GROUP, "sweep", "--methods", "adam"), 2, "adam", "known")
        self.assert_error(run(*GROUP, "sweep", "--shard", "3/2"), 2, "3/2")
        self.assert_error(run(*GROUP, "sweep", "--shard", "1/2"), 2, "--out")
        self.assert_error(run(*GROUP, "sweep", "--t", "8:4:x2"), 2, "--t")
        self.assert_error(run(*GROUP, "sweep", "--q", "2.5"), 2, "--q", "2.5")
        self.assert_error(run(*GROUP, "sweep", "--methods", "moments", "--l1", "7"), 2, "--l1", "moments has no descent")
        self.assert_error(run(*GROUP, "sweep", "--methods", "scb", "--share", "0.9"), 2, "--share", "only transfer")


if __name__ == "__main__":
    cli_case.main(__name__, [BigramTables, BigramSamples, BigramSweep])
