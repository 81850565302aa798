#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "telos/positional/studies.h"

// What the studies share inside: small matrices, and the run of each.

namespace telos::positional::studies {

using View = ConstMatrixView<double>;

/// Entries N(0, scale²).
Matrix<double> normals(std::size_t rows, std::size_t cols, Random& random, double scale = 1);
/// max |a − b|; infinite for different shapes.
double largest_difference(View a, View b);
/// A·Bᵀ in plain loops' order, by one thread.
Matrix<double> times_transposed(View a, View b);
Matrix<double> times(View a, View b);
/// X·factor.
Matrix<double> scaled(View x, double factor);
/// Each row over its first `valid(i)` columns becomes its softmax, and 0 beyond: all, or i + 1 if causal.
void softmax_rows(Matrix<double>& x, bool causal = false);

/// Throws kShape unless Q and K have one width, and K and V (and Q, with `square`) as many rows.
void check_attention(std::string_view where, View q, View k, View v, bool square = false);
[[noreturn]] void shape_error(std::string_view where, const std::string& message);

// Each fills everything but `info`.
void run_counting(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_graphs(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_hops(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_performer(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_relative_kernel(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_nystrom(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_dape(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_hard_retrieval(StudyResult& result, std::uint64_t seed, const Arena& arena);
void run_momentum(StudyResult& result, std::uint64_t seed, const Arena& arena);

}  // namespace telos::positional::studies
