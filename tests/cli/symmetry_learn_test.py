"""`telos symmetry learn` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import random
import struct
import time

import cli_case
from cli_case import Case, run

QUICK = {"--samples": "8,32", "--draws": "20", "--vocab": "4", "--length": "8"}


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


class SymmetryLearn(Case):
    def learn(self, *arguments):
        defaults = [x for name, value in QUICK.items() if name not in arguments and not (name == "--length" and "--data" in arguments)
                    for x in (name, value)]
        return run("symmetry", "learn", *arguments, *defaults)

    def file(self, name, content):
        path = self.dir / name
        path.write_text(content)
        return path

    def test_help_ends_in_examples(self):
        result = run("symmetry", "learn", "--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("Examples:", result.stdout)
        self.assertIn("learnability", run("symmetry", "--definitions").stdout)

    def test_the_trivial_irrep_is_learned_first(self):
        out = self.dir / "run"
        result = self.learn("--law", "polya:1", "--target", "copy:3", "--samples", "8,32,128", "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("is the same at all positions is half learned", json.loads(result.stdout)["verdict"]["sentence"])
        for name in ("report.html", "run.json", "tables/curve.csv"):
            self.assertTrue((out / name).exists(), name)
        rows = table(self.learn("--law", "polya:1", "--target", "copy:3", "--samples", "8,32,128", "-o", "csv"))
        self.assertEqual([row["samples"] for row in rows], ["8", "32", "128"])
        for row in rows:
            self.assertGreater(float(row["(L)"]), float(row["(L−1,1)"]))
        self.assertGreater(float(rows[0]["error"]), float(rows[2]["error"]))

    def test_theory_beside_the_simulation(self):
        rows = table(self.learn("--law", "iid", "--target", "copy:3", "--samples", "32,128", "--draws", "40", "-o", "csv",
                                "--table", "theory"))
        self.assertEqual({row["quantity"] for row in rows}, {"error", "training", "(L)", "(L−1,1)"})
        for row in rows:
            self.assertLess(abs(float(row["difference"])), 5, row)
        chain = self.learn("--law", "hmm-sticky:0.9", "--target", "copy:3", "-o", "csv", "--table", "theory")
        self.assert_error(chain, 2, "theory")

    def test_laws_and_targets(self):
        for law in ("iid", "polya:0.5", "hmm:3", "mixture:2,2", "hmm-sticky:0.9", "hmm-sticky:1,2"):
            for target in ("copy:3,0", "count:1", "bigram:0,1", "next"):
                result = self.learn("--law", law, "--target", target, "--samples", "8", "--draws", "4", "-o", "csv")
                self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("not exchangeable", self.learn("--law", "hmm:3").stdout)
        self.assertIn("errs more than no prediction", self.learn("--law", "polya:1", "--target", "next").stdout)

    def test_the_kernel_of_an_architecture(self):
        path = self.file("block.json", json.dumps({"embed": {"se2": 1, "sp2": 0.5}, "simplified": {"query": False}}))
        arguments = ("--law", "iid", "--vocab", "3", "--length", "4", "--target", "copy:1", "-o", "csv")
        block, found = table(self.learn(*arguments)), table(self.learn(*arguments, "--arch", path))
        for one, two in zip(block, found, strict=True):
            for name in ("error", "(L)", "(L−1,1)", "training", "evidence"):
                self.assertAlmostEqual(float(one[name]), float(two[name]), places=8)
        theory = table(self.learn("--arch", "relu-attention", "--ntk", "--law", "iid", "--vocab", "3", "--length", "5", "--target",
                                  "bigram:0,1", "--samples", "64", "--ridge", "0.1", "--noise", "0.1", "--draws", "60", "-o", "csv", "--table", "theory"))
        self.assertEqual({row["quantity"] for row in theory}, {"error", "training", "(L)", "(L−1,1)", "(L−2,2)", "(L−2,1,1)"})
        for row in theory:
            self.assertLess(abs(float(row["difference"])), 6, row)
        result = self.learn("--arch", "pre-ln-relu", "--law", "iid", "--length", "12", "--target", "copy:3", "--samples", "16", "--draws",
                            "3", "--test-points", "50", "--out", self.dir / "out")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("NNGP kernel", result.stdout)
        page = (self.dir / "out" / "report.html").read_text()
        self.assertIn("without theory: 4^13 sequences are more than 4,096", page)
        self.assertEqual(self.learn("--arch", path, "--letter-variance", "2").returncode, 2)
        self.assertEqual(self.learn("--ntk").returncode, 2)
        layer = {"attn": {"kind": "softmax", "scale": "1/sqrt(d)"}, "mlp": {"phi": "relu"}}
        deep = self.file("deep.json", json.dumps({"blocks": [layer, layer]}))
        self.assert_error(self.learn("--arch", deep), 3, "sampled for each set of sequences")
        self.assert_error(self.learn("--arch", "pre-ln"), 2, "--arch", "pre-ln-relu")

    def test_an_architecture_on_files(self):
        sequences, labels = self.data()
        rows = table(self.learn("--data", sequences, "--labels", labels, "--samples", "8,100", "--arch", "pre-ln-relu", "-o", "csv"))
        self.assertLess(float(rows[1]["error"]), float(rows[0]["error"]))

    def test_another_test_law(self):
        rows = table(self.learn("--law", "polya:1", "--test-law", "iid", "--target", "copy:3", "-o", "csv"))
        self.assertGreater(float(rows[-1]["test law"]), float(rows[-1]["error"]))

    def test_a_finite_network(self):
        out = self.dir / "run"
        result = self.learn("--law", "iid", "--target", "copy:1,0", "--vocab", "3", "--length", "4", "--ridge", "0.05", "--langevin",
                            "--width", "128", "--duration", "15", "--network-samples", "20", "--samples", "8", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        values = {row["quantity"]: float(row["value"]) for row in csv.DictReader((out / "tables" / "network.csv").open())}
        self.assertGreater(values["correlation"], 0.995)
        spread = [float(row["spread"]) for row in csv.DictReader((out / "tables" / "widths.csv").open())]
        self.assertAlmostEqual(spread[2] / spread[0], 0.5, delta=0.2)

    def test_same_bytes_for_any_number_of_threads(self):
        for arguments in (("--target", "copy:3"), ("--law", "hmm:2", "--target", "bigram:0,1")):
            results = {self.learn(*arguments, "-o", "csv", "--threads", n).stdout for n in ("1", "2", "5")}
            self.assertEqual(len(results), 1)

    def data(self):
        draw = random.Random(4)
        rows = [[draw.randrange(4) for _ in range(6)] for _ in range(120)]
        sequences = self.file("x.txt", "\n".join(" ".join(map(str, row)) for row in rows))
        labels = self.file("y.csv", "y\n" + "\n".join(str(float(row[2] == 1) - 0.25) for row in rows))
        return sequences, labels

    def test_sequences_and_labels_from_files(self):
        sequences, labels = self.data()
        rows = table(self.learn("--data", sequences, "--labels", labels, "--samples", "8,100", "-o", "csv"))
        self.assertGreater(float(rows[0]["error"]), 0.05)
        self.assertLess(float(rows[1]["error"]), 0.01)
        self.assert_error(self.learn("--data", sequences, "--labels", labels, "--samples", "120"), 2, "leave none to test on")

    def test_sequences_of_a_matrix(self):
        sequences, labels = self.data()
        rows = [[int(x) for x in line.split()] for line in sequences.read_text().splitlines()]
        matrix, commas = self.dir / "x.npy", self.file("x.csv", sequences.read_text().replace(" ", ","))
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}".encode()
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        matrix.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
                           + struct.pack(f"<{len(rows) * len(rows[0])}d", *(x for row in rows for x in row)))
        found = [table(self.learn("--data", data, "--labels", labels, "--samples", "8,100", "-o", "csv")) for data in (sequences, matrix, commas)]
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])

    def test_splits_of_data_have_a_spread(self):
        sequences, labels = self.data()
        arguments = ("--data", sequences, "--labels", labels, "--samples", "8")
        few, many = (float(table(self.learn(*arguments, "--draws", n, "-o", "csv"))[0]["± of error"]) for n in ("20", "200"))
        self.assertLess(abs(many / few - 1), 0.6)
        page = json.loads(self.learn(*arguments, "-o", "json").stdout)
        self.assertIn("random splits", page["verdict"]["basis"])

    def test_a_target_that_is_zero(self):
        result = self.learn("--law", "iid", "--target", "next", "--out", self.dir / "run")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("The target is 0", result.stdout)
        for text in (result.stdout, (self.dir / "run" / "report.html").read_text()):
            self.assertNotIn("∞", text)

    def test_a_network_is_refused_before_the_curves(self):
        start = time.monotonic()
        slow = ("--samples", "2000", "--draws", "100000", "--langevin")
        self.assert_error(self.learn(*slow, "--chains", "1"), 2, "--chains", "found 1")
        self.assert_error(self.learn(*slow, "--width", "5000"), 2, "found 5000")
        self.assert_error(self.learn(*slow, "--ridge", "1e-12"), 3, "steps a chain", "larger ridge")
        sequences, labels = self.data()
        self.assert_error(self.learn("--data", sequences, "--labels", labels, "--samples", "100", "--draws", "100000", "--langevin",
                                     "--chains", "1"), 2, "--chains", "found 1")
        self.assertLess(time.monotonic() - start, 30)

    def test_files_that_cannot_be_used(self):
        sequences, labels = self.data()
        bad = self.file("bad.csv", labels.read_text().replace("0.75", "nan", 1))
        self.assert_error(self.learn("--data", sequences, "--labels", bad), 4, "bad.csv", "line", "finite")
        short = self.file("short.csv", "y\n1\n2\n")
        self.assert_error(self.learn("--data", sequences, "--labels", short), 3, "2 rows of labels, expected 120")
        ragged = self.file("ragged.txt", "0 1 2\n0 1\n")
        self.assert_error(self.learn("--data", ragged, "--labels", labels), 3, "line 2", "2 tokens, expected 3")
        large = self.file("large.txt", "0 1 2\n0 1 4\n")
        self.assert_error(self.learn("--data", large, "--labels", labels), 3, "line 2", "0 to 3, found 4")
        self.assert_error(self.learn("--data", self.file("words.txt", "a b\n"), "--labels", labels), 3, "line 1", "\"a\"")
        self.assert_error(self.learn("--data", self.file("none.txt", ""), "--labels", labels), 3, "no sequence")
        self.assert_error(self.learn("--data", sequences), 2, "--labels")
        self.assert_error(self.learn("--data", self.dir / "missing.txt", "--labels", labels), 3, "missing.txt")

    def test_duplicates_need_a_ridge(self):
        sequences = self.file("x.txt", "0 1\n0 1\n0 1\n1 0\n")
        labels = self.file("y.csv", "1\n2\n3\n4\n")
        arguments = ("--data", sequences, "--labels", labels, "--samples", "3", "--draws", "8")
        self.assert_error(self.learn(*arguments, "--ridge", "0"), 4, "not positive definite", "duplicate", "ridge above")
        self.assertEqual(self.learn(*arguments, "--ridge", "0.01").returncode, 0)
        # More samples than the kernel has functions.
        self.assert_error(self.learn("--ridge", "0", "--samples", "64"), 4, "not positive definite")
        self.assertEqual(self.learn("--ridge", "0", "--samples", "4", "--length", "32").returncode, 0)

    def test_smallest_sequences(self):
        arguments = ("--law", "polya:1", "--length", "1", "--target", "copy:0")
        self.assertEqual(self.learn(*arguments).returncode, 0)
        self.assertEqual(self.learn(*arguments, "--arch", "pre-ln-relu").returncode, 0)
        self.assert_error(self.learn("--vocab", "1", "--target", "count:0"), 2, "--vocab: expected at least 2 letters, found 1")

    def test_what_cannot_be_learned(self):
        self.assert_error(self.learn("--law", "zipf"), 2, "--law", "polya:ALPHA")
        self.assert_error(self.learn("--target", "parity"), 2, "--target", "count:LETTER")
        self.assert_error(self.learn("--test-law", "zipf"), 2, "--test-law")
        self.assert_error(self.learn("--target", "copy:8"), 2, "position 8")
        self.assert_error(self.learn("--length", "0"), 2, "found 0")
        self.assert_error(self.learn("--vocab", "0"), 2, "found 0")
        self.assert_error(self.learn("--samples", "0"), 2, "--samples", "found 0")
        self.assert_error(self.learn("--samples", "8.5"), 2, "--samples", "found 8.5")
        self.assert_error(self.learn("--draws", "1"), 2, "--draws", "found 1")
        self.assert_error(self.learn("--ridge", "-1"), 2, "--ridge", "found -1")
        self.assert_error(self.learn("--noise", "-1"), 2, "--noise", "found -1")
        self.assert_error(self.learn("--length", "4", "--ridge", "0", "--langevin", "--samples", "2"), 2, "above 0 for a network")
        self.assert_error(self.learn("--length", "1000000", "--vocab", "60000"), 3, "of memory, this machine has")
        self.assertEqual(self.learn("--width", "8").returncode, 2)


if __name__ == "__main__":
    cli_case.main(__name__, [SymmetryLearn])
