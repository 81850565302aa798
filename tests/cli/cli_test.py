"""The command line as its user meets it: what it prints, where, and with which exit code.

Standard library only. Run by ctest, one test at a time:  cli_test.py TELOS-BINARY CASE   (no case: all; --list: names)
Models are the tiny golden ones of tests/golden/models, or written here byte by byte.
"""

import json
import signal
import struct
import subprocess
import time

import cli_case
from cli_case import MODELS, TEXT, Case, read_safetensors, run, write_safetensors


class Usage(Case):
    def test_version(self):
        result = run("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^telos \d+\.\d+\.\d+ \(")

    def test_every_help_ends_in_examples(self):
        for command in ([], ["diagnose"], ["inspect"], ["smoothing", "spectrum"], ["smoothing", "trace"],
                        ["smoothing", "simulate"], ["doctor"], ["completion"]):
            result = run(*command, "--help")
            self.assertEqual(result.returncode, 0, command)
            self.assertIn("Examples:\n  ", result.stdout, command)

    def test_no_command_unknown_command_and_bad_option_are_usage_errors(self):
        for arguments in ([], ["frobnicate"], ["diagnose"], ["diagnose", "x", "--threads", "0"], ["doctor", "-o", "xml"]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stdout, "", arguments)
            self.assertEqual(len(result.stderr.splitlines()), 2, result.stderr)
            command = arguments[0] if arguments[:1] in (["diagnose"], ["doctor"]) else ""
            self.assertRegex(result.stderr, rf"^telos: .*\n  → .*`telos ?{command} --help`")
        for arguments, nearest in ((["diagnoze"], "diagnose"), (["symmetry", "kernl"], "kernel"),
                                   (["doctor", "--thread", "2"], "--threads")):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(f"did you mean {nearest}?", result.stderr)

    def test_negative_counts_are_named_as_typed(self):
        for command in (["symmetry", "kernel", "--random", "-5"], ["bigram", "plan", "--n", "-3"],
                        ["bigram", "generate", "--n", "4", "--seed", "-1"]):
            result = run(*command)
            self.assertEqual(result.returncode, 2, command)
            self.assertIn(f"{command[-2]}: expected a number of at least 0, found {command[-1]}", result.stderr)

    def test_doctor_passes_its_self_test(self):
        result = run("doctor", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertNotIn("FAIL", json.dumps(json.loads(result.stdout)))

    def test_completion_scripts_complete(self):
        script = run("completion", "bash").stdout
        words = subprocess.run(
            ["bash", "-c", script + "\nCOMP_WORDS=(telos smoothing sp); COMP_CWORD=2; _telos; printf '%s\\n' \"${COMPREPLY[@]}\""],
            capture_output=True, text=True, cwd=self.dir)
        self.assertEqual(words.stdout.split(), ["spectrum"], words.stderr)
        self.assertIn("#compdef telos", run("completion", "zsh").stdout)
        self.assertEqual(run("completion", "fish").returncode, 2)


class Files(Case):
    """Input that cannot be used: one clear message, the right exit code, nothing written."""

    def test_missing_model(self):
        self.assert_error(run("diagnose", self.dir / "nowhere"), 3, "nowhere")

    def test_truncated(self):
        model = self.model("gpt2")
        file = model / "model.safetensors"
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        out = self.dir / "out"
        self.assert_error(run("diagnose", model, "--out", out), 3, "model.safetensors", "first tensor that is missing", "--partial")
        self.assertFalse(out.exists(), "a failed run leaves nothing")
        self.assertEqual(run("inspect", model, "--partial").returncode, 1)

    def test_header_rules(self):
        tensors = {"a": ("F32", [1], b"\0\0\0\0")}
        cases = {
            "empty": b"",
            "short": b"\x01\0\0",
            "huge header": struct.pack("<Q", 10**9) + b"{}",
            "header beyond the file": struct.pack("<Q", 500) + b"{}",
            "not JSON": struct.pack("<Q", 4) + b"nope",
            "duplicate": None,
            "hole": None,
        }
        write_safetensors(self.dir / "ok.safetensors", tensors)
        entry = '{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}'
        text = ('{"a":' + entry % (0, 4) + ',"a":' + entry % (0, 4) + "}").encode()
        cases["duplicate"] = struct.pack("<Q", len(text)) + text + b"\0" * 4
        text = ('{"a":' + entry % (4, 8) + "}").encode()
        cases["hole"] = struct.pack("<Q", len(text)) + text + b"\0" * 8
        for name, data in cases.items():
            path = self.dir / "bad.safetensors"
            path.write_bytes(data)
            with self.subTest(name):
                self.assert_error(run("inspect", path), 3, "bad.safetensors")

    def test_pickle_is_refused_with_the_conversion(self):
        path = self.dir / "pytorch_model.bin"
        path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
        self.assert_error(run("diagnose", path), 3, "pickle", "safetensors")
        self.assert_error(run("diagnose", self.dir), 3, "pickle", "safetensors")

    def test_git_lfs_pointer(self):
        path = self.dir / "model.safetensors"
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n")
        self.assert_error(run("diagnose", path), 3, "LFS")

    def test_unknown_family_lists_candidates_and_a_template(self):
        path = self.dir / "odd.safetensors"
        write_safetensors(path, {"blob.0.w": ("F32", [2, 2], b"\0" * 16)})
        self.assert_error(run("diagnose", path), 3, "blob.{layer}.w", "[2, 2]", "--map")

    def test_shape_errors_name_the_equation(self):
        def cut(tensors):
            name = "model.layers.0.self_attn.v_proj.weight"
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, [shape[0] - 1, shape[1]], data[: 4 * (shape[0] - 1) * shape[1]])

        self.assert_error(run("diagnose", self.model("llama", cut)), 3, "v_proj", "expected", "found")

    def test_heads_that_do_not_divide(self):
        result = run("diagnose", self.model("bert", config={"num_attention_heads": 7}))
        self.assertIn(result.returncode, (2, 3), result.stderr)
        self.assertIn("7", result.stderr)

    def test_text_problems(self):
        model = self.tokenized("bert")
        empty = self.dir / "empty.txt"
        empty.write_text("")
        self.assert_error(run("diagnose", model, "--text", empty), 3, "empty.txt: it holds no token")
        self.assert_error(run("diagnose", model, "--text", self.dir / "none.txt"), 3, "none.txt")
        binary = self.dir / "binary.txt"
        binary.write_bytes(b"abc\xff\xfe\x00")
        self.assert_error(run("diagnose", model, "--text", binary), 3, "UTF-8")

    HEADS = (("bigram", "heads"), ("positional", "heads"), ("clustering", "heads"))

    def trace(self, row, mask=(1, 1, 1, 1)):
        """Two sequences of four tokens whose rows of attention are all `row`; `mask` is the second's."""
        path = self.dir / "trace.safetensors"
        floats = lambda values: struct.pack(f"<{len(values)}f", *values)
        hidden = ("F32", [2, 4, 2], floats([0.5 * i for i in range(16)]))
        write_safetensors(path, {"hidden.0": hidden, "hidden.1": hidden, "attn.0": ("F32", [2, 1, 4, 4], floats(row * 8)),
                                 "mask": ("U8", [2, 4], bytes((1, 1, 1, 1, *mask)))})
        return path

    def test_traces_that_no_softmax_leaves(self):
        every = (*self.HEADS, ("smoothing", "trace"), ("diagnose",))
        for command in every:
            for row, words in ((([3.0, -7.0, 12.0, 1.0]), "-7.0"), ([-1.0, 2.0, 0.0, 0.0], "negative"), ([0.3] * 4, "sum of 1, found 1.2")):
                self.assert_error(run(*command, self.trace(row)), 3, "trace.safetensors: attn.0", "sequence 0, head 0, row 0", words)
            self.assert_error(run(*command, self.trace([0.25] * 4, mask=(0, 0, 0, 0))), 3, "mask: sequence 1 has no real token")
            self.assertEqual(run(*command, self.trace([0.25] * 4)).returncode, 0, command)

    def test_options_mean_nothing_beside_a_trace(self):
        ids = self.dir / "ids.txt"
        ids.write_text("1 2 3 4 5 6 7 8")
        path = self.trace([0.25] * 4)
        for option in (("--ids", ids), ("--heads", "3"), ("--family", "gpt2")):
            for command in (("diagnose",), *self.HEADS):
                self.assert_error(run(*command, path, *option), 2, f"{option[0]}: a recorded trace has no use for it")
        self.assert_error(run("diagnose", path, "--acts", path), 2, "--acts: a recorded trace has no use for it")
        for option in (("--window", "8"), ("--max-windows", "8"), ("--tokenizer", ids)):
            self.assert_error(run("diagnose", MODELS / "gpt2", *option), 2, f"{option[0]}: there is no text")
        self.assert_error(run("diagnose", MODELS / "gpt2", "--centre"), 2, "--centre: there is no text")
        self.assert_error(run("inspect", path, "--heads", "3"), 2, "--heads: a recorded trace has no use for it")
        self.assert_error(run("diagnose", MODELS / "gpt2", "--acts", path), 3, "the trace has", "the checkpoint")

    def test_what_stands_alone(self):
        for group in ("smoothing", "positional", "clustering", "bigram", "symmetry"):
            command = {"smoothing": "spectrum", "positional": "tasks", "clustering": "run", "bigram": "plan", "symmetry": "irreps"}[group]
            required = ("x.safetensors",) if group == "smoothing" else ()
            self.assert_error(run(group, "--definitions", command, *required), 2, "--definitions", command)
        for arguments in (("--list", "t1"), ("--example", "--seed", "1"), ("t1", "--show", "--out", self.dir / "x"), ("--example", "-o", "csv")):
            self.assert_error(run("smoothing", "simulate", *arguments), 2, "--")

    def test_equal_tokens_have_no_trend(self):
        ids = self.dir / "ids.txt"
        ids.write_text("5 " * 30)
        report = json.loads(run("diagnose", MODELS / "llama", "--ids", ids, "--window", "10", "-o", "json").stdout)
        self.assertIn("alike from the first layer", report["verdict"]["sentence"])
        self.assertNotIn("strongest", [key["label"] for key in report["keys"]])

    def test_a_result_without_a_place_is_refused_at_once(self):
        precious = self.dir / "precious"
        precious.mkdir()
        (precious / "thesis.tex").write_text("years of work")
        self.assert_error(run("diagnose", self.dir / "none", "--out", precious), 2, "precious")

    def test_inspect_promises_no_text_that_diagnose_refuses(self):
        self.assertIn("reads images", run("inspect", MODELS / "vit").stdout)
        odd = self.model("gpt2", config={"n_positions": 512})
        self.assertIn("a text cannot", run("inspect", odd).stdout)

    def test_unknown_tokens_are_counted(self):
        model = self.model("bert")
        (model / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]) + "\n")
        text = self.dir / "odd.txt"
        text.write_text("a b c xylem " * 40)
        report = json.loads(run("diagnose", model, "--text", text, "--window", "8", "-o", "json").stdout)
        self.assertTrue(any("25 % [UNK]" in fact["text"] for fact in report["facts"]), report["facts"])
        self.assertTrue(any("25 % of the text's tokens are [UNK]" in line for line in report["remarks"]), report["remarks"])

    def test_models_that_leave_the_numbers(self):
        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i % 40) for i in range(64)))
        name = "transformer.h.0.attn.c_attn.weight"
        for value, words in ((1e38, "after layer 0"), (float("nan"), name)):
            def spoil(tensors):
                dtype, shape, data = tensors[name]
                spoiled = len(data) // 4 if value == 1e38 else 1
                tensors[name] = (dtype, shape, struct.pack("<f", value) * spoiled + data[4 * spoiled :])

            model = self.model("gpt2", spoil)
            for command in (*self.HEADS, ("positional", "whatif"), ("symmetry", "measure")):
                self.assert_error(run(*command, model, "--ids", ids, "--window", "8"), 4, words)
            result = run("diagnose", model, "--ids", ids, "--window", "8")
            self.assertEqual(result.returncode, 1, result.stderr)
            for file in model.iterdir():
                file.unlink()
            model.rmdir()

    def test_ids_that_are_none_of_the_model(self):
        ids = self.dir / "ids.txt"
        ids.write_text("")
        self.assert_error(run("diagnose", MODELS / "gpt2", "--ids", ids), 3, "ids.txt: it holds no token")
        ids.write_text("1 2 3 4000 5 6 7 8")
        self.assert_error(run("diagnose", MODELS / "gpt2", "--ids", ids), 3, "token id 4000")

    def test_a_config_of_another_model(self):
        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i % 40) for i in range(64)))
        model = self.model("gpt2", config={"n_positions": 1000, "vocab_size": 30, "n_inner": 96})
        shown = run("inspect", model)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        for said in ("says 1000 positions, transformer.wpe.weight is [16, 24]", "says 30 tokens", "says 96 hidden units"):
            self.assertIn(said, shown.stdout)
        self.assert_error(run("positional", "heads", model, "--ids", ids, "--window", "8"), 3, "1000 positions")

    def test_seeds_are_for_random_systems(self):
        for option in (("--seeds", "5"), ("--seed", "0")):
            self.assert_error(run("smoothing", "simulate", "t1", *option), 2, f"{option[0]}: t1 is not a random system")
        seed = lambda n: json.loads(run("smoothing", "simulate", "pre-sharp", "--seed", n, "--show").stdout)
        self.assertEqual(str(seed(0)).replace("'seed': 0", "'seed': 7"), str(seed(7)))

    def test_empty_values_are_not_taken_for_none(self):
        for arguments in (("positional", "compile", "sort", "--n", "4", "--network", ""), ("positional", "compile", "sort", "--save", ""),
                          ("symmetry", "irreps", "--partition", ""), ("doctor", "--out", ""), ("clustering", "run", "--demo", "")):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn("found an empty one", result.stderr)

    def tokenized(self, family):
        model = self.model(family)
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,'", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz")]
        size = json.loads((model / "config.json").read_text())["vocab_size"]
        (model / "vocab.txt").write_text("\n".join(vocabulary[:size]) + "\n")
        return model


