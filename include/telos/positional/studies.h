#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"
#include "telos/positional/tasks.h"  // hop_string()

// Nine systems near to positional attention, one file each in src/positional/studies: what a fixed number of
// layers can count, connect and retrieve, and cheaper or other forms of attention. Each is a plain function
// in double; run_study() checks the claim that it is known for. Matrices: Q, K n × d, V n × d_v, tokens are
// rows.

namespace telos::positional {

// ---- The list
// -------------------------------------------------------------------------------------------------------------------------

struct StudyInfo {
  std::string name;   ///< "counting", for the command line
  std::string title;  ///< "Contextual counting"
  std::string paper;  ///< authors, year, arXiv number
  std::string claim;  ///< what is tested, one sentence
};

struct StudyTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;  ///< a number a column
};

struct StudyResult {
  StudyInfo info;
  std::string measured;  ///< one sentence with the numbers
  bool holds = false;    ///< the claim, on everything that was run
  StudyTable table;
  std::vector<std::string> notes;
};

/// counting, graphs, hops, performer, rpe-fft, nystrom, dape, hard, momentum.
std::vector<StudyInfo> study_list();
/// Runs one of them, in at most a few seconds. Same numbers for any number of threads. Throws kUsage naming
/// the nearest name.
StudyResult run_study(std::string_view name, std::uint64_t seed, const Arena& arena);

// ---- Softmax attention, what the others are compared with
// -----------------------------------------------------------------------------

/// softmax(QKᵀ/√d)·V, over keys j ≤ i if causal. Cost O(n²(d + d_v)). Throws kShape.
Matrix<double> softmax_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                 ConstMatrixView<double> v, bool causal = false);

// ---- Contextual counting (Golkar et al. 2024, 2406.02585)
// ---------------------------------------------------------------------------

/// A string over {0, 1, [, ]} with regions that do not overlap, and the number of 1s in each of them by
/// attention alone. BOS stands before it. Causal head a attends uniformly to {BOS, '['} with value 1 on BOS:
/// 1/(1 + k) after k brackets. Causal head b attends uniformly to {BOS, '[', ']'} with values 0, +1, −1:
/// above 0 iff inside. The MLP decodes (region, inside); the decoder's query for region r attends uniformly
/// to BOS and to the 1s inside r: o_r = 1/(1 + count).
struct ContextualCount {
  std::vector<double> opened;  ///< head a at BOS and each token
  std::vector<double> inside;  ///< head b
  std::vector<double> output;  ///< o_r of each region
  std::vector<std::size_t> counts;
};
/// Cost O(n) (uniform attention by running sums). Throws kUsage naming the position of a token that is not
/// one of the four, or of a bracket that does not fit.
ContextualCount contextual_count(std::string_view tokens);
/// A random string of `length` tokens with `regions` regions. Throws kUsage where they do not fit.
std::string counting_string(std::size_t length, std::size_t regions, Random& random);

// ---- Graph algorithms (Sanford et al. 2024, 2405.18512)
// -----------------------------------------------------------------------------

/// Undirected, without loops or repeated edges.
struct SimpleGraph {
  std::size_t vertices = 0;
  std::vector<std::pair<std::size_t, std::size_t>> edges;
};
/// Each pair is an edge with probability p (Erdős–Rényi). Throws kUsage unless 0 ≤ p ≤ 1.
SimpleGraph random_graph(std::size_t vertices, double p, Random& random);

// Exact answers, throwing kUsage for edges out of range, loops and repetitions.
std::vector<std::size_t> degrees(const SimpleGraph& graph);
/// Smallest vertex of each vertex's component.
std::vector<std::size_t> components(const SimpleGraph& graph);
bool has_cycle(const SimpleGraph& graph);
bool is_bipartite(const SimpleGraph& graph);
std::size_t triangles(const SimpleGraph& graph);
/// Edges on a shortest path; nothing if there is none.
std::optional<std::size_t> distance(const SimpleGraph& graph, std::size_t from, std::size_t to);
/// Largest distance inside the component of `vertex`.
std::size_t component_diameter(const SimpleGraph& graph, std::size_t vertex);
/// Edges of a spanning forest, by breadth first search from the smallest vertex of each component.
std::vector<std::pair<std::size_t, std::size_t>> spanning_forest(const SimpleGraph& graph);

