"""`telos symmetry measure` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import random

import cli_case
from cli_case import Case, run

MEASURE = ("symmetry", "measure")


def without_positions(tensors):
    for name, (dtype, shape, data) in tensors.items():
        if "position_embeddings" in name:
            tensors[name] = (dtype, shape, bytes(len(data)))
    return tensors


class SymmetryMeasure(Case):
    def ids(self, count=640, vocabulary=30):
        draw = random.Random(5)
        path = self.dir / "ids.txt"
        path.write_text(" ".join(str(draw.randrange(vocabulary)) for _ in range(count)))
        return path

    def layers(self, model, *arguments):
        result = run(*MEASURE, model, "--ids", self.ids(), "--window", "16", "-o", "csv", "--table", "layers", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return list(csv.DictReader(io.StringIO(result.stdout)))

    def test_without_positions_order_is_nothing(self):
        plain = self.layers(self.model("bert", change=without_positions))[-1]
        self.assertAlmostEqual(float(plain["symmetric"]), 1, places=6)
        self.assertAlmostEqual(float(plain["pairs and beyond"]), 0, places=6)

    def test_positions_break_the_symmetry(self):
        rows = self.layers(self.model("bert"))
        self.assertEqual(rows[0]["state"], "embedding")
        self.assertEqual(float(rows[0]["stays"]), 1, "the last token's embedding knows nothing of the context")
        output = rows[-1]
        self.assertLess(float(output["symmetric"]), 0.999)
        parts = [float(output[part]) for part in ("stays", "any order", "place by place", "pairs and beyond")]
        self.assertAlmostEqual(sum(parts), 1, places=9)

    def test_a_causal_model_and_the_mean_over_tokens(self):
        last = self.layers(self.model("gpt2"))[-1]
        self.assertGreater(float(last["variance"]), 0)
        mean = self.layers(self.dir / "gpt2", "--read", "mean")[-1]
        self.assertEqual(float(mean["stays"]), 0, "no token keeps its place")

    def test_report_and_threads(self):
        model = self.model("llama")
        arguments = (*MEASURE, model, "--ids", self.ids(), "--window", "32", "-o", "json")
        one, two = (json.loads(run(*arguments, "--threads", n).stdout) for n in ("1", "2"))
        self.assertIn("ignores its order", one["verdict"]["sentence"])
        self.assertEqual(one["sections"], two["sections"])
        lengths = next(t for s in one["sections"] for t in s["tables"] if t["id"] == "lengths")
        self.assertEqual([row[0] for row in lengths["rows"]], [16, 32])
        out = run(*arguments[:-2], "--out", self.dir / "out")
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("order-kept", (self.dir / "out" / "report.html").read_text())

    def test_diagnose_tells_it_too(self):
        result = run("diagnose", self.model("llama"), "--ids", self.ids(), "--window", "32", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("order-section", [section["id"] for section in report["sections"]])
        (order,) = [key for key in report["keys"] if key["label"] == "ignores order"]
        self.assertIn("2 random orders", order["note"])
        few = run("diagnose", self.dir / "llama", "--ids", self.ids(count=70), "--window", "32", "-o", "json")
        self.assertEqual(few.returncode, 0, few.stderr)
        self.assertTrue(any("order" in line for line in json.loads(few.stdout)["not_measured"]))

    def test_what_cannot_be_measured(self):
        model = self.model("bert")
        self.assert_error(run(*MEASURE, model), 2, "--text")
        self.assert_error(run(*MEASURE, model, "--ids", self.ids(), "--read", "middle"), 2, "--read", "middle", "mean")
        self.assert_error(run(*MEASURE, model, "--ids", self.ids(), "--window", "4"), 2, "at least 4 tokens", "longer windows")
        self.assert_error(run(*MEASURE, model, "--ids", self.ids(count=20), "--window", "16"), 2, "--window: expected at least 4 windows")
        self.assert_error(run(*MEASURE, model, "--ids", self.ids(), "--max-windows", "3"), 2, "--max-windows: expected at least 4 windows")


if __name__ == "__main__":
    cli_case.main(__name__, [SymmetryMeasure])
