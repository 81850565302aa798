#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"
#include "telos/symmetry/linear_function.h"

// Laws of sequences: what data a network is trained or tested on.

namespace telos::symmetry {

/// A chain of hidden states that emits a letter in each; all rows are probabilities, row by row.
struct Hmm {
  std::size_t states = 1, letters = 1;
  std::vector<double> start;       ///< M
  std::vector<double> transition;  ///< M × M
  std::vector<double> emission;    ///< M × V
};

/// A law of sequences of any length. One of: a mixture of hidden Markov models, of which a sequence picks one
/// (one state alone: independent letters); Polya's urn, in which letter v comes with probability
/// (c_v + α)/(t + Vα) after t letters: independent draws from a distribution that is itself drawn from
/// Dirichlet(α, …, α).
class Law {
 public:
  static constexpr std::uint32_t kMostLetters = 65'536;
  static constexpr std::size_t kMostStates = 1000, kMostComponents = 1000;

  /// Uniform and independent letters. Throws kUsage (letters out of [1, kMostLetters]).
  static Law iid(std::uint32_t letters);
  /// Throws kUsage unless α > 0 and finite.
  static Law polya(double alpha, std::uint32_t letters);
  /// Each with the same weight. Throws kUsage (none, letters differ, a row that is no distribution).
  static Law mixture(std::vector<Hmm> components);
  /// A chain whose rows are drawn from the uniform distribution on the simplex.
  static Hmm random_hmm(std::size_t states, std::uint32_t letters, Random& random);
  /// A state is kept with probability `stay`, else another one follows, each as likely: stay = 1 freezes it
  /// (exchangeable: a mixture of independent letters), stay = 1/M makes letters independent. Emission rows as
  /// in random_hmm.
  static Hmm sticky_hmm(double stay, std::size_t states, std::uint32_t letters, Random& random);

  /// "iid", "polya:ALPHA", "hmm:STATES", "mixture:COMPONENTS,STATES", "hmm-sticky:STAY[,STATES]" (4), or
  /// "hmm:FILE", a JSON object with start, transition and emission. Parameters that are random are drawn from
  /// `seed`. Throws kUsage with what is known at `where`; kBadFormat of the file.
  static Law parse(std::string_view text, std::uint32_t letters, std::uint64_t seed,
                   const std::string& where);

  std::uint32_t letters() const { return letters_; }
  const std::string& name() const { return name_; }
  /// Whether the law of a sequence does not change when its positions are permuted: exactly S_L symmetric.
  bool exchangeable() const;
  /// Correlation of [x_b = v] and [x_c = v] for Polya's urn, 1/(1 + Vα); 0 for uniform independent letters;
  /// NaN for other laws.
  double exchange_correlation() const;

  void draw(std::span<std::uint32_t> sequence, Random& random) const;
  /// Row i from Random(seed, stream, first + i): the same for any number of threads. Throws kLimit.
  Matrix<std::uint32_t> draw(std::size_t sequences, std::size_t length, std::uint64_t seed,
                             std::uint32_t stream, std::uint64_t first, const Arena& arena) const;

  /// log P(x); −∞ where it is impossible. O(L M²).
  double log_probability(std::span<const std::uint32_t> sequence) const;
  /// P(x_{L+1} = v | x): the letter that follows. Uniform after a sequence that is impossible.
  std::vector<double> next(std::span<const std::uint32_t> sequence) const;
  /// E f and E f g, exact: O(L(M² + MV)).
  double mean(const LinearFunction& f) const;
  double inner(const LinearFunction& f, const LinearFunction& g) const;

 private:
  struct Polya {
    double alpha = 1;
  };
  Law(std::variant<Polya, std::vector<Hmm>> law, std::uint32_t letters, std::string name)
      : law_(std::move(law)), letters_(letters), name_(std::move(name)) {}

  std::variant<Polya, std::vector<Hmm>> law_;
  std::uint32_t letters_;
  std::string name_;
};

}  // namespace telos::symmetry