/// The sequence that a transformer reads: vertex tokens, edge tokens, one task token; N = |V| + |E| + 1. Rows
/// (kind, u, v): kind 0 vertex (u, u), 1 edge, 2 task with its arguments.
Matrix<double> graph_tokens(const SimpleGraph& graph, std::size_t first_argument = 0,
                            std::size_t second_argument = 0);

/// Whose label an edge lowers.
enum class Hooking {
  kVertices,  ///< its ends' own
  kParents,   ///< also that of the vertex that an end's label names (Liu, Tarjan 2019): a third look-up
};
/// Connectivity in synchronous rounds of look-ups, each an attention layer: label ← smallest label among the
/// vertex and its neighbours, then label ← label of label (pointer jumping). Lowering the vertices alone
/// takes ⌈log2(N + 1)⌉ rounds on a path whose labels rise, and rounds in proportion to N where they are
/// random.
struct ConnectivityRun {
  std::vector<std::size_t> labels;
  std::size_t rounds = 0;  ///< including the last, in which nothing changes
};
ConnectivityRun connect_by_jumping(const SimpleGraph& graph, Hooking hooking = Hooking::kVertices);

// ---- k-hop induction heads (Sanford, Hsu, Telgarsky 2024, 2402.09268)
// ---------------------------------------------------------------

/// find¹(i) = max{j ≤ i: X_{j−1} = X_i} with positions from 1, 0 where there is none: the token after the
/// last earlier occurrence of token i. find^k = find¹ ∘ find^{k−1}; k = 0 is i itself.
std::vector<std::size_t> find_hops(std::string_view text, std::size_t k);
/// The same by squaring, f_{2r} = f_r ∘ f_r, each a look-up by one attention layer; the products that the
/// binary digits of k ask for run beside the squarings, so that ⌈log2 k⌉ rounds follow find¹ (two layers:
/// previous token, induction).
struct HopDoubling {
  std::vector<std::size_t> positions;
  std::size_t rounds = 0;
};
HopDoubling find_hops_by_doubling(std::string_view text, std::size_t k);
/// Input and target as published: k and the letters but the last two; '_' and their hop string.
std::pair<std::string, std::string> hop_sample(std::string_view text, std::size_t k);

// ---- Performer, FAVOR+ (Choromanski et al. 2020, 2009.14794)
// -------------------------------------------------------------------------

/// m × d rows N(0, I); `orthogonal`: orthogonal within each block of d rows, with lengths drawn anew from
/// χ_d.
Matrix<double> random_projection(std::size_t features, std::size_t d, bool orthogonal, Random& random);
/// φ(x) = m^(−1/2)·exp(Wx − ‖x‖²/2) of each row of x as given: E φ(x)ᵀφ(y) = e^(xᵀy).
Matrix<double> positive_features(ConstMatrixView<double> x, ConstMatrixView<double> projection);
struct PerformerOptions {
  bool causal = false;
  /// As in the common library: the largest exponent is taken off (of a query, of all keys) and 1e-4 added to
  /// each feature. It changes the result; the plain form does not.
  bool stabilised = false;
};
/// o_i = φ(q_i)ᵀ Σ φ(k_j)v_jᵀ / φ(q_i)ᵀ Σ φ(k_j) with q, k scaled by d^(−1/4); causal by running sums. Cost
/// O(n m d_v). Throws kShape.
Matrix<double> performer_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                   ConstMatrixView<double> v, ConstMatrixView<double> projection,
                                   const PerformerOptions& options = {});

// ---- Kernelised attention with relative positions by FFT (Luo et al. 2021, 2106.12566)
// ----------------------------------------------

