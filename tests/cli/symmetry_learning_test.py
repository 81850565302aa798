"""`telos symmetry spectrum` and `telos symmetry predict` as their user meets them. Run like cli_test.py."""

import csv
import io
import json
import struct
import time

import cli_case
from cli_case import SLOW, Case, run

SPECTRUM, PREDICT = ("symmetry", "spectrum"), ("symmetry", "predict")


def rows(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


class SymmetryLearning(Case):
    def npy(self, values, name="w.npy"):
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d, %d), }" % (len(values), len(values[0]))
        header += " " * (-(len(header) + 11) % 64) + "\n"
        flat = [x for row in values for x in row]
        path = self.dir / name
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                         + struct.pack(f"<{len(flat)}d", *flat))
        return path

    def test_examples_of_spectrum_work(self):
        examples = [line.split()[1:] for line in run(*SPECTRUM, "--help").stdout.splitlines() if line.startswith("  telos ")]
        self.assertGreater(len(examples), 2)
        for example in examples:
            result = run(*example)
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_every_learning_help_ends_in_examples(self):
        for command in (SPECTRUM, PREDICT):
            result = run(*command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example", result.stdout)
        self.assertIn("equivalent kernel", run("symmetry", "--definitions").stdout)

    def test_a_spectrum_in_closed_form(self):
        result = run(*SPECTRUM, "--law", "polya:1.0", "--vocab", "4", "--length", "8", "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        found = [(row["irrep"], float(row["eigenvalue"]), float(row["multiplicity"])) for row in rows(result)]
        self.assertEqual(found, [("(L)", 0.3125, 1), ("(L)", 0.084375, 3), ("(L−1,1)", 0.003125, 21)])

    def test_methods_agree(self):
        arguments = ("--vocab", "2", "--length", "6", "--token", "0.8")

        def levels(method):
            pairs = ("--pairs", "4000") if method == "zonal" else ()
            result = run(*SPECTRUM, *arguments, "--method", method, *pairs, "-o", "csv")
            self.assertEqual(result.returncode, 0, result.stderr)
            return [row for row in rows(result) if float(row["eigenvalue"]) != 0]

        closed = levels("closed")
        for method in ("enumerate", "binary", "zonal"):
            other = levels(method)
            self.assertEqual([row["irrep"] for row in other], [row["irrep"] for row in closed])
            for one, two in zip(closed, other):
                self.assertEqual(one["multiplicity"], two["multiplicity"])
                delta = 4 * float(two["±"]) if method == "zonal" else 1e-13
                self.assertAlmostEqual(float(one["eigenvalue"]), float(two["eigenvalue"]), delta=delta)

    def test_the_spectrum_of_an_architecture(self):
        path = self.dir / "block.json"
        block = {"norm": "pre", "attn": {"kind": "softmax", "scale": "1/d"}, "mlp": {"phi": "relu", "w2": 2, "b2": 0.1}}
        path.write_text(json.dumps({"embed": {"se2": 1, "sp2": 0.5, "pos": "iid"}, "blocks": [block], "readout": "mean"}))
        found = rows(run(*SPECTRUM, "--arch", path, "--vocab", "2", "--length", "6", "-o", "csv"))
        self.assertEqual(found[0]["irrep"], "(L)")
        self.assertAlmostEqual(float(found[0]["eigenvalue"]), 0.537245706981, delta=1e-12)
        large = rows(run(*SPECTRUM, "--arch", path, "--vocab", "2", "--length", "24", "--degree", "1", "-o", "csv"))
        self.assertEqual({row["irrep"] for row in large}, {"(L)", "(L−1,1)"})
        tangent = rows(run(*SPECTRUM, "--arch", path, "--vocab", "2", "--length", "6", "--ntk", "-o", "csv"))
        self.assertGreater(float(tangent[0]["eigenvalue"]), float(found[0]["eigenvalue"]))
        estimate = run(*SPECTRUM, "--arch", path, "--vocab", "9", "--length", "12", "--pairs", "400", "-o", "csv")
        self.assertEqual({row["known"] for row in rows(estimate)}, {"estimate"}, estimate.stderr)
        both = run(*SPECTRUM, "--arch", path, "--token", "2")
        self.assertEqual((both.returncode, both.stderr.splitlines()[0]), (2, "telos: --token excludes --arch"))
        self.assert_error(run(*SPECTRUM, "--arch", path, "--method", "closed"), 2, "--method", "simplified block")
        self.assert_error(run(*SPECTRUM, "--arch", "pre-ln-relu", "--vocab", "9", "--length", "12"), 2, "--length", "reads the mean")
        path.write_text(json.dumps({"embed": {"pos": "sin"}, "blocks": [block], "readout": "mean"}))
        self.assert_error(run(*SPECTRUM, "--arch", path), 2, "permutation", "sin")

    def test_samples_by_length_in_under_a_second(self):
        start = time.monotonic()
        result = run(*PREDICT, "--vocab", "8", "--length", "8..512", "--target", "copy:3", "--noise", "0.01", "--theta", "0.5",
                     "-o", "json")
        if not SLOW:
            self.assertLess(time.monotonic() - start, 1)
        self.assertEqual(result.returncode, 0, result.stderr)
        page = json.loads(result.stdout)
        self.assertIn("(L−1,1) carries 88 % of copy:3", page["verdict"]["sentence"])
        self.assertIn("L^", page["verdict"]["sentence"])
        self.assertEqual(result.stdout.count("training that learns features can do with fewer samples"), 1)
        samples = rows(run(*PREDICT, "--vocab", "8", "--length", "8,128", "--target", "copy:3", "-o", "csv"))
        standard = [float(row["samples"]) for row in samples if row["part"] == "(L−1,1)"]
        trivial = [float(row["samples"]) for row in samples if row["part"] == "(L)"]
        self.assertAlmostEqual(standard[0], 36.908764, places=5)
        self.assertAlmostEqual(standard[1], 1763.1661, places=3)
        self.assertAlmostEqual(trivial[0], 9.8761054, places=6)
        for row in samples:
            self.assertLessEqual(float(row["any kernel"]), float(row["bound"]))
            self.assertLessEqual(float(row["bound"]), float(row["samples"]))

    def test_prediction_from_random_pairs(self):
        arguments = ("--vocab", "4", "--length", "8", "--target", "copy:0", "-o", "csv")
        exact, zonal = rows(run(*PREDICT, *arguments)), rows(run(*PREDICT, *arguments, "--method", "zonal"))
        for one, two in zip(exact, zonal):
            self.assertEqual((one["part"], one["known"], two["known"]), (two["part"], "exact", "estimate"))
            self.assertAlmostEqual(float(two["samples"]) / float(one["samples"]), 1, delta=0.1)
        blocks = rows(run(*PREDICT, "--vocab", "2", "--length", "4", "--method", "binary", "-o", "csv"))
        self.assertEqual({row["known"] for row in blocks}, {"bound only"})

    def test_prediction_from_all_sequences(self):
        arguments = ("--vocab", "3", "--length", "5", "--law", "polya:1", "--target", "copy:0", "-o", "csv")
        closed, written = rows(run(*PREDICT, *arguments)), rows(run(*PREDICT, *arguments, "--method", "enumerate"))
        self.assertEqual([row["part"] for row in closed], ["(L−1,1)", "(L)"])
        for one, two in zip(closed, written, strict=True):
            for name in one:
                try:
                    self.assertAlmostEqual(float(two[name]) / float(one[name]), 1, places=9)
                except ValueError:
                    self.assertEqual(one[name], two[name])

    def test_samples_under_an_architecture(self):
        path = self.dir / "block.json"
        path.write_text(json.dumps({"embed": {"se2": 0.9, "sp2": 0.4}, "simplified": {"query": False, "norm": "1/L"}}))
        arguments = ("--vocab", "3", "--length", "5", "--target", "copy:0", "-o", "csv")
        known = rows(run(*PREDICT, *arguments, "--token", "0.9", "--position", "0.4", "--norm", "1/L"))
        found = rows(run(*PREDICT, *arguments, "--arch", path))
        for one, two in zip(known, found, strict=True):
            self.assertAlmostEqual(float(two["samples"]) / float(one["samples"]), 1, places=9)
        out = self.dir / "run"
        result = run(*PREDICT, "--arch", "relu-attention", "--ntk", "--vocab", "3", "--length", "4", "--target", "bigram",
                     "--out", out, "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        parts = rows(result)
        self.assertEqual({row["part"] for row in parts}, {"(L)", "(L−1,1)", "(L−2,2)", "(L−2,1,1)"})
        self.assertEqual({row["known"] for row in parts}, {"exact"})
        for row in parts:
            self.assertLessEqual(float(row["bound"]), float(row["samples"]))
        levels = list(csv.DictReader((out / "tables" / "levels.csv").open()))
        self.assertAlmostEqual(sum(float(row["share"]) for row in levels), 1, places=4)
        large = rows(run(*PREDICT, "--arch", "pre-ln-relu", "--vocab", "2", "--length", "11", "-o", "csv"))
        self.assertEqual({row["known"] for row in large}, {"exact"})
        partly = run(*PREDICT, "--arch", "pre-ln-relu", "--vocab", "4", "--length", "4")
        self.assertIn("never learns a share 0.5 of it", partly.stdout)
        for law in ("polya:2", "sticky:0.5"):
            shifted = (*arguments, "--test-law", law, "--table", "curve")
            known = rows(run(*PREDICT, *shifted, "--token", "0.9", "--position", "0.4", "--norm", "1/L"))
            found = rows(run(*PREDICT, *shifted, "--arch", path))
            for one, two in zip(known, found, strict=True):
                self.assertAlmostEqual(float(one["test error"]), float(two["test error"]), places=9)
        self.assert_error(run(*PREDICT, "--arch", "sqrt-softmax", "--vocab", "2", "--length", "4"), 3, "--arch", "Monte Carlo", "1/d")

    def test_the_page_has_its_figures(self):
        out = self.dir / "run"
        result = run(*PREDICT, "--vocab", "8", "--length", "8..64", "--target", "copy:0", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("report.html", "tables/samples.csv", "tables/scaling.csv", "tables/curve.csv",
                     "figures/samples-by-length.vl.json", "figures/learnability.vl.json", "figures/error.vl.json"):
            self.assertTrue((out / name).exists(), name)
        self.assertEqual(run(*SPECTRUM, "--length", "8..64", "--out", self.dir / "s").returncode, 0)
        for name in ("spectrum", "spectrum-by-length"):
            self.assertTrue((self.dir / "s" / "figures" / f"{name}.vl.json").exists(), name)

    def test_what_is_never_learned(self):
        result = run(*PREDICT, "--vocab", "8", "--length", "16", "--target", "bigram")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("this kernel never learns it", result.stdout)
        counts = rows(run(*PREDICT, "--length", "16", "--target", "copy:0", "--position", "0", "-o", "csv"))
        self.assertEqual([row["samples"] == "inf" for row in counts], [True, False])

    def test_no_ridge_interpolates(self):
        arguments = ("--vocab", "4", "--length", "8", "--ridge", "0")
        self.assertIn("modes              25      (no ridge: samples are interpolated up to so many",
                      run(*PREDICT, *arguments).stdout)
        curve = rows(run(*PREDICT, *arguments, "-o", "csv", "--table", "curve"))
        self.assertEqual({float(row["κ"]) == 0 for row in curve if float(row["samples"]) > 25}, {True})
        self.assertEqual({float(row["training error"]) == 0 for row in curve if float(row["samples"]) < 25}, {True})

    def test_a_file_of_weights(self):
        path = self.npy([[3, -3], [1, -1], [-1, 1], [1, -1]])
        result = run(*PREDICT, "--vocab", "2", "--length", "4", "--target", path, "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        shares = {row["part"]: float(row["share"]) for row in rows(result)}
        self.assertAlmostEqual(shares["(L)"], 4 / 12)
        self.assertAlmostEqual(shares["(L−1,1)"], 8 / 12)
        self.assert_error(run(*PREDICT, "--vocab", "3", "--length", "4", "--target", path), 3, "4 × 2, expected")

    def test_majority_is_mostly_linear(self):
        result = rows(run(*PREDICT, "--vocab", "2", "--length", "9", "--target", "majority", "-o", "csv"))
        self.assertEqual([row["part"] for row in result], ["(L)", "(L), rest"])
        self.assertAlmostEqual(float(result[0]["share"]), 9 * (70 / 256) ** 2)

    def test_error_under_another_law(self):
        arguments = ("--vocab", "4", "--length", "8", "--law", "polya:1", "-o", "csv", "--table", "curve")
        same = rows(run(*PREDICT, *arguments, "--test-law", "polya:1"))
        chain = rows(run(*PREDICT, *arguments, "--test-law", "sticky:0.9"))
        self.assertNotEqual(same[0]["test error"], chain[0]["test error"])
        for row in same:
            self.assertAlmostEqual(float(row["test error"]), float(row["error"]), places=12)
        self.assertNotIn("test error", rows(run(*PREDICT, *arguments))[0])
        shown = run(*PREDICT, *arguments[:-4], "--test-law", "sticky:0.9").stdout
        self.assertRegex(shown, r"\ntest +sticky:0\.9 +another law\n")
        self.assertRegex(shown, r"\n  error under the test law +\d")

    def test_bad_learning_options(self):
        for arguments, text in (
            (("--length", "0"), "whole numbers from 1"), (("--length", "8..4"), "is empty"), (("--length", "x"), "found \"x\""),
            (("--length", ","), "whole numbers"), (("--length", "1e9"), "whole numbers"), (("--vocab", "0"), "--vocab"),
            (("--law", "polya"), "expected iid"), (("--law", "polya:-1"), "expected iid"), (("--token", "-1"), "--token"),
            (("--target", "copy:9"), "from 0 to 7"), (("--target", "x"), "is not known"), (("--theta", "1"), "--theta"),
            (("--noise", "-1"), "--noise"), (("--test-law", "sticky:2"), "--test-law"), (("--test-law", "x"), "--test-law"), (("--ridge", "nan"), "--ridge"), (("--target", "majority"), "2 letters"),
            (("--law", "polya:1", "--target", "bigram"), "independent tokens")):
            self.assert_error(run(*PREDICT, *arguments), 3 if "bigram" in arguments else 2, text)
        self.assert_error(run(*PREDICT, "--target", "none.npy"), 3, "none.npy")
        self.assert_error(run(*SPECTRUM, "--method", "enumerate", "--length", "64"), 3, "--length", "too many to write down")
        self.assert_error(run(*SPECTRUM, "--method", "binary"), 2, "two letters")
        self.assert_error(run(*SPECTRUM, "--token", "1e308"), 2, "--token", "range of doubles")
        for option in ("--degree", "--pairs", "--seed"):
            self.assert_error(run(*SPECTRUM, "--method", "closed", option, "5"), 2, option, "closed has no use for it")
        self.assert_error(run(*SPECTRUM, "--method", "zonal", "--law", "polya:1"), 2, "uniform tokens")
        self.assert_error(run(*SPECTRUM, "--method", "zonal", "--query"), 2, "no query")


if __name__ == "__main__":
    cli_case.main(__name__, [SymmetryLearning])
