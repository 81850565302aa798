"""Where results go, and what must not be lost on the way: streams, files, folders, numbers as typed. Run like cli_test.py."""

import json
import os
import signal
import subprocess
import time

import cli_case
from cli_case import Case, run, write_safetensors

KERNEL = ("symmetry", "kernel")
POSITIONAL = ("positional", "compile")
PROGRAM = "input x\nstate least = x\noutput least\nround\n  recv left from i - 1 else i\n  least = min(least, left.least)\nend\n"


def shell(script, *arguments):
    """`script` in bash, where "$T" is telos and "$1" … the arguments."""
    return subprocess.run(["bash", "-c", script, "bash", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "T": cli_case.TELOS, "NO_COLOR": "1"})


class Streams(Case):
    def test_text_that_does_not_arrive_is_an_error(self):
        for command in ("positional train --show", "positional compile cummin --n 4 --print", "smoothing simulate --example",
                        "smoothing simulate --list", "smoothing simulate t1 --show", "clustering run --list", "symmetry kernel --list",
                        "completion bash", "smoothing --definitions", "symmetry --definitions", "--help", "symmetry kernel --help",
                        "--version", "positional tasks"):
            for target in ("/dev/full", "&-"):
                result = shell(f'"$T" {command} >{target}')
                self.assertEqual(result.returncode, 3, f"{command} >{target}: {result.stderr}")
                self.assertRegex(result.stderr, r"^telos: stdout: the result could not be written: .*\n  → .*\n$")
        self.assertEqual(shell('"$T" frobnicate 2>/dev/full').returncode, 2)

    def test_a_closed_stdout_is_no_file_of_ours(self):
        matrix = self.dir / "K.npy"
        result = shell('"$T" symmetry kernel --random 4 --length 4 --pairs 0 --matrix "$1" >&-', matrix)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertTrue(matrix.read_bytes().startswith(b"\x93NUMPY"))

    def test_a_second_interrupt_ends_a_program_that_waits(self):
        model = self.sentiment()
        command = [cli_case.TELOS, "clustering", "sentiment", "predict", str(model), "-"]
        for signals in (1, 2):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(0.5)
            for _ in range(signals):
                process.send_signal(signal.SIGINT)
            self.assertIn(process.wait(timeout=10), (130, -signal.SIGINT))
            process.communicate()
        result = subprocess.run(command, input=b"a \xff film", capture_output=True, timeout=60)
        self.assertEqual(result.returncode, 3)
        self.assertIn(b"stdin", result.stderr)
        self.assertIn(b"UTF-8", result.stderr)
        self.assertEqual(run(*command[1:], stdin="good film").returncode, 0)

    def sentiment(self):
        data = self.dir / "reviews.csv"
        data.write_text("text,label\n" + "a good film,1\na bad film,0\n" * 20)
        result = run("clustering", "sentiment", "train", data, "--epochs", "1", "--no-baselines", "--out", self.dir / "sentiment")
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.dir / "sentiment" / "model.safetensors"

    def test_lists_come_in_every_format(self):
        for command in (("symmetry", "kernel"), ("clustering", "run"), ("smoothing", "simulate")):
            report = json.loads(run(*command, "--list", "-o", "json").stdout)
            names = [row[0] for row in report["sections"][0]["tables"][0]["rows"]]
            self.assertGreater(len(names), 3, command)
            self.assertEqual(run(*command, "--list", "-o", "csv").stdout.splitlines()[0], "name,what")
            for name in names:
                self.assertIn(name, run(*command, "--list").stdout)

    def test_control_characters_do_not_reach_the_terminal(self):
        evil = "bad\nname\x1b[31m"
        out = self.dir / evil
        for command in (("inspect", evil + ".safetensors"), ("doctor", "--threads", "1\n2\x1b[31m"), ("doctor", "-o", "x\x1b[31m"),
                        ("bigram", "plan", "--n", evil), ("doctor", "--out", out)):
            result = run(*command)
            self.assertNotIn("\x1b", result.stdout + result.stderr, command)
            self.assertLessEqual(len(result.stderr.splitlines()), 2, result.stderr)
        self.assertIn("\\x0A", result.stdout)