/// Y = C·X, C_ij = c[j − i + n − 1] a Toeplitz matrix from 2n − 1 values, by a circulant of length ≥ 2n − 1,
/// a power of two. Cost O(n log n) a column. With rows of C that sum to 1 this is positional attention whose
/// matrix depends on the offset alone. Throws kShape.
Matrix<double> toeplitz_product(std::span<const double> c, ConstMatrixView<double> x);
/// o_i = φ(q_i)ᵀ Σ_j e^{b_{j−i}} φ(k_j)v_jᵀ / φ(q_i)ᵀ Σ_j e^{b_{j−i}} φ(k_j) from features φ(Q), φ(K) (n × m)
/// and b_{−(n−1)} … b_{n−1}; causal: j ≤ i only. Cost O(n log n · m d_v). Throws kShape.
Matrix<double> relative_kernel_attention(ConstMatrixView<double> phi_q, ConstMatrixView<double> phi_k,
                                         ConstMatrixView<double> v, std::span<const double> b,
                                         bool causal = false);
/// In place, size a power of two; inverse includes 1/size. Throws kUsage.
void fast_fourier(std::span<std::complex<double>> x, bool inverse = false);

// ---- Continual Nyström attention (Carreto Picón et al. 2024, 2412.03214)
// -------------------------------------------------------------

/// How A⁺ is formed: by singular values, or by Z ← ¼Z(13I − AZ(15I − AZ(7I − AZ))) from Z_0 = Aᵀ/(‖A‖₁‖A‖_∞).
struct NystromOptions {
  std::size_t landmarks = 8;   ///< m; means of m consecutive blocks, m divides n
  std::size_t iterations = 0;  ///< 0: singular values
};
Matrix<double> iterative_inverse(ConstMatrixView<double> a, std::size_t iterations);
/// Means of `count` consecutive blocks of rows. Throws kUsage unless count divides the rows.
Matrix<double> block_means(ConstMatrixView<double> x, std::size_t count);
/// F·A⁺·B·V with F = softmax(QK̃ᵀ), A = softmax(Q̃K̃ᵀ), B = softmax(Q̃Kᵀ), Q and K scaled by d^(−1/4). Cost
/// O(n m (d + d_v) + m³).
Matrix<double> nystrom_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                 ConstMatrixView<double> v, const NystromOptions& options);
/// The same with landmarks given (already scaled).
Matrix<double> nystrom_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                 ConstMatrixView<double> v, ConstMatrixView<double> landmark_q,
                                 ConstMatrixView<double> landmark_k, std::size_t iterations = 0);

/// The newest token's output over a sliding window of n tokens with landmarks that stay: running sums Δ (m)
/// and B·V (m × d_v) take in the new token and let go of the oldest, O(m(d + d_v)) a token. Rounding adds up,
/// so the sums are formed anew from the window every `anchor` tokens.
class ContinualNystrom {
 public:
  ContinualNystrom(std::size_t window, ConstMatrixView<double> landmark_q, ConstMatrixView<double> landmark_k,
                   std::size_t value_width, std::size_t iterations = 0, std::size_t anchor = 4096);
  /// Adds a token and returns its output (d_v). q, k as the model makes them, unscaled. Throws kShape.
  std::vector<double> step(std::span<const double> q, std::span<const double> k, std::span<const double> v);
  /// Puts new landmarks in: one pass over the window and one inverse.
  void set_landmarks(ConstMatrixView<double> landmark_q, ConstMatrixView<double> landmark_k);
  std::size_t filled() const { return filled_; }  ///< tokens in the window

 private:
  void sum_window();
  void add(std::size_t slot, double sign);

  std::size_t window_, iterations_, anchor_, filled_ = 0, next_ = 0, since_anchor_ = 0;
  Matrix<double> landmark_q_, landmark_k_, inverse_;
  Matrix<double> keys_, values_;  // the window, a ring
  std::vector<double> delta_;
  Matrix<double> delta_v_;
};

// ---- DAPE V2 (Zheng et al. 2024, 2410.04798)
// -------------------------------------------------------------------------------------

