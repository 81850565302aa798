// From an architecture to the steps of its kernels.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "symmetry/kernel_samples.h"
#include "symmetry/kernel_strip.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

bool simple_positions(Positions p, double variance) {
  return variance == 0 || p == Positions::kNone || p == Positions::kIndependent;
}

bool random_softmax(const Step& step) {
  return step.kind == Step::Kind::kAttend && step.attention.map == AttentionMap::kSoftmax &&
         step.attention.scale == AttentionScale::kRoot;
}

std::vector<Step> steps_of(const Architecture& a) {
  std::vector<Step> steps;
  const auto add = [&](Step::Kind kind) -> Step& {
    steps.push_back({.kind = kind});
    return steps.back();
  };
  for (const TransformerBlock& block : a.blocks) {
    const auto open = [&] {
      if (block.residual) add(Step::Kind::kSave);
      if (block.norm == NormPlace::kPre) add(Step::Kind::kNorm);
    };
    const auto close = [&] {
      if (block.residual) add(Step::Kind::kAdd);
      if (block.norm == NormPlace::kPost) add(Step::Kind::kNorm);
    };
    const auto dense = [&](double weight, double bias) {
      Step& step = add(Step::Kind::kDense);
      step.weight = weight;
      step.bias = bias;
    };
    if (block.attention) {
      open();
      add(Step::Kind::kAttend).attention = *block.attention;
      close();
    }
    if (block.mlp) {
      open();
      dense(block.mlp->weight, block.mlp->bias);
      Step& step = add(Step::Kind::kActivate);
      step.phi = block.mlp->phi;
      step.slope = block.mlp->slope;
      dense(block.mlp->out_weight, block.mlp->out_bias);
      close();
    }
  }
  if (a.final_norm) add(Step::Kind::kNorm);
  return steps;
}

void find_special_steps(KernelProgram& p) {
  const bool one = p.architecture.readout == Readout::kLast || p.architecture.readout == Readout::kCls;
  if (one) p.selecting = p.steps.size();
  bool first = true;
  bool embedding = simple_positions(p.architecture.embedding.positions, p.architecture.embedding.position);
  for (std::size_t i = 0; i < p.steps.size(); ++i) {
    const Step& step = p.steps[i];
    if (step.kind == Step::Kind::kAttend) {
      const AttentionLayer& m = step.attention;
      embedding = embedding && simple_positions(m.positions, m.position);
      const bool random = random_softmax(step), fixed = m.scale == AttentionScale::kDimension;
      if (random && m.rope)
        throw Error(ErrorKind::kUnsupported, p.architecture.name,
                    "softmax at 1/sqrt(d) with rotary embeddings has no kernel here",
                    "take scale 1/d, or relu attention, which has a closed form at 1/sqrt(d)");
      p.monte_carlo = p.monte_carlo || random;
      if (first && embedding && (fixed || random)) p.featured = i;
      if (random && p.featured == i) p.sampled = i;
      p.joint = p.joint || (random && p.sampled != i);
      if (one) p.selecting = i;
      first = false;
    } else if (step.kind == Step::Kind::kDense || step.kind == Step::Kind::kActivate) {
      embedding = false;  // no longer a sum of a term of tokens and one of positions
    }
  }
  if (p.runs_samples()) p.featured = kNever;
}

void require_samples(KernelOptions& o) {
  constexpr std::size_t kMostSamples = 10'000'000;
  if (o.batches < 2 || o.batches > 1000)
    throw Error(ErrorKind::kUsage, "kernel", fmt::format("expected 2 to 1000 batches, found {}", o.batches));
  const std::size_t unit = o.batches * (o.antithetic ? 2 : 1);
  if (o.samples < unit || o.samples > kMostSamples)
    throw Error(ErrorKind::kUsage, "samples",
                fmt::format("expected {} to {} samples, found {}", unit, kMostSamples, o.samples));
  o.samples = (o.samples + unit - 1) / unit * unit;
}

}  // namespace

