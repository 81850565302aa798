"""`telos symmetry` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import random

import cli_case
from cli_case import TEXT, Case, run

CORPUS = ("symmetry", "corpus")


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def sticky_text(length, letters="abcd", stay=0.5, seed=3):
    draw = random.Random(seed)
    text = "a"
    while len(text) < length:
        text += text[-1] if draw.random() < stay else draw.choice(letters)
    return text


class Symmetry(Case):
    def text(self, content, name="text.txt"):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def corpus(self, *arguments):
        options = {"--unit": "char", "--vocab": "4", "--length": "8", "--shuffles": "19"}
        defaults = [x for name, value in options.items() if name not in arguments for x in (name, value)]
        return run(*CORPUS, *arguments, *defaults)

    def test_every_help_ends_in_examples(self):
        for command in (("symmetry",), CORPUS):
            result = run(*command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example", result.stdout)
        definitions = run("symmetry", "--definitions")
        self.assertEqual(definitions.returncode, 0)
        self.assertIn("jackknife", definitions.stdout)

    def test_irreps_of_functions_that_there_are(self):
        for arguments in (("--length", "512"), ("--length", "6")):
            result = run("symmetry", "irreps", *arguments, "-o", "json")
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            self.assertNotIn(",2,1)", report["verdict"]["sentence"])
            self.assertNotEqual(report["keys"][1]["value"], "0")
        none = run("symmetry", "irreps", "--length", "6", "--partition", "3,2,1")
        self.assertIn("No function of 2 letters lies in (3,2,1)", none.stdout)
        # Shares that no double holds are not 0. The numbers: f^λ m_λ/3000^1200 in whole numbers of any size.
        small = json.loads(run("symmetry", "irreps", "--length", "1200", "--vocab", "3000", "--degree", "1", "-o", "json").stdout)
        shares = [row[4] for row in small["sections"][0]["tables"][0]["rows"]]
        self.assertEqual(shares, ["5.111 · 10^−3084", "5.247 · 10^−3078"])
        self.assertEqual(small["keys"][2]["value"], "5.247 · 10^−3078")
        characters = run("symmetry", "irreps", "--length", "8", "--partition", "6,2", "--characters").stdout
        self.assertRegex(characters, r"\n \(8\) +5,040 +−?\d+\n")

    def test_a_sticky_text_is_partly_symmetric(self):
        path, out = self.text(sticky_text(40000)), self.dir / "run"
        result = self.corpus(path, "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("is the same for all of them", json.loads(result.stdout)["verdict"]["sentence"])
        for name in ("report.html", "run.json", "tables/lengths.csv", "tables/parts.csv", "tables/lags.csv", "tables/components.csv"):
            self.assertTrue((out / name).exists(), name)
        rows = table(self.corpus(path, "-o", "csv"))
        self.assertEqual([row["part"] for row in rows],
                         ["(L)", "(L−1,1)", "(L−2,2)", "(L−1,1) ordered", "(L−2,1,1)"])
        self.assertAlmostEqual(float(rows[0]["text"]), 0.58, delta=0.08)
        self.assertAlmostEqual(float(rows[0]["shuffled"]), 1, delta=0.05)
        self.assertAlmostEqual(float(rows[0]["chain"]), 0.58, delta=0.03)
        self.assertEqual([float(row["dimension"]) for row in rows], [1, 7, 20, 7, 21])
        lags = table(self.corpus(path, "-o", "csv", "--table", "lags"))
        self.assertEqual(len(lags), 7)
        self.assertAlmostEqual(float(lags[1]["of the first"]), 0.25, delta=0.05)

    def test_fractions_by_length(self):
        path = self.text(sticky_text(20000))
        rows = table(self.corpus(path, "-o", "csv", "--table", "lengths"))
        self.assertEqual([int(row["length"]) for row in rows], [4, 8, 16, 32, 64])  # ten of 64 fit into each of 20 blocks
        self.assertAlmostEqual(float(rows[1]["(L)"]), 0.58, delta=0.05)
        self.assertAlmostEqual(float(rows[2]["(L)"]), 0.334, delta=0.05)
        rows = table(self.corpus(path, "-o", "csv", "--table", "lengths", "--longest", "10"))
        self.assertEqual([int(row["length"]) for row in rows], [4, 8])
        result = self.corpus(path, "-o", "csv", "--table", "lengths", "--longest", "0")
        self.assertEqual(result.returncode, 2)

    def test_independent_draws_have_no_fractions(self):
        result = self.corpus(self.text(sticky_text(20000, stay=0)), "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("nothing of each other that could be measured", json.loads(result.stdout)["verdict"]["sentence"])

    def test_several_texts_in_a_row(self):
        content = "".join(sticky_text(80, seed=s) + "\n" for s in range(100))
        whole = self.corpus(self.text(content), "-o", "csv")
        parts = [self.text(content[:4050], "first.txt"), self.text(content[4050:], "second.txt")]
        result = self.corpus(*parts, "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(whole.stdout, result.stdout)

    def test_units(self):
        for unit in ("word", "piece", cli_case.GOLDEN / "text" / "gpt2.json"):
            result = run(*CORPUS, TEXT, "--unit", unit, "--vocab", "8", "--length", "3", "--blocks", "4", "--shuffles", "3")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("are letters", result.stdout)

    def test_same_bytes_for_any_number_of_threads(self):
        path = self.text(sticky_text(10000))
        for name in ("parts", "energies", "lags", "lengths", "components"):
            results = {self.corpus(path, "-o", "csv", "--table", name, "--threads", n).stdout for n in ("1", "2", "7")}
            self.assertEqual(len(results), 1, name)

    def test_texts_that_cannot_be_used(self):
        path = self.text(sticky_text(4000))
        self.assert_error(run(*CORPUS, self.dir / "none.txt"), 3, "none.txt")
        self.assert_error(self.corpus(path, "--unit", "syllable"), 2, "--unit", "syllable")
        self.assert_error(self.corpus(self.text("")), 3, "there is no character in it")
        self.assert_error(self.corpus(self.text("ab" * 500)), 2, "125 windows of 8 tokens, 20 blocks need at least 200")
        self.assert_error(self.corpus(path, "--length", "2"), 2, "3 to 1024", "found 2")
        self.assert_error(self.corpus(path, "--vocab", "0"), 2, "--vocab", "1 to 4095", "found 0")
        self.assert_error(self.corpus(path, "--vocab", "5000"), 2, "--vocab", "found 5000")
        self.assert_error(self.corpus(path, "--blocks", "2"), 2, "found 2")
        self.assert_error(self.corpus(self.text(bytes([65, 0xFF, 0xFE, 7]) * 900)), 3, "text.txt", "UTF-8")


if __name__ == "__main__":
    cli_case.main(__name__, [Symmetry])