/// Two convolutions over the key axis, zero padding, LeakyReLU(0.01) between. Weights [out][in·k + t].
struct DapeNet {
  std::size_t heads = 1, width = 2, kernel = 3;  ///< H, w, k (odd)
  bool bias_input = true;                        ///< 2H input channels; false: H, without the bias B
  Matrix<double> w1;                             ///< w × (channels·k)
  std::vector<double> b1;
  Matrix<double> w2;  ///< H × (w·k)
  std::vector<double> b2;
};
/// Scores QKᵀ/√d + B + f(tril[QKᵀ/√d; B]) of causal attention, one n × n matrix a head (upper triangle 0).
/// The cut to the lower triangle comes before the first convolution, which keeps the future out. Cost O(n² k
/// H w). Throws kShape.
std::vector<Matrix<double>> dape_scores(std::span<const Matrix<double>> scaled_products,
                                        std::span<const Matrix<double>> bias, const DapeNet& net);
/// Row-wise softmax over keys j ≤ i.
Matrix<double> causal_softmax(ConstMatrixView<double> scores);

// ---- Hard retrieval (Xu et al. 2020, 2009.14658)
// ---------------------------------------------------------------------------------

struct HardRetrieval {
  std::vector<std::size_t> index;  ///< j* = argmax_j q_i·k_j, the lowest of equals
  Matrix<double> output;           ///< o_i = v_{j*}
};
/// Cost O(n² d) for the scores, O(n d_v) for the values. Throws kShape, kNotFinite.
HardRetrieval hard_retrieval(ConstMatrixView<double> q, ConstMatrixView<double> k, ConstMatrixView<double> v);
/// Training samples the index from p = softmax(QKᵀ/√d).
std::vector<std::size_t> sample_indices(ConstMatrixView<double> q, ConstMatrixView<double> k, Random& random);
/// Straight through: dP = dO·Vᵀ as if o = pV, dV = dO added at j*, then through the softmax to QKᵀ.
struct HardGradient {
  Matrix<double> dv, dp, dqk;
};
HardGradient hard_retrieval_gradient(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                     ConstMatrixView<double> v, std::span<const std::size_t> index,
                                     ConstMatrixView<double> d_output);

// ---- Momentum transformer (Nguyen et al. 2022, 2208.00579)
// -----------------------------------------------------------------------

struct MomentumOptions {
  double mu = 0, gamma = 1;  ///< μ = 0, γ = 1 is linear attention
  double epsilon = 1e-6;     ///< added to the normaliser
  /// The published training path: key j is weighted by (1 − μ^{L−j+1})/(1 − μ) with the whole length L, which
  /// equals the recurrence at i = L only.
  bool published = false;
};
/// elu(x) + 1 of each entry.
Matrix<double> elu_features(ConstMatrixView<double> x);
/// P_i = μP_{i−1} − γφ(k_i)v_iᵀ; S_i = S_{i−1} − P_i; z_i = z_{i−1} + φ(k_i); o_i = φ(q_i)ᵀS_i/(φ(q_i)ᵀz_i +
/// ε), φ = elu + 1. Cost O(n d d_v). Throws kShape, kUsage for μ outside [0, 1).
Matrix<double> momentum_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                  ConstMatrixView<double> v, const MomentumOptions& options);
/// Adaptive momentum between layers, a token at a time: μ_l = clamp((1 − √(‖g_l − g_{l−1}‖/‖v_{l−1}‖))², 0, 1
/// − δ), v_l = μ_l v_{l−1} − g_l, x ← x − γ v_l. First layer: g_0 = 1 (all ones), v_0 = 0, divided by ‖g_0‖.
struct AdaptiveMomentum {
  Matrix<double> previous;  ///< g_{l−1}
  Matrix<double> velocity;  ///< v_{l−1}
  bool first = true;
};
/// Returns μ of each token; x and state change. Throws kShape.
std::vector<double> adaptive_momentum_step(AdaptiveMomentum& state, ConstMatrixView<double> g, double gamma,
                                           double delta, MatrixView<double> x);

}  // namespace telos::positional
