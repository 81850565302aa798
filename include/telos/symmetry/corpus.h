#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/io/token_stream.h"

// How far the windows of a text are exchangeable. Windows are L consecutive tokens, one after the other
// without overlap. Of the tokens, K letters are kept, those below K; all others have the feature zero.
// Positions b, c; letters v, w.
//
//     C_bc(v, w) = Cov([x_b = v], [x_c = w])     over the windows
//
// A text whose law does not change when the positions of a window are permuted has C_bb = D for all b and
// C_bc = O for all b ≠ c. Whatever else there is in C_bc, b ≠ c, is taken apart by the irreducible
// representations of the symmetric group S_L that functions on ordered pairs of positions have.

namespace telos::symmetry {

inline constexpr std::size_t kLeastLength = 3, kMostLength = 1024, kMostLetters = 4096;

/// A K × K table for each pair of positions b < c. Lines (b, v) one after the other, each over all (c, w)
/// with c > b.
template <class T>
class PairTables {
 public:
  PairTables(std::size_t letters, std::size_t length)
      : letters_(letters), length_(length), values_(letters * letters * (length * (length - 1) / 2)) {}

  std::size_t letters() const { return letters_; }
  std::size_t length() const { return length_; }
  std::vector<T>& values() { return values_; }
  const std::vector<T>& values() const { return values_; }
  /// (b, v, c, w) lies at line(b, v) + c K + w. Unsigned: the line alone may be "negative".
  std::size_t line(std::size_t b, std::size_t v) const {
    return letters_ * (letters_ * (b * (2 * length_ - b - 1) / 2) + v * (length_ - 1 - b) - (b + 1));
  }
  MatrixView<T> operator()(std::size_t b, std::size_t c) {
    return {values_.data() + (line(b, 0) + c * letters_), letters_, letters_, (length_ - 1 - b) * letters_};
  }
  ConstMatrixView<T> operator()(std::size_t b, std::size_t c) const {
    return {values_.data() + (line(b, 0) + c * letters_), letters_, letters_, (length_ - 1 - b) * letters_};
  }

 private:
  std::size_t letters_, length_;
  std::vector<T> values_;
};

/// Bytes of the counts of pairs: 4 K² L(L − 1)/2. Throws kUsage: length out of [kLeastLength, kMostLength],
/// letters out of [1, kMostLetters].
double table_bytes(std::size_t letters, std::size_t length);

/// How often each letter, and each pair of letters, came at each position and pair of positions. Exact;
/// counts of parts of a text add up to those of the whole.
class WindowCounts {
 public:
  /// Throws as table_bytes; kLimit (memory).
  WindowCounts(std::size_t letters, std::size_t length);

  /// The windows of these tokens; a rest that is shorter than a window is left out. O(L²) additions a window
  /// at most. Throws kLimit above 2³² − 1 windows.
  void add(std::span<const std::uint16_t> tokens);
  /// Both throw kShape where letters or length differ. What is taken away must have been added.
  WindowCounts& operator+=(const WindowCounts& other);
  WindowCounts& operator-=(const WindowCounts& other);

  std::size_t letters() const { return pairs_.letters(); }
  std::size_t length() const { return pairs_.length(); }
  std::uint64_t windows() const { return windows_; }
  std::uint32_t single(std::size_t b, std::size_t v) const { return singles_[b * letters() + v]; }
  const PairTables<std::uint32_t>& pairs() const { return pairs_; }

 private:
  void require_same_shape(const WindowCounts& other) const;

  std::uint64_t windows_ = 0;
  PairTables<std::uint32_t> pairs_;
  std::vector<std::uint32_t> singles_;  ///< L × K
};

/// C of the windows counted; C_bb = diag(p_b) − p_b p_bᵀ needs no table.
struct Covariance {
  Matrix<double> means;  ///< L × K, p_b(v)
  PairTables<double> pairs;

  /// All zero.
  Covariance(std::size_t letters, std::size_t length) : means(length, letters), pairs(letters, length) {}
  /// Throws kUsage where nothing was counted.
  explicit Covariance(const WindowCounts& counts);
  std::size_t letters() const { return pairs.letters(); }
  std::size_t length() const { return pairs.length(); }
};

/// How often each token follows each other one in a text that is closed to a ring. All tokens that are no
/// letters are one state, the last.
class ChainCounts {
 public:
  explicit ChainCounts(std::size_t letters);
  /// Tokens that follow those added before.
  void add(std::span<const std::uint16_t> tokens);

  std::size_t letters() const { return states_ - 1; }
  std::uint64_t tokens() const { return tokens_; }
  /// (K + 1) × (K + 1), from row to column.
  Matrix<double> ring() const;

