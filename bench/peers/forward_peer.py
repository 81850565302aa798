"""Forward passes of telos and of Hugging Face transformers on PyTorch, interleaved in one run.

    python bench/peers/forward_peer.py BENCH_FORWARD [--minilm MODEL_DIR] [--gpt2] [--threads 2] [--rounds 15]

BENCH_FORWARD is the binary of bench/model. Both sides record all hidden states and all attention matrices, in float32,
with the same number of threads; PyTorch runs the eager attention, as only that one returns attention matrices. A round
is a few passes of one side, then of the other; each side rests before the other starts, so that no idle thread of one
spins while the other is timed. Printed: medians over all passes, their ratio, GFLOP/s (multiplications and additions of
the products only, causal attention counted up to the diagonal) and the fraction of the measured peak of fused
multiply-adds. CPU time, summed over threads, is printed beside the wall time, because other work on the machine lengthens
it less; with one thread it is the better measure there.
"""

import argparse
import statistics
import subprocess
import tempfile
import time

import torch
import transformers

PASSES = 4


def ids_for(sequences, tokens, vocabulary):
    index = torch.arange(sequences * tokens, dtype=torch.long)
    return ((7919 * index + 13) % vocabulary).reshape(sequences, tokens)


class Torch:
    def __init__(self, model):
        self.model = model.eval()

    def time(self, sequences, tokens, passes):
        ids = ids_for(sequences, tokens, self.model.config.vocab_size)
        times = []
        with torch.inference_mode():
            for _ in range(passes):
                begin, cpu = time.perf_counter(), time.process_time()
                out = self.model(ids, output_hidden_states=True, output_attentions=True)
                times.append((1e3 * (time.perf_counter() - begin), 1e3 * (time.process_time() - cpu)))
                norm = out.last_hidden_state.double().norm().item()
        return times, norm


class Telos:
    def __init__(self, binary, path, threads):
        self.process = subprocess.Popen([binary, path, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.peak = float(self.process.stdout.readline()) * threads

    def time(self, sequences, tokens, passes):
        self.process.stdin.write(f"{sequences} {tokens} {passes}\n")
        self.process.stdin.flush()
        *times, norm = map(float, self.process.stdout.readline().split())
        return list(zip(times[::2], times[1::2])), norm

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def flops(config, sequences, tokens, causal):
    d, layers = config.hidden_size, config.num_hidden_layers
    inner = getattr(config, "intermediate_size", None) or 4 * d
    keys = (tokens + 1) / 2 if causal else tokens
    return 2 * sequences * tokens * layers * (4 * d * d + 2 * d * inner + 2 * keys * d)


def compare(name, model, binary, path, shapes, causal, arguments):
    ours, theirs = Telos(binary, path, arguments.threads), Torch(model)
    for sequences, tokens in shapes:
        (_, a), (_, b) = ours.time(sequences, tokens, 3), theirs.time(sequences, tokens, 3)
        if abs(a - b) > 1e-4 * b:
            raise SystemExit(f"{name}: the two sides disagree, norm {a} against {b}")
        samples = {ours: [], theirs: []}
        for _ in range(arguments.rounds):
            for side in (theirs, ours):
                time.sleep(0.05)
                samples[side] += side.time(sequences, tokens, PASSES)[0][1:]
        (mine, my_cpu), (other, its_cpu) = (
            [statistics.median(column) for column in zip(*samples[side])] for side in (ours, theirs))
        rate = flops(model.config, sequences, tokens, causal) / mine * 1e-6
        print(f"| {name} | {sequences} | {tokens} | {mine:.2f} | {other:.2f} | **{other / mine:.2f}** | {rate:.0f} | "
              f"{rate / ours.peak:.0%} | {my_cpu:.2f} | {its_cpu:.2f} | {its_cpu / my_cpu:.2f} |", flush=True)
    ours.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--minilm", help="directory of all-MiniLM-L6-v2")
    parser.add_argument("--gpt2", action="store_true", help="a random model of the shape of GPT-2 small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {arguments.threads} threads, "
          f"{arguments.rounds} rounds\n")
    print("| model | B | L | telos ms | torch ms | torch / telos | GFLOP/s | of FMA peak | telos CPU ms | torch CPU ms "
          "| torch / telos |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    if arguments.minilm:
        model = transformers.BertModel.from_pretrained(arguments.minilm, attn_implementation="eager",
                                                       add_pooling_layer=False, dtype=torch.float32)
        compare("MiniLM-L6", model, arguments.binary, arguments.minilm, [(1, 128), (8, 128)], False, arguments)
    if arguments.gpt2:
        model = transformers.GPT2Model(transformers.GPT2Config(attn_implementation="eager", use_cache=False))
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            compare("GPT-2 small shape", model, arguments.binary, folder, [(1, 256)], True, arguments)


if __name__ == "__main__":
    main()