Kernel::Kernel(Architecture architecture, std::size_t vocabulary, KernelOptions options) {
  require_valid(architecture, architecture.name);
  if (vocabulary < 1 || vocabulary > 0x80000000)
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("expected a vocabulary of 1 to 2147483648 tokens, found {}", vocabulary));
  auto program = std::make_shared<KernelProgram>();
  program->architecture = std::move(architecture);
  program->vocabulary = vocabulary;
  program->options = options;
  if (!program->architecture.simplified) {
    program->steps = steps_of(program->architecture);
    find_special_steps(*program);
  }
  if (program->monte_carlo) require_samples(program->options);
  program_ = std::move(program);
}

const Architecture& Kernel::architecture() const {
  return program_->architecture;
}
const KernelOptions& Kernel::options() const {
  return program_->options;
}
std::size_t Kernel::vocabulary() const {
  return program_->vocabulary;
}
bool Kernel::monte_carlo() const {
  return program_->monte_carlo;
}
bool Kernel::joint() const {
  return program_->joint;
}

std::string Kernel::stays_double() const {
  return program_->stays_double();
}

std::string KernelProgram::stays_double() const {
  if (options.ntk)
    return "the NTK holds angles between positions, of which nearly equal ones lose half their digits";
  if (architecture.simplified) return "the simplified block is counted, not multiplied";
  if (monte_carlo) return "the Monte Carlo error of softmax at 1/sqrt(d) is larger than that of float";
  for (const Step& step : steps)
    if (step.kind == Step::Kind::kAttend && step.attention.scale == AttentionScale::kRoot)
      return "attention at 1/sqrt(d) takes a transform of each pair of logits";
  if (one_row() && (selecting == featured || selecting == steps.size()))
    return "one position of each sequence is read after one attention layer: one product for all pairs";
  return {};
}

double Kernel::working_bytes(std::size_t length) const {
  const auto l = static_cast<double>(length);
  if (program_->runs_samples()) return sampled_pair_bytes(*program_, l);
  const bool blocks = !program_->architecture.simplified && program_->selecting != program_->steps.size() &&
                      (program_->featured == kNever || program_->selecting != program_->featured);
  // A strip, copies of it for residuals and products, and as many of the NTK.
  const double width = std::max<double>(l, kStripColumns);
  return blocks ? 100 * l * width : 64 * l;
}

double Kernel::joint_bytes(std::size_t tokens) const {
  return joint_run_bytes(*program_, static_cast<double>(tokens));
}

FeaturedInput embedding_input(const KernelProgram& program, std::size_t layer) {
  const Embedding& e = program.architecture.embedding;
  FeaturedInput in;
  in.here.token = e.token;
  in.here.position = e.positions == Positions::kIndependent ? e.position : 0;
  if (e.trained) in.here.token_theta = in.here.token, in.here.position_theta = in.here.position;
  for (std::size_t i = 0; i < layer; ++i) {
    if (program.steps[i].kind == Step::Kind::kSave) in.saved.push_back(in.here);
    if (program.steps[i].kind != Step::Kind::kNorm) continue;
    const double variance = in.here.token + in.here.position + program.architecture.epsilon;
    for (double* x : {&in.here.token, &in.here.position, &in.here.token_theta, &in.here.position_theta})
      *x /= variance;
  }
  return in;
}

FeaturedInput featured_input(const KernelProgram& program) {
  return embedding_input(program, program.featured);
}

std::vector<double> mean_cosines(double base, std::size_t dimension, std::size_t length) {
  std::vector<double> out(length, 0.0);
  const std::size_t frequencies = dimension / 2;
  for (std::size_t f = 0; f < frequencies; ++f) {
    const double omega = std::pow(base, -2.0 * static_cast<double>(f) / static_cast<double>(dimension));
    for (std::size_t t = 0; t < length; ++t) out[t] += std::cos(omega * static_cast<double>(t));
  }
  for (double& x : out) x /= static_cast<double>(frequencies);
  return out;
}

std::vector<double> position_covariances(Positions positions, std::size_t dimension, std::size_t length) {
  std::vector<double> out(length, 0.0);
  switch (positions) {
    case Positions::kNone:
      break;
    case Positions::kIndependent:
      if (length > 0) out[0] = 1;
      break;
    case Positions::kSinusoidal:
      return mean_cosines(10000, dimension, length);
    case Positions::kDecay:
      for (std::size_t t = 0; t < length; ++t)
        out[t] = 1 / (1 + static_cast<double>(t) * static_cast<double>(t));
      break;
  }
  return out;
}

}  // namespace telos::symmetry
