"""`telos bigram estimate` and `telos bigram fit` as their user meets them. Run like cli_test.py."""

import csv
import gzip
import io
import json
import random

import cli_case
from cli_case import TEXT, Case, run

ESTIMATE, FIT = ("bigram", "estimate"), ("bigram", "fit")


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def copying_text(length):
    """Of three characters; after c comes, nine times in ten, what stood two before it; after others, anything."""
    draw = random.Random(5)
    text = "abc"
    while len(text) < length:
        text += text[-3] if text[-1] == "c" and draw.random() < 0.9 else draw.choice("abc")
    return text


class BigramCorpus(Case):
    def text(self, content, name="text.txt"):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def test_every_help_ends_in_examples(self):
        for command in (ESTIMATE, FIT):
            result = run(*command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example", result.stdout)

    def test_where_each_character_looks(self):
        path, out = self.text(copying_text(20000)), self.dir / "run"
        result = run(*ESTIMATE, path, "--offsets", "4", "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("nats a token beyond the bigram", report["verdict"]["sentence"])
        informed = run(*ESTIMATE, path, "--offsets", "4", "-o", "csv", "--table", "tests")
        rows = [row for row in table(informed) if row["informs"] == "yes"]
        self.assertEqual({row["last token"] for row in rows}, {"c"})
        self.assertEqual(max(rows, key=lambda row: float(row["information"]))["offset"], "2")
        task = json.loads((out / "instance.json").read_text())
        self.assertEqual((task["tokens"], task["length"]), (3, 5))
        self.assertIn(2, task["q"][task["names"].index("c")]["positions"])  # position 4 − 2
        for name in ("report.html", "run.json", "tables/tests.csv"):
            self.assertTrue((out / name).exists(), name)
        self.assertEqual(run("bigram", "generate", out / "instance.json").returncode, 0)

    def test_units(self):
        result = run(*ESTIMATE, TEXT, "--unit", "word", "--vocab", "20", "--offsets", "3", "--min-count", "5")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("words", result.stdout)
        self.assertIn("are rarer and count as (other)", result.stdout)
        tokenizer = cli_case.GOLDEN / "text" / "gpt2.json"
        result = run(*ESTIMATE, TEXT, "--unit", tokenizer, "--vocab", "20", "--offsets", "3", "--min-count", "5")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("tokens · ", result.stdout)

    def test_a_compressed_text_is_the_same_text(self):
        text = copying_text(3000).encode()
        plain = run(*ESTIMATE, self.text(text), "--offsets", "3", "-o", "csv")
        packed = run(*ESTIMATE, self.text(gzip.compress(text), "text.gz"), "--offsets", "3", "-o", "csv")
        self.assertEqual(plain.returncode, 0, plain.stderr)
        self.assertEqual(plain.stdout, packed.stdout)

    def test_same_bytes_for_any_number_of_threads(self):
        path = self.text(copying_text(5000))
        for command in (ESTIMATE, FIT):
            results = {run(*command, path, "--offsets", "4", "-o", "csv", "--threads", n).stdout for n in ("1", "2", "7")}
            self.assertEqual(len(results), 1, command)

    def test_the_probe_leaves_a_model_and_a_task(self):
        path, out = self.text(copying_text(20000)), self.dir / "run"
        result = run(*FIT, path, "--offsets", "4", "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("more than the last token alone", json.loads(result.stdout)["verdict"]["sentence"])
        self.assertIn("laws by projection", result.stderr)
        rows = table(run(*FIT, path, "--offsets", "4", "-o", "csv", "--table", "weights"))
        weight = {row["offset"]: float(row["weight"]) for row in rows if row["last token"] == "c"}
        self.assertEqual(max(weight, key=weight.get), "2")
        tensors = cli_case.read_safetensors(out / "model.safetensors")
        self.assertEqual((tensors["v"][1], tensors["a"][1]), ([3, 3], [3, 5]))
        self.assertEqual(run("bigram", "generate", out / "instance.json").returncode, 0)
        without = table(run(*FIT, path, "--offsets", "4", "--without-last", "-o", "csv", "--table", "weights"))
        self.assertEqual({row["offset"] for row in without}, {"1", "2", "3", "4"})

    def test_texts_that_cannot_be_used(self):
        for content, code, words in (
            ("", 3, ("text.txt", "there is no character in it")),
            ("a", 3, ("one character throughout, a",)),
            ("z" * 5000, 3, ("one character throughout, z",)),
            ("ab" * 5, 2, ("10 tokens, offsets up to 16 need at least 18",)),
            ("ab" * 15, 2, ("13 windows", "at least 20")),
            (bytes([65, 0xFF, 0xFE, 7]) * 100, 3, ("text.txt", "byte 1", "UTF-8")),
        ):
            for command in (ESTIMATE, FIT):
                self.assert_error(run(*command, self.text(content)), code, *words)
        path = self.text(copying_text(500))
        self.assert_error(run(*ESTIMATE, path, "--vocab", "70000"), 2, "2 to 4096", "70000")
        self.assert_error(run(*ESTIMATE, path, "--vocab", "1"), 2, "2 to 4096")
        self.assert_error(run(*ESTIMATE, path, "--offsets", "0"), 2, "found 0")
        self.assert_error(run(*ESTIMATE, path, "--smooth", "-1"), 2, "smoothing")
        self.assert_error(run(*ESTIMATE, path, "--unit", "syllable"), 2, "--unit", "syllable")
        self.assert_error(run(*FIT, path, "--rounds", "0"), 2, "at least one round")
        self.assert_error(run(*ESTIMATE, self.dir / "none.txt"), 3, "none.txt")


if __name__ == "__main__":
    cli_case.main(__name__, [BigramCorpus])