class Targets(Case):
    """What a command writes replaces neither what it reads nor what is not of its kind."""

    def text(self, name, text):
        path = self.dir / name
        path.write_text(text)
        return path

    def assert_kept(self, path, *command):
        before = path.read_bytes()
        result = run(*command)
        self.assert_error(result, 2)
        self.assertEqual(len(result.stderr.splitlines()), 2, result.stderr)
        self.assertEqual(path.read_bytes(), before)

    def test_matrix(self):
        data, other = self.text("seq.txt", "0 1 2\n2 1 1\n"), self.text("other.txt", "0 1\n")
        for path in (data, other):
            self.assert_kept(path, *KERNEL, "--data", data, "--data2", other, "--matrix", path)
        os.link(data, self.dir / "alias.npy")
        self.assert_kept(data, *KERNEL, "--data", data, "--matrix", self.dir / "alias.npy")
        for name in ("notes.txt", "K.npy.part", "K.npy.progress"):
            notes = self.text(name, "years of work\n")
            self.assert_kept(notes, *KERNEL, "--data", data, "--matrix", self.dir / ("K.npy" if "K" in name else name))
            notes.unlink()
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        self.assert_error(run(*KERNEL, "--data", data, "--matrix", fifo), 2)
        self.assertTrue(fifo.is_fifo())
        for _ in range(2):
            self.assertEqual(run(*KERNEL, "--data", data, "--matrix", self.dir / "K.npy").returncode, 0, "its own may be replaced")

    def test_save(self):
        program, network = self.text("least.pco", PROGRAM), self.text("net.txt", "(0,1)(2,3)(0,2)(1,3)(1,2)\n")
        self.assert_kept(program, *POSITIONAL, program, "--n", "4", "--save", program)
        self.assert_kept(network, *POSITIONAL, "sort", "--n", "4", "--network", network, "--save", network)
        notes = self.text("notes.txt", "years of work\n")
        self.assert_kept(notes, *POSITIONAL, "cummin", "--n", "4", "--save", notes)
        self.assert_error(run(*POSITIONAL, "cummin", "--n", "4", "--save", self.dir), 2, "is there already")
        model = self.dir / "model.safetensors"
        for _ in range(2):
            self.assertEqual(run(*POSITIONAL, "cummin", "--n", "4", "--save", model).returncode, 0)
        self.assert_kept(model, "positional", "convert", model, "--save", model)
        weights, words = self.dir / "w.safetensors", self.text("words.txt", "a\nb\n")
        write_safetensors(weights, {"alpha": ("F32", [1], b"\0\0\0\0")})
        for path in (weights, words):
            self.assert_kept(path, "clustering", "sentiment", "import", weights, words, "--save", path)
        for idle in (("--save", model), ("--out", self.dir / "d"), ("-o", "json")):
            self.assert_error(run(*POSITIONAL, "cummin", "--print", *idle), 2, "--print")

    def test_out(self):
        bigram, task, learned = "bigram", self.dir / "task", self.dir / "learned"
        small = ("--samples", "2000", "--refit-samples", "200", "--screen-samples", "200")
        self.assertEqual(run(bigram, "generate", "--n", "3", "--t", "50", "--q", "2", "--out", task).returncode, 0)
        instance = task / "instance.json"
        self.assert_kept(instance, bigram, "generate", "--related", instance, "--out", task)
        self.assertTrue((task / "run.json").exists(), "nothing was begun")
        self.assertEqual(run(bigram, "train", instance, *small, "--out", learned).returncode, 0)
        model = learned / "model.safetensors"
        self.assert_kept(model, bigram, "transfer", model, instance, *small, "--out", learned)
        self.assert_kept(model, bigram, "train", instance, *small, "--seed", "5", "--out", learned)
        self.assert_kept(model, bigram, "train", instance, *small, "--seed", "5", "--out", learned, "--resume")
        self.assertTrue((learned / "run.json").exists())
        self.assertEqual(run(bigram, "train", instance, *small, "--out", learned, "--restart").returncode, 0)

    def test_a_table_is_for_csv_and_must_be_there(self):
        self.assert_error(run("doctor", "--table", "self_test"), 2, "--table", "-o csv")
        out = self.dir / "out"
        self.assert_error(run("doctor", "-o", "csv", "--table", "nix", "--out", out), 2, "nix")
        self.assertFalse(out.exists())


class Folders(Case):
    def test_no_table_of_another_command_stays(self):
        out = self.dir / "out"
        self.assertEqual(run(*POSITIONAL, "cummin", "--n", "2", "--out", out).returncode, 0)
        before = set((out / "tables").iterdir())
        self.assertEqual(run("positional", "tasks", "--out", out).returncode, 0)
        after = {p.name for p in (out / "tables").iterdir()}
        self.assertEqual(after, {"tasks.csv", "models.csv", "programs.csv", "experiments.csv"})
        self.assertFalse(before & set((out / "tables").iterdir()))

    def test_what_a_command_reads_stays(self):
        out = self.dir / "out"
        first = run("positional", "tasks", "--out", out)
        self.assertEqual(first.returncode, 0, first.stderr)
        data = out / "tables" / "tasks.csv"
        data.write_text("x\n3\n1\n")
        self.assertEqual(run("positional", "execute", "cummin", "--n", "2", data, "--out", out).returncode, 0)
        self.assertEqual(data.read_text(), "x\n3\n1\n")
        self.assertFalse((out / "tables" / "models.csv").exists())


class Numbers(Case):
    def test_counts_are_decimal_and_fit(self):
        same = [run("bigram", "plan", "--t", t, "-o", "csv").stdout for t in ("100", "0100", "00100")]
        self.assertTrue(same[0])
        self.assertEqual(same[0], same[1])
        self.assertEqual(same[0], same[2])
        for value, words in (("99999999999999999999", "at most 18446744073709551615"), ("0x10", "decimal"), (" 7", "decimal"), ("-1", "at least 0")):
            self.assert_error(run("bigram", "plan", "--seed", value), 2, "--seed", words)
        self.assert_error(run("symmetry", "corpus", "text", "--blocks", "-3"), 2, "--blocks", "found -3")
        self.assertEqual(run("bigram", "plan", "--seed", "18446744073709551615").returncode, 0)

    def test_options_are_named_as_typed(self):
        for option, value in (("--q", "6000"), ("--n", "1"), ("--t", "0"), ("--p", "dirichlet:0")):
            self.assert_error(run("bigram", "plan", option, value), 2, f"telos: {option}: ", "`telos bigram plan --help`")
        self.assert_error(run("bigram", "train", "--l1", "-1"), 2, "telos: --l1: ")
        data = self.dir / "reviews.csv"
        data.write_text("text,label\n" + "a good film,1\na bad film,0\n" * 20)
        self.assert_error(run("clustering", "sentiment", "train", data, "--clip", "-1"), 2, "telos: --clip: ")
        for command in (("inspect", "M", "--heads", "0"), ("diagnose", "M", "--window", "0")):
            result = run(*command)
            self.assert_error(result, 2, "expected a number above 0")
            self.assertLess(len(result.stderr), 200)


if __name__ == "__main__":
    cli_case.main(__name__, [Streams, Targets, Numbers])