class Diagnose(Case):
    tokenized = Files.tokenized

    def test_weights_only_is_a_tendency(self):
        result = run("diagnose", self.model("gpt2"), "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("tendency", json.dumps(report["verdict"]))

    def test_report_folder_is_complete(self):
        out = self.dir / "out"
        result = run("diagnose", self.tokenized("bert"), "--text", TEXT, "--window", "16", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("report.html", "report.json", "run.json"):
            self.assertGreater((out / name).stat().st_size, 100, name)
        self.assertLess((out / "report.html").stat().st_size, 2_000_000)
        self.assertTrue(list((out / "tables").glob("*.csv")))
        self.assertTrue(list((out / "figures").glob("*.vl.json")))
        self.assertEqual([p for p in out.rglob("*") if "tmp" in p.name], [])
        self.assertIn("report.html", result.stdout)
        again = run("diagnose", self.model("gpt2"), "--out", out)
        self.assertEqual(again.returncode, 0, "an earlier run's folder may be used again: " + again.stderr)

    def test_clusters_are_a_part_of_it(self):
        model = self.tokenized("bert")
        report = json.loads(run("diagnose", model, "--text", TEXT, "--window", "16", "-o", "json").stdout)
        (section,) = [s for s in report["sections"] if s["id"] == "cluster-clusters"]
        tables = {t["id"]: t for t in section["tables"]}
        self.assertEqual(sorted(tables), ["cluster-agreement", "cluster-followed", "cluster-heads", "cluster-layers", "cluster-stream"])
        self.assertIn("same token", [row[0] for row in tables["cluster-agreement"]["rows"]], "the text's tokens have names")
        self.assertIn("cosine clusters", [d["term"] for d in report["definitions"]])
        self.assertIn("clusters", [k["label"] for k in report["keys"]])
        shown = run("diagnose", model, "--text", TEXT, "--window", "16").stdout
        self.assertNotIn("same token", shown, "the terminal keeps to one screen")

    def test_formats_agree(self):
        model = self.model("gpt2")
        data = json.loads(run("smoothing", "spectrum", model, "-o", "json").stdout)
        csv = run("smoothing", "spectrum", model, "-o", "csv").stdout.splitlines()
        self.assertGreater(len(csv), 2)
        self.assertIn("|---", run("smoothing", "spectrum", model, "-o", "md").stdout.replace(" ", "").replace(":", ""))
        self.assertTrue(data)

    def test_same_bytes_for_any_number_of_threads(self):
        model = self.tokenized("bert")
        outputs = []
        for threads in (1, 2, 7):
            result = run("diagnose", model, "--text", TEXT, "--window", "16", "-o", "json", "--threads", threads)
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            for volatile in ("provenance", "facts"):
                report.pop(volatile, None)
            outputs.append(json.dumps(report))
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(outputs[0], outputs[2])

    def test_nan_head_is_named_and_the_rest_goes_on(self):
        def spoil(tensors):
            name = "model.layers.1.self_attn.v_proj.weight"
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, shape, data[:8] + struct.pack("<f", float("nan")) + data[12:])

        model = self.model("llama", spoil)  # 2 layers of 4 heads, two to a value head; element 2 is in value head 0
        result = run("diagnose", model, "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.check_nan_report(json.loads(result.stdout))

        # With a text: its forward pass cannot be made, the weights are diagnosed all the same.
        result = run("diagnose", model, "--ids", self.ids(), "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        report = json.loads(result.stdout)
        self.check_nan_report(report)
        (line,) = [line for line in report["not_measured"] if line.startswith("the text: ")]
        self.assertIn("layers.1.self_attn.v_proj.weight: 1 NaN", line)
        self.assertIn("without it", line)

        out = self.dir / "out"
        self.assertEqual(run("diagnose", model, "--out", out).returncode, 1)
        self.assertIn("head 1.1", (out / "report.html").read_text())

    def test_nan_outside_attention_costs_the_text_only(self):
        def spoil(tensors):
            name = "model.layers.0.mlp.up_proj.weight"
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, shape, struct.pack("<f", float("inf")) + data[4:])

        result = run("diagnose", self.model("llama", spoil), "--ids", self.ids(), "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("mlp.up_proj.weight: 0 NaN and 1 infinite", json.dumps(report["not_measured"]))
        self.assertNotIn("invalid", [head["tendency"] for head in self.heads(report).values()])

    def test_every_head_nan_is_an_error(self):
        def spoil(tensors):
            for name in [n for n in tensors if "o_proj.weight" in n]:
                dtype, shape, data = tensors[name]
                tensors[name] = (dtype, shape, struct.pack("<f", float("nan")) * (len(data) // 4))

        self.assert_error(run("diagnose", self.model("llama", spoil), "-o", "json"), 3, "none of its attention heads", "NaN", "damaged")

    def ids(self):
        path = self.dir / "ids.txt"
        path.write_text(" ".join(str(i * 7 % 40) for i in range(24)))
        return path

    def heads(self, report):
        """Rows of the table of heads, as dictionaries, by the head's name."""
        (table,) = [t for section in report["sections"] for t in section["tables"] if t["id"] == "heads"]
        names = [column["name"] for column in table["columns"]]
        rows = [dict(zip(names, row)) for row in table["rows"]]
        return {row["head"]: row for row in rows}

    def check_nan_report(self, report):
        self.assertTrue(report["verdict"])
        heads = self.heads(report)
        self.assertEqual(sorted(heads), [f"{layer}.{head}" for layer in (0, 1) for head in range(4)])
        for name, head in heads.items():
            if name in ("1.0", "1.1"):
                self.assertEqual(head["tendency"], "invalid", name)
                self.assertIn("NaN", head["note"])
                self.assertIsNone(head["ρ"])
            else:
                self.assertNotEqual(head["tendency"], "invalid", name)
                for column in ("ρ", "max Re", "σ_1", "trace", "henrici"):
                    self.assertIsInstance(head[column], (int, float), f"{name} {column}")
        named = [line for line in report["not_measured"] if line.startswith("layer 1: ")]
        self.assertEqual(len(named), 1, report["not_measured"])
        self.assertIn("v_proj.weight: 1 NaN and 0 infinite values, the first at element 2", named[0])
        self.assertTrue([line for line in report["not_measured"] if line.startswith("layer 1, sum of heads: ")])

    def test_forward_pass_that_overflows_leaves_the_weights(self):
        def enlarge(tensors):
            name = next(n for n in tensors if n.endswith("h.0.mlp.c_fc.weight"))
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, shape, struct.pack("<f", 3e38) * (len(data) // 4))

        ids = self.dir / "ids.txt"
        ids.write_text(" ".join(str(i % 30) for i in range(40)))
        result = run("diagnose", self.model("gpt2", enlarge), "--ids", ids, "--window", "8", "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("tendency", report["verdict"]["basis"])
        self.assertIn("range of float", json.dumps(report["not_measured"]))

    def test_recorded_activations_with_a_model_that_has_a_nan(self):
        def spoil(tensors):
            name = next(n for n in tensors if n.endswith("layer.0.attention.self.value.weight"))
            dtype, shape, data = tensors[name]
            tensors[name] = (dtype, shape, struct.pack("<f", float("nan")) + data[4:])

        expected = read_safetensors(MODELS / "bert" / "expected.safetensors")
        acts = self.dir / "acts.safetensors"
        write_safetensors(acts, {n: t for n, t in expected.items() if n.startswith(("hidden.", "attn."))})
        result = run("diagnose", self.model("bert", spoil), "--acts", acts, "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        report = json.loads(result.stdout)
        self.assertIn("measured", report["verdict"]["basis"])
        self.assertIn("head 0.0", json.dumps(report["not_measured"]))

    def test_activations_behind_the_final_norm_are_refused(self):
        for name in ("gpt2", "llama"):
            expected = read_safetensors(MODELS / name / "expected.safetensors")
            trace = {n: t for n, t in expected.items() if n.startswith(("hidden.", "attn."))}
            acts = self.dir / f"{name}.safetensors"
            write_safetensors(acts, trace)
            self.assertEqual(run("diagnose", MODELS / name, "--acts", acts).returncode, 0)
            last = max(trace, key=lambda n: int(n.split(".")[1]) if n.startswith("hidden.") else -1)
            write_safetensors(acts, {**trace, last: expected["final_hidden"]})
            self.assert_error(run("diagnose", MODELS / name, "--acts", acts), 3, last, "final norm", "last block")

    def test_zero_head_is_near_null(self):
        def zero(tensors):
            name = "model.layers.0.self_attn.v_proj.weight"
            dtype, shape, data = tensors[name]
            half = shape[0] // 2 * shape[1] * 4  # the first of two key/value heads
            tensors[name] = (dtype, shape, b"\0" * half + data[half:])

        result = run("smoothing", "spectrum", self.model("llama", zero), "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.count("near-null"), 2, result.stdout)

    def test_quantised_layer_is_skipped_with_its_scheme(self):
        def quantise(tensors):
            name = "model.layers.0.self_attn.v_proj.weight"
            dtype, shape, data = tensors.pop(name)
            tensors["model.layers.0.self_attn.v_proj.qweight"] = ("I32", [shape[1] // 8, shape[0]], b"\0" * (shape[1] // 8 * shape[0] * 4))

        result = run("diagnose", self.model("llama", quantise), "-o", "json")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("GPTQ", result.stdout)

    def test_everything_quantised_is_an_error_and_not_an_empty_table(self):
        def quantise(tensors):
            for name in [n for n in tensors if "v_proj.weight" in n or "o_proj.weight" in n]:
                dtype, shape, data = tensors[name]
                tensors[name] = ("U8", shape, b"\0" * (shape[0] * shape[1]))

        result = run("smoothing", "spectrum", self.model("llama", quantise))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("v_proj", result.stderr + result.stdout)

    def test_shared_layers_are_read_once(self):
        result = run("smoothing", "spectrum", self.model("albert"), "-o", "csv")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("×", run("smoothing", "spectrum", MODELS / "albert").stdout)

    def test_window_longer_than_the_context(self):
        self.assert_error(run("diagnose", self.tokenized("bert"), "--text", TEXT, "--window", "100000"), 3, "100000")

    def test_interrupt_leaves_no_half_written_report(self):
        out = self.dir / "out"
        process = subprocess.Popen([cli_case.TELOS, "diagnose", str(self.tokenized("bert")), "--text", str(TEXT), "--window", "16",
                                    "--max-windows", "500", "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 130, -signal.SIGINT))  # the last: before telos had its handler
        self.assertEqual((out / "run.json").exists(), process.returncode == 0, "run.json says that a run is complete")
        if out.exists():
            for file in out.rglob("*"):
                if file.suffix == ".html":
                    self.assertIn("</html>", file.read_text(encoding="utf-8")[-50:])
                if file.suffix == ".json":
                    json.loads(file.read_text(encoding="utf-8"))

    def test_killed_at_random_moments_files_are_whole(self):
        model = self.tokenized("bert")
        for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
            out = self.dir / f"out{delay}"
            process = subprocess.Popen([cli_case.TELOS, "diagnose", str(model), "--text", str(TEXT), "--window", "16", "--out", str(out)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.kill()
            process.wait(timeout=60)
            if not out.exists():
                continue
            for file in out.rglob("*"):
                if file.name == "report.html":
                    self.assertIn("</html>", file.read_text(encoding="utf-8")[-50:])
                if file.name in ("report.json", "run.json"):
                    json.loads(file.read_text(encoding="utf-8"))

    def test_out_directory_with_foreign_files_is_left_alone(self):
        out = self.dir / "precious"
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
        self.assert_error(run("diagnose", self.model("gpt2"), "--out", out), 2, "precious")
        self.assertEqual([p.name for p in out.iterdir()], ["thesis.tex"])

    def test_closed_pipe_is_not_a_crash(self):
        result = subprocess.run(["bash", "-c", f"'{cli_case.TELOS}' diagnose '{self.model('gpt2')}' | true; echo ${{PIPESTATUS[0]}}"],
                                capture_output=True, text=True, timeout=60)
        self.assertIn(result.stdout.strip(), ("0", "3"), result.stderr)

    def test_hostile_tensor_names_do_not_reach_the_terminal(self):
        path = self.dir / "odd.safetensors"
        write_safetensors(path, {"evil\u001b[31mname": ("F32", [2, 2], b"\0" * 16)})
        for command in ("diagnose", "inspect"):
            result = run(command, path)
            self.assertNotIn("\x1b", result.stdout + result.stderr)


class Smoothing(Case):
    def test_trace_that_another_framework_wrote(self):
        expected = read_safetensors(MODELS / "bert" / "expected.safetensors")
        hidden = sorted(n for n in expected if n.startswith("hidden."))
        if not hidden:
            self.skipTest("the golden file names its hidden states otherwise")
        trace = {n: expected[n] for n in expected if n.startswith(("hidden.", "attn."))}
        path = self.dir / "acts.safetensors"
        write_safetensors(path, trace)
        result = run("smoothing", "trace", path, "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(run("diagnose", path, "-o", "json").returncode, 0)
        both = run("diagnose", MODELS / "bert", "--acts", path, "-o", "json")
        self.assertEqual(both.returncode, 0, both.stderr)
        self.assertIn("gains", both.stdout, "with the model's weights, heads' contributions follow")
        ids = self.dir / "ids.txt"
        ids.write_text("[1, 2,\n3, four]")
        self.assert_error(run("diagnose", MODELS / "bert", "--ids", ids), 3, "line 2", "four")

    def test_a_trace_where_a_model_is_needed_is_named(self):
        path = self.dir / "acts.safetensors"
        write_safetensors(path, {f"hidden.{i}": ("F32", [2, 2], bytes(16)) for i in range(2)})
        for command in (("smoothing", "spectrum"), ("symmetry", "measure"), ("positional", "whatif")):
            self.assert_error(run(*command, path), 3, "acts.safetensors", "recorded trace", "hidden.0", "smoothing trace")
            help_text = run(*command, "--help").stdout
            self.assertNotIn("or a recorded trace", help_text, command)
            self.assertNotIn("--acts", help_text, command)
            self.assertNotIn("--centre", help_text, command)

    def test_simulate_presets_and_files(self):
        result = run("smoothing", "simulate", "t1", "-o", "json")
        self.assertEqual(result.returncode, 0, result.stderr)
        system = self.dir / "system.json"
        system.write_text("{\"A\": [[1, 2], [3]]}")
        self.assert_error(run("smoothing", "simulate", system), 3, "system.json")
        self.assert_error(run("smoothing", "simulate", self.dir / "none.json"), 3, "none.json")

    def test_definitions(self):
        result = run("smoothing", "--definitions")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("mean cosine", result.stdout)


if __name__ == "__main__":
    cli_case.main(__name__, (Usage, Files, Diagnose, Smoothing))
