"""`telos symmetry kernel` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import struct

import cli_case
from cli_case import Case, run

KERNEL = ("symmetry", "kernel")


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


def read_npy(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<H", data[8:10])
    header = eval(data[10 : 10 + length])  # written by ourselves
    rows, cols = header["shape"]
    values = struct.unpack(f"<{rows * cols}{'f' if header['descr'] == '<f4' else 'd'}", data[10 + length :])
    return [values[i * cols : (i + 1) * cols] for i in range(rows)]


class SymmetryKernel(Case):
    def file(self, name, content):
        path = self.dir / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def pairs(self, *arguments):
        result = run(*KERNEL, *arguments, "-o", "csv", "--table", "pairs")
        self.assertEqual(result.returncode, 0, result.stderr)
        return {(int(row["row"]), int(row["column"])): float(row["k"]) for row in table(result)}

    def test_help_and_list(self):
        result = run(*KERNEL, "--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("Example", result.stdout)
        names = run(*KERNEL, "--list").stdout
        for name in ("simplified", "pre-ln-relu", "sqrt-softmax"):
            self.assertIn(name, names)
        self.assertIn("NTK", run("symmetry", "--definitions").stdout)

    def test_known_numbers(self):
        data = self.file("s.txt", "0 1 2\n2 1 1\n")
        self.assertAlmostEqual(self.pairs("--data", data)[0, 1], 0.459753365539803, delta=1e-12)
        ntk = self.pairs("--data", data, "--ntk")
        self.assertAlmostEqual(ntk[0, 1], 1.37016265565689, delta=1e-12)
        self.assertAlmostEqual(ntk[1, 1], 3.21285880911638, delta=1e-12)
        gelu = self.pairs("--data", data, "--arch", "pre-ln-gelu", "--data2", self.file("t.txt", "2 1 1\n"))
        self.assertAlmostEqual(gelu[0, 0], 0.423778313673224, delta=1e-12)
        mean = {"blocks": [{"attn": {"mask": "causal"}, "mlp": {"w2": 2, "b2": 0.1}}], "readout": "mean"}
        pairs = self.pairs("--data", data, "--arch", self.file("mean.json", mean))
        self.assertAlmostEqual(pairs[0, 1], 0.431851637662665, delta=1e-12)

    def test_single_precision(self):
        arguments = ("--arch", "deep", "--random", "20", "--length", "8", "--vocab", "4", "--pairs", "0")
        matrices = []
        for precision in ("f64", "f32"):
            path = self.dir / f"{precision}.npy"
            result = run(*KERNEL, *arguments, "--precision", precision, "--matrix", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            matrices.append(read_npy(path))
            self.assertEqual("NNGP kernel in f32" in result.stdout, precision == "f32")
        self.assertIn(b"<f4", (self.dir / "f32.npy").read_bytes()[:100])
        wide, single = ([x for row in m for x in row] for m in matrices)
        self.assertNotEqual(wide, single)
        for a, b in zip(wide, single):
            self.assertAlmostEqual(a, b, delta=1e-6)
        out = self.dir / "out"
        result = run(*KERNEL, *arguments, "--precision", "f32", "--ntk", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("NTK in f64, written in f32", result.stdout)
        self.assertIn("NTK", result.stderr)
        self.assertIn(b"<f4", (out / "gram.npy").read_bytes()[:100])
        self.assertEqual(run(*KERNEL, *arguments, "--precision", "f16").returncode, 2)

    def test_a_run_leaves_its_matrix(self):
        out = self.dir / "run"
        result = run(*KERNEL, "--random", "30", "--length", "6", "--vocab", "4", "--out", out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("stays the same when two contexts are permuted alike", report["verdict"]["sentence"])
        matrix = read_npy(out / "gram.npy")
        self.assertEqual((len(matrix), len(matrix[0])), (30, 30))
        self.assertEqual(matrix[3][7], matrix[7][3])
        for name in ("report.html", "run.json", "tables/entries.csv", "tables/symmetry.csv"):
            self.assertTrue((out / name).exists(), name)
        self.assertEqual(json.loads((out / "run.json").read_text())["architecture"]["name"], "pre-ln-relu")
        for threads in ("1", "3"):
            path = self.dir / f"k{threads}.npy"
            result = run(*KERNEL, "--random", "30", "--length", "6", "--vocab", "4", "--matrix", path, "--threads", threads)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(read_npy(path), matrix)

    def test_symmetry_breaking(self):
        arguments = ("--random", "40", "--length", "8", "--vocab", "4", "-o", "csv", "--table", "symmetry")
        both, one = (float(row["change"]) for row in table(run(*KERNEL, *arguments)))
        self.assertLess(both, 1e-20)
        self.assertGreater(one, 1e-8)
        arch = self.file("sin.json", {"embed": {"pos": "sin"}, "blocks": [{"attn": {}, "mlp": {"w2": 2}}]})
        both, one = (float(row["change"]) for row in table(run(*KERNEL, *arguments, "--arch", arch)))
        self.assertGreater(both, 1e-6)
        result = run(*KERNEL, "--random", "40", "--length", "8", "--arch", arch)
        self.assertIn("not permutation symmetric", result.stdout)
        blind = self.file("blind.json", {"embed": {"pos": "none"}, "blocks": [{"attn": {}}]})
        self.assertIn("ignores the order of the context", run(*KERNEL, "--random", "20", "--arch", blind).stdout)

    def test_monte_carlo(self):
        data = self.file("s.txt", "0 1\n1 1\n")
        arch = self.file("soft.json", {"blocks": [{"norm": "none", "residual": False, "attn": {"scale": "1/sqrt(d)"}}],
                                       "readout": "cls", "final_norm": False})
        result = run(*KERNEL, "--arch", arch, "--data", data, "--samples", "20000", "-o", "csv", "--table", "pairs")
        self.assertEqual(result.returncode, 0, result.stderr)
        row = table(result)[1]
        self.assertLess(abs(float(row["k"]) - 0.7640983067507), 4 * float(row["±"]))
        self.assertIn("Monte Carlo error", run(*KERNEL, "--arch", "sqrt-softmax", "--random", "9").stdout)

    def test_monte_carlo_in_deeper_layers(self):
        attention = {"attn": {"scale": "1/sqrt(d)"}, "mlp": {"w2": 2, "b2": 0.1}}
        arch = self.file("deep.json", {"blocks": [attention, attention], "readout": "mean"})
        data = self.file("s.txt", "0 1\n1 1\n")
        # By quadrature.
        for known, flags in (((0.728837992299, 0.643833317322), ()), ((3.206383118478, 2.437598393898), ("--ntk",))):
            result = run(*KERNEL, "--arch", arch, "--data", data, "--samples", "4000", "--pairs", "0", *flags, "-o", "csv", "--table", "pairs")
            self.assertEqual(result.returncode, 0, result.stderr)
            for row, k in zip(table(result), known):
                self.assertLess(abs(float(row["k"]) - k), 5 * float(row["±"]))
                self.assertGreater(float(row["±"]), 0)
        result = run(*KERNEL, "--arch", arch, "--data", data, "--pairs", "0", "-o", "json")
        self.assertIn("sampled together", result.stdout)

    def test_padding(self):
        trimmed = self.pairs("--data", self.file("t.txt", "0 1 2\n2 1\n"), "--arch", "deep", "--ntk")
        right = self.file("r.txt", "0 1 2 7\n2 1 7 7\n")
        self.assertEqual(self.pairs("--data", right, "--arch", "deep", "--ntk", "--pad", "7"), trimmed)
        self.assertNotEqual(self.pairs("--data", right, "--arch", "deep", "--ntk"), trimmed)
        arch = self.file("padded.json", {"blocks": [{"attn": {}}], "pad_token_id": 7})
        self.assertIn("padding 7", run(*KERNEL, "--data", right, "--arch", arch).stdout)
        left = self.file("l.txt", "7 0 1 2\n7 7 2 1\n")
        self.assertEqual(self.pairs("--data", left, "--arch", arch)[1, 0], self.pairs("--data", left, "--arch", arch)[0, 1])

    def test_padding_is_no_token_of_the_vocabulary(self):
        for name, data in (("s.txt", "0 1 2 7\n2 1 7 7\n"), ("c.csv", "0,1,2,7\n2,1,7,7\n")):
            result = run(*KERNEL, "--data", self.file(name, data), "--pad", "7", "--vocab", "3")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("V 3", run(*KERNEL, "--data", self.dir / name, "--pad", "7").stdout)
            self.assertEqual(run(*KERNEL, "--data", self.dir / name, "--data2", self.dir / name, "--pad", "7", "--vocab", "3").returncode, 0)
            self.assert_error(run(*KERNEL, "--data", self.dir / name, "--pad", "6", "--vocab", "3"), 3, "line 1", "0 to 2, found 7")

    def test_duplicates_are_named(self):
        result = run(*KERNEL, "--data", self.file("s.txt", "0 1 2\n0 1 2\n"), "-o", "json")
        self.assertIn("equal to an earlier one", result.stdout)

    def test_what_cannot_be_used(self):
        data = self.file("s.txt", "0 1 2\n2 1 1\n")
        self.assert_error(run(*KERNEL), 2, "--data or --random")
        self.assert_error(run(*KERNEL, "--data", self.dir / "none.txt"), 3, "none.txt")
        self.assert_error(run(*KERNEL, "--data", data, "--arch", "pre-ln-rely"), 2, "pre-ln-rely", "pre-ln-relu")
        self.assert_error(run(*KERNEL, "--data", data, "--arch", self.dir / "none.json"), 3, "none.json")
        self.assert_error(run(*KERNEL, "--data", data, "--vocab", "2"), 3, "s.txt, line 1", "0 to 1, found 2")
        self.assert_error(run(*KERNEL, "--data", self.file("e.txt", "1\n\n2\n")), 3, "e.txt, line 2", "empty")
        self.assert_error(run(*KERNEL, "--data", self.file("w.txt", "1 a\n")), 3, "w.txt, line 1", "\"a\"")
        self.assert_error(run(*KERNEL, "--data", self.file("z.txt", "")), 3, "z.txt", "no sequence")
        self.assert_error(run(*KERNEL, "--random", "0"), 2, "--data or --random")
        self.assert_error(run(*KERNEL, "--random", "3", "--length", "0"), 2, "--length", "found 0")
        self.assert_error(run(*KERNEL, "--random", "3", "--arch", "sqrt-softmax", "--samples", "1"), 2, "samples, found 1")
        self.assert_error(run(*KERNEL, "--random", "3", "--samples", "100"), 2, "--samples", "nothing in it is sampled")
        self.assert_error(run(*KERNEL, "--data", data, "--length", "5"), 2, "--length")
        bad = self.file("bad.json", {"blocks": [{"atn": {}}]})
        self.assert_error(run(*KERNEL, "--random", "3", "--arch", bad), 3, "bad.json, blocks[0]", "\"atn\"", "attn")
        rope = self.file("rope.json", {"blocks": [{"attn": {"scale": "1/sqrt(d)", "rope": {}}}]})
        self.assert_error(run(*KERNEL, "--random", "3", "--arch", rope), 3, "rotary", "relu attention")
        self.assert_error(run(*KERNEL, "--data", self.file("p.txt", "0 1\n7 7\n"), "--pad", "7"), 2, "sequence 1", "beside padding")
        self.assert_error(run(*KERNEL, "--random", "3", "--matrix", self.dir / "no" / "k.npy"), 3, "k.npy")
        self.assert_error(run(*KERNEL, "--random", "1000000", "--length", "2"), 3, "memory", "file")


if __name__ == "__main__":
    cli_case.main(__name__, [SymmetryKernel])
