"""`telos symmetry corpus` on texts of any size. Run like cli_test.py."""

import gzip
import os
import random
import subprocess
import unittest

import cli_case
from cli_case import Case, run

CORPUS = ("symmetry", "corpus")
SMALL = ("--vocab", "8", "--length", "4", "--longest", "8", "--shuffles", "2", "--no-components")


def paragraphs(megabytes, seed=5):
    """Words of falling frequency, in lines; the same lines again in another order."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(1, 9))) for _ in range(3000)]
    weights = [1 / (i + 2) for i in range(len(words))]
    lines = [" ".join(draw.choices(words, weights, k=60)) + ".\n" for _ in range(2000)]
    size = 0
    while size < megabytes * 1_000_000:
        draw.shuffle(lines)
        yield "".join(lines)
        size += sum(map(len, lines))


def text_of(megabytes):
    return "".join(paragraphs(megabytes))


def peak_of(*arguments):
    """Most memory that telos held, in MiB."""
    process = subprocess.Popen([cli_case.TELOS, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024


class SymmetryCorpus(Case):
    def write(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        return path

    def csv(self, *arguments, table="parts"):
        result = run(*CORPUS, *arguments, *SMALL, "-o", "csv", "--table", table)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    @unittest.skipIf("TELOS_TEST_SLOW" in os.environ, "instrumented code needs memory of its own")
    def test_a_large_text_needs_little_memory(self):
        path = self.dir / "large.txt"
        with path.open("w") as file:
            for part in paragraphs(60):
                file.write(part)
        self.assertGreater(path.stat().st_size, 60_000_000)
        status, peak = peak_of(*CORPUS, path, *SMALL)
        self.assertEqual(status, 0)
        self.assertLess(peak, 48)  # less than the text

    def test_compressed_texts_are_the_same(self):
        text = text_of(2)
        half = text.index("\n", len(text) // 2) + 1
        plain = self.csv(self.write("plain.txt", text.encode()), table="lags")
        members = gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode())
        self.assertEqual(plain, self.csv(self.write("two.txt.gz", members), table="lags"))
        utf16 = self.write("first.txt", text[:half].encode("utf-16"))
        second = self.write("second.txt", ("\ufeff" + text[half:-1]).encode())
        self.assertEqual(plain, self.csv(utf16, second, table="lags"))

    def test_damage_far_into_a_text(self):
        text = text_of(2).encode()
        bad = self.write("bad.txt", text[:1_500_000] + b"\xff" + text[1_500_000:])
        self.assert_error(run(*CORPUS, bad), 3, "bad.txt, byte 1500000", "UTF-8")
        cut = self.write("cut.txt.gz", gzip.compress(text)[:-20])
        self.assert_error(run(*CORPUS, cut), 3, "cut.txt.gz", "end too early")

    def test_tokens_of_a_tokenizer(self):
        tokenizer = cli_case.GOLDEN / "text" / "gpt2.json"
        text = text_of(2.5)
        whole = self.csv(self.write("text.txt", text.encode()), "--unit", tokenizer)
        self.assertEqual(whole, self.csv(self.dir / "text.txt", "--unit", tokenizer, "--threads", "1"))

    def test_bootstrap(self):
        path = self.write("text.txt", text_of(1).encode())
        jackknife = self.csv(path, table="energies")
        bootstrap = self.csv(path, "--errors", "bootstrap", "--resamples", "50", table="energies")
        value, error = (bootstrap.splitlines()[1].split(",")[i] for i in (1, 2))
        self.assertEqual(value, jackknife.splitlines()[1].split(",")[1])
        self.assertNotEqual(error, jackknife.splitlines()[1].split(",")[2])
        page = run(*CORPUS, path, *SMALL, "--errors", "bootstrap", "--resamples", "50")
        self.assertIn("50 resamples", page.stdout)

    def test_errors_name_the_option(self):
        path = self.write("text.txt", text_of(1).encode())
        self.assert_error(run(*CORPUS, path, "--length", "2"), 2, "--length: expected windows of 3 to 1024 tokens, found 2")
        self.assert_error(run(*CORPUS, path, "--blocks", "2"), 2, "--blocks: expected 4 to 1000 blocks, found 2")
        self.assert_error(run(*CORPUS, path, "--shuffles", "2000000"), 2, "--shuffles: expected at most 1000000")
        self.assert_error(run(*CORPUS, path, "--errors", "bootstrap", "--resamples", "3"), 2, "--resamples: expected 10 to 100000")
        self.assert_error(run(*CORPUS, path, "--resamples", "50"), 2, "--resamples: the jackknife has no use for it")
        self.assert_error(run(*CORPUS, path, "--errors", "guess"), 2, "--errors: expected jackknife or bootstrap, found \"guess\"")
        self.assert_error(run(*CORPUS, path, "--unit", "syllable"), 2, "--unit: expected char, word, piece or the path of a tokenizer")
        self.assert_error(run("symmetry", "irreps", "--length", "0"), 2, "--length", "found 0")
        self.assert_error(run("symmetry", "irreps", "--vocab", "0"), 2, "--vocab", "found 0")
        self.assert_error(run("symmetry", "irreps", "--partition", "6,2", "--length", "9"), 2, "--partition", "expected 9")

    def test_texts_without_a_window(self):
        for content, words in ((b"", "there is no word in it"), (b"a b", "2 tokens, less than one window of 16"),
                               (b"a a a", "it is one word throughout, a")):
            self.assert_error(run(*CORPUS, self.write("text.txt", content)), 3, "text.txt", words)
        short = self.write("short.txt", b"a b c d " * 100)
        self.assert_error(run(*CORPUS, short), 2, "--blocks: 25 windows of 16 tokens, 20 blocks need at least 200")

    def test_pipes(self):
        self.assert_error(run(*CORPUS, "-"), 3, "stdin", "only once")
        fifo = self.dir / "pipe"
        os.mkfifo(fifo)
        self.assert_error(run(*CORPUS, fifo), 3, "pipe", "expected a regular file")


if __name__ == "__main__":
    cli_case.main(__name__, [SymmetryCorpus])
