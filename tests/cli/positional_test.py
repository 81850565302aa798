"""`telos positional` as its user meets it. Run like cli_test.py."""

import csv
import io
import json
import signal
import subprocess
import time
import unittest

import cli_case
from cli_case import MODELS, SLOW, Case, run

MINIMUM = """\
# cumulative minimum
input x
state least = x
output least
repeat r < log2(n)
  round
    recv left from i - 2**r else i
    least = min(least, left.least)
  end
end
"""


def table(result):
    return list(csv.DictReader(io.StringIO(result.stdout)))


class PositionalBasics(Case):
    def test_every_help_ends_in_examples(self):
        for command in ([], ["tasks"], ["train"], ["eval"], ["compile"], ["execute"], ["convert"], ["capacity"], ["heads"],
                        ["whatif"], ["studies"], ["bench"]):
            result = run("positional", *command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertIn("Examples:\n  ", result.stdout, command)

    def test_tasks_and_definitions(self):
        names = [row["task"] for row in table(run("positional", "tasks", "-o", "csv", "--table", "tasks"))]
        for task in ("sum", "min", "max", "median", "sort", "maxsub", "khop"):
            self.assertIn(task, names)
        self.assertIn("growth", run("positional", "--definitions").stdout)
        models = {row["model"]: row for row in table(run("positional", "tasks", "-o", "csv", "--table", "models"))}
        self.assertEqual(len({(m["input"], m["queries and keys"], m["remark"]) for m in models.values()}), len(models))
        self.assertEqual((models["standard"]["input"], models["standard"]["queries and keys"]), ("x ‖ P", "X"))
        self.assertIn("the same as positional", run("positional", "tasks").stdout)

    def test_bench_times_steps_and_explains_plans(self):
        result = run("positional", "bench", "--width", "8", "--hidden", "8", "--batch", "20", "--seconds", "0", "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = table(result)
        self.assertEqual([row["model"] for row in rows], ["positional", "standard"])
        for row in rows:
            self.assertGreater(float(row["steps/s"]), 0)
        plans = table(run("positional", "bench", "--seconds", "0", "--batch", "20", "-o", "csv", "--table", "plans"))
        self.assertEqual(sum(row["chosen"] == "yes" for row in plans), 8)
        self.assert_error(run("positional", "bench", "--heads", "3"), 2, "3")

    def test_studies_hold(self):
        rows = table(run("positional", "studies", "-o", "csv", "--table", "studies"))
        self.assertEqual(len(rows), 9)
        self.assertEqual({row["holds"] for row in rows}, {"yes"})
        self.assert_error(run("positional", "studies", "performr"), 2, "performer")


class PositionalTrain(Case):
    TINY = ("positional", "train", "--experiment", "quick", "--n", "4", "--width", "8", "--hidden", "8", "--samples", "500",
            "--test-samples", "100", "--batch", "100")

    @unittest.skipIf(SLOW, "trains for minutes; the smaller trainings run the same code")
    def test_positional_carries_further_than_standard(self):
        out = self.dir / "run"
        result = run("positional", "train", "--experiment", "quick", "--task", "min", "--model", "positional,standard", "--out",
                     out, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("times less than standard", report["verdict"]["sentence"])
        self.assertTrue((out / "report.html").exists() and (out / "run.json").exists())
        models = sorted(out.glob("runs/*/run-00/model.safetensors"))
        self.assertEqual(len(models), 2)
        mse = []
        for model in models:
            evaluated = run("positional", "eval", model, "--task", "min", "--scales", "1,10", "-o", "csv")
            self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
            mse.append([float(row["mse"]) for row in table(evaluated)])
        self.assertLess(mse[0][1] * 3, mse[1][1], "the saved models do what the report says")
        capacity = run("positional", "capacity", *models, "-o", "csv")
        self.assertEqual(capacity.returncode, 0, capacity.stderr)
        product = [float(row["log10 ΠΛ"]) for row in table(capacity)]
        self.assertLess(product[0], product[1])

    def test_same_numbers_for_any_number_of_threads(self):
        outputs = {run(*self.TINY, "--epochs", "3", "--threads", t, "-o", "csv", "--table", "errors").stdout for t in (1, 2, 7)}
        self.assertEqual(len(outputs), 1)
        self.assertGreater(len(outputs.pop()), 100)

    def test_interrupted_and_resumed_is_the_same_run(self):
        whole, cut = self.dir / "whole", self.dir / "cut"
        arguments = (*self.TINY, "--epochs", "300", "--evaluate-every", "100", "--runs", "1")
        expected = run(*arguments, "--out", whole, "-o", "csv", "--table", "errors")
        self.assertEqual(expected.returncode, 0, expected.stderr)
        process = subprocess.Popen([cli_case.TELOS, *map(str, arguments), "--out", str(cut)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 130, -signal.SIGINT))  # the last: before telos had its handler
        resumed = run(*arguments, "--out", cut, "--resume", "-o", "csv", "--table", "errors")
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertEqual(resumed.stdout, expected.stdout)
        weights = [next(f.glob("runs/*/run-00/model.safetensors")).read_bytes() for f in (whole, cut)]
        self.assertEqual(*weights)

    def test_whoever_interrupts_is_told_how_it_goes_on(self):
        for out, word in ((["--out", self.dir / "run"], "--resume"), ([], "--out DIR")):
            arguments = (*self.TINY, "--epochs", "1000000", "--runs", "1", *out)
            process = subprocess.Popen([cli_case.TELOS, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True, encoding="utf-8")
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=60)
            self.assertEqual((process.returncode, stdout), (130, ""), stderr)
            self.assertIn(word, stderr)

    def test_limits_on_time_are_part_of_the_basis(self):
        result = run(*self.TINY, "--epochs", "1000000", "--runs", "1", "--max-seconds", "0.2", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1 of 1 stopped by a limit", json.loads(result.stdout)["verdict"]["basis"])

    def test_divergence_is_not_success(self):
        result = run(*self.TINY, "--epochs", "20", "--rate", "1e30", "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual(report["verdict"]["sentence"], "No run finished: training diverged.")
        self.assertFalse(report["complete"])

    def test_a_spec_comes_back_as_it_was_shown(self):
        spec = self.dir / "spec.json"
        shown = run(*self.TINY, "--task", "max", "--epochs", "2", "--runs", "1", "--show")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        spec.write_text(shown.stdout)
        self.assertEqual(run("positional", "train", "--spec", spec, "--show").stdout, shown.stdout)
        for option in ("--task", "--model", "--experiment", "--params"):
            self.assertEqual(run("positional", "train", "--spec", spec, option, "min").returncode, 2, option)
        both = run(*self.TINY, "--model", "positional,standard", "--show")
        self.assertEqual(len(json.loads(both.stdout)), 2)
        spec.write_text(both.stdout)
        self.assertEqual(run("positional", "train", "--spec", spec, "--show").stdout, both.stdout)
        spec.write_text(both.stdout.replace("batch", "bacth"))
        self.assert_error(run("positional", "train", "--spec", spec), 3, "spec.json, spec 0", "bacth")

    def test_a_training_is_not_thrown_away_unasked(self):
        arguments = (*self.TINY, "--epochs", "2", "--runs", "1", "--out", self.dir / "run", "-o", "csv", "--table", "errors")
        first = run(*arguments)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assert_error(run(*arguments), 2, "--resume", "--restart")
        self.assertTrue((self.dir / "run" / "run.json").exists(), "it still holds a finished run")
        for how in ("--resume", "--restart"):
            again = run(*arguments, how)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(again.stdout, first.stdout)
        # Another training is no continuation of it, and leaves nothing of it behind when it starts anew.
        other = [word if word != "500" else "400" for word in arguments]
        self.assert_error(run(*other, "--resume"), 2, "00-min-n4-m500", "00-min-n4-m400")
        self.assertEqual(run(*other, "--restart").returncode, 0)
        self.assertEqual([p.name for p in (self.dir / "run" / "runs").iterdir() if p.is_dir()], ["00-min-n4-m400"])

    def test_expressions_have_commas(self):
        result = run(*self.TINY, "--task", "sum,scan(min(a,b))", "--epochs", "2", "--runs", "1", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["subject"], "sum, scan(min(a,b))")

    def test_a_model_is_evaluated_on_what_it_was_trained_on(self):
        out = self.dir / "run"
        result = run(*self.TINY, "--task", "minsum", "--epochs", "2", "--runs", "1", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        model = next(out.glob("runs/*/run-00/model.safetensors"))
        evaluated = run("positional", "eval", model, "--scales", "1,2", "-o", "csv", "--table", "scales")
        self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
        self.assertEqual(len(table(evaluated)), 2)
        standard = self.dir / "standard.safetensors"
        self.assertEqual(run("positional", "convert", model, "--save", standard).returncode, 0)
        converted = run("positional", "eval", standard, "--scales", "1,2", "-o", "csv", "--table", "scales")
        self.assertEqual(converted.returncode, 0, converted.stderr)
        compiled = self.dir / "min.safetensors"
        run("positional", "compile", "cummin", "--n", "4", "--save", compiled)
        self.assert_error(run("positional", "eval", compiled), 2, "--task")

    def test_nothing_twice_and_options_by_their_names(self):
        self.assert_error(run(*self.TINY, "--task", "min,max,min"), 2, "--task", "min")
        self.assert_error(run(*self.TINY, "--rate", "nan"), 2, "--rate")
        self.assert_error(run(*self.TINY, "--restart"), 2, "--restart", "--out")

    def test_blocks_of_hops_have_no_such_choice(self):
        self.assert_error(run("positional", "train", "--experiment", "khop", "--no-bias", "--show"), 2, "--no-bias", "k-hop")

    def test_published_parameter_file(self):
        params = self.dir / "params.json"
        values = {"n": 4, "num_train_samples": 200, "num_test_samples": 50, "num_additional_node": 1, "RoPE": False, "lr": 5e-4,
                  "batch_size": 100, "low_train": -2, "high_train": 2, "low_test": [-2, -4], "high_test": [2, 4],
                  "cumulative": True, "embed_dim": 8, "num_heads": 2, "mlp_hidden_dim": 8, "mlp_num_layers": 2, "epochs": 2,
                  "runs": 1, "weight_decay": 0, "variable_length": False, "pos_enc_type": "onehot"}
        params.write_text(json.dumps(values))
        result = run("positional", "train", "--params", params, "--task", "sum", "-o", "csv", "--table", "errors")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([float(row["c"]) for row in table(result)], [1, 2])
        params.write_text(json.dumps({**values, "RoPE": True}))
        self.assert_error(run("positional", "train", "--params", params), 3, "RoPE", "compat")
        params.write_text(json.dumps({**values, "embed_dims": 8}))
        self.assert_error(run("positional", "train", "--params", params), 3, "embed_dims", "embed_dim")
        params.write_text("{")
        self.assert_error(run("positional", "train", "--params", params), 3, "params.json")

    def test_data_file_and_expression(self):
        data = self.dir / "pairs.csv"
        data.write_text("".join(f"{a},{b},{a},{min(a, b)}\n" for a in range(6) for b in range(6)))
        result = run(*self.TINY[:3], "quick", "--task", data, "--epochs", "2", "--batch", "10", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        for option in (("--n", "2"), ("--scales", "1"), ("--integers",), ("--whole-list",)):
            self.assert_error(run("positional", "train", "--task", data, *option), 2, f"{option[0]}: ", "has no use for it")
        data.write_text("1,2,3,nan\n")
        self.assert_error(run("positional", "train", "--task", data), 4, "pairs.csv", "nan")
        result = run(*self.TINY, "--task", "prefix(max)", "--epochs", "2", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assert_error(run("positional", "train", "--task", "prefix(mx)"), 2, "prefix(mx)")

    def test_options_that_no_task_reads(self):
        for task, *option in (("khop", "--n", "9"), ("khop", "--scales", "1:3"), ("mixed-min", "--n", "9"), ("mixed-min", "--integers"),
                              ("sort", "--whole-list"), ("path", "--whole-list"), ("prefix(max)", "--whole-list")):
            arguments = ("--experiment", "khop") if task == "khop" else ("--task", task)
            self.assert_error(run("positional", "train", *arguments, *option, "--show"), 2, f"{option[0]}: {task} has no use for it")
        for task, *option in (("minsum", "--whole-list"), ("path", "--integers"), ("sort,min", "--whole-list"), ("mixed-min", "--scales", "1,2")):
            self.assertEqual(run("positional", "train", "--task", task, *option, "--show").returncode, 0)
        model = self.dir / "sort.safetensors"
        run("positional", "compile", "sort", "--n", "4", "--save", model)
        self.assert_error(run("positional", "eval", model, "--task", "sort", "--unseen"), 2, "--unseen: sort has no use for it")

    def test_bad_arguments(self):
        self.assert_error(run("positional", "train", "--task", "mim"), 2, "mim", "min")
        self.assert_error(run("positional", "train", "--model", "standart"), 2, "standart", "standard")
        self.assert_error(run("positional", "train", "--experiment", "scal"), 2, "scal", "scale")
        self.assert_error(run(*self.TINY, "--heads", "3"), 2, "3")
        self.assert_error(run(*self.TINY, "--scales", "1:x"), 2, "--scales")
        self.assert_error(run(*self.TINY, "--scales", "0.5"), 2, "0.5")
        self.assert_error(run(*self.TINY, "--resume"), 2, "--out")
        self.assert_error(run(*self.TINY, "--max-seconds", "inf"), 2, "--max-seconds")
        self.assert_error(run(*self.TINY, "--compat-rope-noop"), 2, "--params")
        self.assert_error(run("positional", "train", "--experiment", "khop", "--task", "sum,min"), 2, "khop alone")
        self.assert_error(run("positional", "train", "--experiment", "mixed", "--task", "sort"), 2, "min, max, sum or multi")
        precious = self.dir / "precious"
        precious.mkdir()
        (precious / "thesis.tex").write_text("years of work")
        self.assert_error(run(*self.TINY, "--out", precious), 2, "precious")
        self.assertEqual([p.name for p in precious.iterdir()], ["thesis.tex"])


class PositionalPrograms(Case):
    def program(self, text=MINIMUM, name="least.pco"):
        path = self.dir / name
        path.write_text(text)
        return path

    def data(self, values, name="x"):
        path = self.dir / "data.csv"
        path.write_text(name + "\n" + "\n".join(map(str, values)) + "\n")
        return path

    def test_ten_lines_run_on_a_csv_exactly(self):
        values = [7, -3, 5, -9, 2, 100000, -9, 4, -1000000, 3, 8]
        data = self.data(values)
        for arithmetic in ("f32", "f64", "exact"):
            result = run("positional", "execute", self.program(), data, "--n", len(values), "--arithmetic", arithmetic, "-o", "csv")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual([float(row["least"]) for row in table(result)],
                             [min(values[: i + 1]) for i in range(len(values))], arithmetic)

    def test_compile_proves_and_the_model_is_usable(self):
        model, standard = self.dir / "m.safetensors", self.dir / "s.safetensors"
        result = run("positional", "compile", self.program(), "--n", "8", "--save", model, "-o", "json", "--out", self.dir / "out")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("exactly", json.loads(result.stdout)["verdict"]["sentence"])
        self.assertTrue((self.dir / "out" / "report.html").exists())
        self.assertEqual(run("positional", "convert", model, "--save", standard, "-o", "json").returncode, 0)
        for path in (model, standard):
            evaluated = run("positional", "eval", path, "--task", "min", "--integers", "--scales", "1:3", "-o", "csv")
            self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
            self.assertEqual({float(row["mse"]) for row in table(evaluated)}, {0.0})
        row = self.dir / "row.csv"
        row.write_text("5,3,8,1,9,2,0,7\n")
        before = model.read_bytes()
        self.assert_error(run("positional", "convert", model, "--save", model), 2, "that the command reads")
        self.assertEqual(model.read_bytes(), before)
        bounds = table(run("positional", "capacity", model, standard, "-o", "csv"))
        self.assertEqual([(b["model"], b["kind"]) for b in bounds], [("m.safetensors", "positional"), ("s.safetensors", "standard")])
        outputs = [table(run("positional", "execute", path, row, "-o", "csv")) for path in (model, standard)]
        self.assertEqual([float(r["y"]) for r in outputs[0]], [5, 3, 3, 1, 1, 1, 0, 0])
        self.assertEqual(outputs[0], outputs[1])

    def test_wrong_program_lists_all_its_errors(self):
        wrong = self.program("input x\nstate least = y\noutput leest\nround\n  recv left from i +\n  least = mim(least, left.least)\n")
        result = run("positional", "compile", wrong, "--n", "4")
        self.assert_error(result, 3, "least.pco: 5 problems", "line 2, column 15", "line 3", "line 5", "line 6",
                          '    → did you mean "x"?', '    → did you mean "min"?')
        one = self.program("input x\nstate least = y\noutput least\n")
        self.assert_error(run("positional", "execute", one, self.data([1, 2]), "--n", "2"), 3, "least.pco: line 2", "\n  → did you mean")

    def test_builtins(self):
        for name in ("cumsum", "cummin", "cummax", "allreduce-min", "sort", "maxsub", "median", "benes"):
            result = run("positional", "compile", name, "--n", "4", "--proof", "50", "-o", "json")
            self.assertEqual(result.returncode, 0, name + result.stderr)
        values = [3, -1, 4, -1, -5, 9, -2, 6]
        result = run("positional", "execute", "sort", self.data(values), "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([float(list(row.values())[-1]) for row in table(result)], sorted(values))

    def test_printed_programs_compile_again(self):
        text = run("positional", "compile", "maxsub", "--n", "4", "--print")
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertEqual(run("positional", "compile", self.program(text.stdout, "maxsub.pco"), "-o", "json").returncode, 0)

    def test_bad_input(self):
        self.assert_error(run("positional", "compile", "cumin"), 2, "cumin", "cummin")
        self.assert_error(run("positional", "compile", "benes", "--n", "6"), 2, "6")
        self.assert_error(run("positional", "compile", self.dir / "none.pco"), 3, "none.pco")
        network = self.dir / "network.txt"
        network.write_text("(0,1)(2,3)")
        self.assert_error(run("positional", "compile", "sort", "--n", "4", "--network", network), 2, "sort")
        self.assert_error(run("positional", "compile", "sort", "--n", "4", "--network", "(0,1)(2,3)"), 2, "does not sort")
        sorting = "(0,2)(1,3)(0,1)(2,3)(1,2)"
        self.assertEqual(run("positional", "compile", "sort", "--n", "4", "--network", sorting, "-o", "json").returncode, 0)
        masked = self.program("n 2\ninput x\nbit keep\nbound 100\nstate v = x\noutput v\nround\n  v = select(keep, v, 0)\nend\n")
        self.assert_error(run("positional", "execute", masked, self.data(["5,1", "6,2"], "x,keep")), 3, "row 2", "keep", "0 or 1",
                          "found 2\n")
        self.assert_error(run("positional", "execute", masked, self.data(["500,1", "6,0"], "x,keep")), 2, "meets 500, ", "bound 100")
        self.assert_error(run("positional", "execute", masked, self.data([5, 6])), 3, "columns x, keep", "found 1 column (x)")
        self.assert_error(run("positional", "execute", "cummin", self.data(["5", "inf", "1", "2"]), "--n", "4"), 4, "inf")
        self.assert_error(run("positional", "execute", "cummin", self.data([5, 4, 1], "z"), "--n", "4"), 3, "x")
        self.assert_error(run("positional", "execute", "cummin", self.data([5, 4, 1]), "--n", "4"), 3, "4 rows")
        # Results that are no numbers, columns that mean nothing.
        for arithmetic in ("f64", "exact"):
            self.assert_error(run("positional", "execute", "cumsum", self.data(["1e300", "-1e300", "1e308", "1e308"]), "--n", "4",
                                  "--arithmetic", arithmetic), 4, "sample 0, node ", "range of the arithmetic")
        for names, words in (("x,x", "column 2, \"x\", is there twice"), ("x,z", "column 2, \"z\", is no input")):
            self.assert_error(run("positional", "execute", "cummin", self.data(["5,1", "4,2"], names), "--n", "2"), 3, words)
        network.write_text("")
        self.assert_error(run("positional", "compile", "sort", "--n", "4", "--network", network), 3, "network.txt: the file is empty")
        model = self.dir / "cummin.safetensors"
        self.assertEqual(run("positional", "compile", "cummin", "--n", "4", "--save", model).returncode, 0)
        self.assert_error(run("positional", "execute", model, self.data(["1,2,3,4"], "a,b,c,d"), "--n", "8"), 2, "--n: a model has no use")
        self.assert_error(run("positional", "execute", model, self.data(["1,2,3,4"], "a,b,c,d"), "--arithmetic", "exact"), 2, "--arithmetic")
        rounds = self.program("n 2\ninput x\nstate s = x\noutput s\n" + "round\n  s = s\nend\n" * 1700)
        self.assert_error(run("positional", "compile", rounds), 3, "1700 rounds", "8192")
        self.assert_error(run("positional", "eval", model, "--task", "min", "--tolerance", "nan"), 2, "tolerance is nan")
        self.assert_error(run("positional", "bench", "--seconds", "nan"), 2, "seconds")
        self.assert_error(run("positional", "eval", MODELS / "gpt2" / "model.safetensors", "--task", "min"), 3, "config.json",
                          "another kind of model", "whatif")


class PositionalHeads(Case):
    def ids(self, count=128):
        path = self.dir / "ids.txt"
        path.write_text(" ".join(str((7 * i * i + 3 * i) % 30) for i in range(count)))
        return path

    def test_heads_of_a_model(self):
        result = run("positional", "heads", MODELS / "gpt2", "--ids", self.ids(), "--window", "8", "-o", "csv", "--table", "heads")
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = table(result)
        self.assertTrue(rows)
        for row in rows:
            self.assertAlmostEqual(float(row["pair"]) + float(row["content"]), 1, places=9)
        self.assert_error(run("positional", "heads", MODELS / "gpt2"), 2, "--text")

    def test_whatif(self):
        arguments = ("positional", "whatif", MODELS / "gpt2", "--ids", self.ids(), "--window", "8", "-o", "json")
        named = run(*arguments, "--static", "0.0,1.1")
        self.assertEqual(named.returncode, 0, named.stderr)
        self.assertIn("2 of", json.loads(named.stdout)["verdict"]["sentence"])
        everything = run(*arguments, "--static-heads", "--threshold", "0")
        self.assertEqual(everything.returncode, 0, everything.stderr)
        self.assert_error(run(*arguments, "--static", "0.99"), 2, "0.99")
        self.assert_error(run(*arguments, "--static", "first"), 2, "first")
        self.assert_error(run(*arguments, "--acts", "acts.safetensors"), 2, "there is no option --acts")


if __name__ == "__main__":
    cli_case.main(__name__, (PositionalBasics, PositionalTrain, PositionalPrograms, PositionalHeads))