 private:
  std::size_t states_, first_ = 0, last_ = 0;
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> passes_;
};
/// C of the stationary chain that passes from each token to the next as the text does. Exact:
/// diag(π)(P^|b−c| − 1πᵀ). Throws kUsage without tokens.
Covariance markov_covariance(const ChainCounts& text, std::size_t length, const Arena& arena);

/// Parts of a function W[b][c] on ordered pairs b ≠ c: of its symmetric half the mean (trivial), what is a
/// sum u_b + u_c (standard), the rest ((L−2,2)); of its antisymmetric half what is a difference t_b − t_c
/// (standard) and the rest
/// ((L−2,1,1)).
enum class Part { kTrivial, kStandard, kPair, kOrderedStandard, kOrderedPair };
inline constexpr std::size_t kParts = 5;
using Energies = std::array<double, kParts>;  ///< by Part
/// "(L)", "(L−1,1) symmetric", …
std::string part_name(Part part);

/// Σ_{v,w} Σ_{b≠c} part_R(A)_bc(v, w) part_R(B)_bc(v, w). Where A and B are of independent halves of a text,
/// its mean is the energy of the true C: the noise of counting drops out. O(L² K²).
Energies energies(const Covariance& a, const Covariance& b);
/// Mean over b of Σ_{v,w} A_{b,b+τ} B_{b,b+τ}, for τ = 1 … L − 1.
std::vector<double> lag_energies(const Covariance& a, const Covariance& b);

struct Moments {
  double trace = 0;          ///< tr C
  double squared = 0;        ///< |C|², squares of all entries
  double diagonal_mean = 0;  ///< |D|², D = mean of C_bb
  double other_mean = 0;     ///< |O|², O = mean of C_bc over b ≠ c
  double other = 0;          ///< Σ_{b≠c} |C_bc|²
  double total_share = 0;    ///< (L|D|² + L(L−1)|O|²)/|C|²
  double other_share = 0;    ///< L(L−1)|O|²/Σ_{b≠c} |C_bc|²; biased downwards by the noise of counting
};
Moments moments(const Covariance& c);

/// Principal components of the windows' L K features.
struct Components {
  std::vector<double> variances;  ///< eigenvalues of C, the largest first
  std::vector<double>
      trivial;  ///< |Σ_b u_b|²/L of each: 1 where it is the same at all positions, 0 where it sums to 0
  std::vector<double>
      predicted;  ///< of D + (L−1)O, once, and D − O, L − 1 times: the spectrum under exchangeability
};
/// Above so many features there are no components.
inline constexpr std::size_t kMostFeatures = 2048;
/// 9(LK)³ operations. Throws kLimit.
Components components(const Covariance& c);

struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN(), error = value;
};
/// Standard errors from blocks. Jackknife: √((G − 1)/G Σ_g (x_g − x̄)²) of the values x_g without block g; the
/// others stay in their halves, so that the variance of what is cross-fitted comes out too large by
/// (G − 1)/(G − 2). Bootstrap: the standard deviation of the values of resamples, each of n − 1
/// blocks drawn with replacement from the n of either half: one fewer than there are, so that the error of a
/// mean is without bias (Rao and Wu 1988).
enum class Errors { kJackknife, kBootstrap };
struct ErrorOptions {
  Errors kind = Errors::kJackknife;
  std::size_t resamples = 200;  ///< of the bootstrap
  std::uint64_t seed = 1;
};
inline constexpr std::size_t kLeastResamples = 10, kMostResamples = 100'000;

/// What is estimated of blocks of windows: energies and lags of the even-numbered blocks with the
/// odd-numbered ones, shares of all.
struct BlockEstimate {
  Estimate total;                          ///< of the energies
  std::array<Estimate, kParts> fractions;  ///< energies over their total; NaN where it is not `dependent`
  bool dependent = false;  ///< total > 3 standard errors: below, positions tell nothing of each other
  Estimate total_share, other_share;  ///< as Moments
  std::vector<Estimate> lags;         ///< as lag_energies
};
/// At least 4 blocks of equal shape, none empty. Same bits for any number of threads. Throws kUsage, kShape.
BlockEstimate estimate_blocks(std::span<const WindowCounts> blocks, const Arena& arena,
                              const ErrorOptions& errors = {});

struct CorpusOptions {
  std::size_t letters = 64, length = 16, blocks = 20;
  std::size_t shuffles = 199;  ///< of the p-value; 0: none
  std::uint64_t seed = 1;
  bool components = true;
  ErrorOptions errors;
};
inline constexpr std::size_t kMostBlocks = 1000, kMostShuffles = 1'000'000;
inline constexpr std::size_t kLeastWindows = 10;  ///< windows of a block
/// Throws kUsage where an option is out of its range, whatever the text; Error::where() names it.
void require_corpus_options(const CorpusOptions& options);

struct CorpusSymmetry {
  CorpusOptions options;
  std::uint64_t windows = 0, left_out = 0;  ///< tokens after the last window
  std::uint64_t kept = 0;                   ///< tokens that are letters
  BlockEstimate text;
  BlockEstimate shuffled;  ///< tokens of each window in random order: exchangeable, with the same D and O
  BlockEstimate mixed;     ///< all tokens in random order: independent draws
  Energies markov{};       ///< fractions of the first-order chain; exact
  double markov_total = 0;
  std::vector<double> markov_lags;
  Moments of_text;
  /// (1 + number of shuffles within windows whose other_share is no larger than the text's)/(shuffles + 1):
  /// small where the text is not exchangeable. NaN without shuffles, and where no positions have a
  /// covariance.
  double p_value = std::numeric_limits<double>::quiet_NaN();
  Components principal;  ///< empty where not asked for, or too many
  std::vector<std::string> notes;
};
/// Tokens of `letters` and up are none. Window n is in block ⌊G n/N⌋. The text is read once, and again for
/// every 64 MiB of counts of shuffled copies: 3 G + 8 T tables of table_bytes() and these are all the memory
/// there is (T threads), however long the text. Same bits for any number of threads, and any size of its
/// parts. Throws kUsage (an option out of range; fewer than kLeastWindows windows a block), kBadFormat (not
/// one window), kLimit (memory; more than 2³² − 1 tokens), kIo (the text changed meanwhile).
CorpusSymmetry measure_corpus(TokenStream& text, const CorpusOptions& options, const Arena& arena);
CorpusSymmetry measure_corpus(std::span<const std::uint16_t> tokens, const CorpusOptions& options,
                              const Arena& arena);

}  // namespace telos::symmetry
