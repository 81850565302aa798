#pragma once

#include <optional>
#include <string>

#include "cli/app.h"
#include "cli/lists.h"
#include "telos/base/matrix.h"

namespace CLI {
class App;
}

namespace telos::cli {

// The commands of `telos clustering`, each of which only sets context.action.
void add_hardmax(CLI::App& group, Context& context);        ///< run
void add_soft(CLI::App& group, Context& context);           ///< simulate, phase
void add_cluster_heads(CLI::App& group, Context& context);  ///< heads
void add_sentiment(CLI::App& group,
                   Context& context);  ///< sentiment train, predict, explain, leaders, import

/// Tokens and where they come from: a file, or a named set.
struct TokenOptions {
  std::string path, tensor, labels, demo;
  std::size_t rows = 0, demo_tokens = 0, demo_dimension = 0;
  std::uint64_t seed = 0;
};
void add_token_options(CLI::App& command, TokenOptions& options);

struct Tokens {
  Matrix<double> values;
  std::vector<std::string> labels;
  std::string subject;  ///< file or set
  std::string remark;   ///< how it was read: "word vectors", or what the set is
  double alpha = 0;     ///< the set's own step; 0: none
};
Tokens load_tokens(const TokenOptions& options);
/// The step α: the one given, the set's own, or 1.
double step_of(std::optional<double> given, const Tokens& tokens);
/// Header line of a page: "gaussian · 500 tokens · d 2".
Report::Fact tokens_fact(const Tokens& tokens);

/// "identity" (nothing), "diag:4,1" or a file with d × d numbers. Throws kUsage, kShape.
Matrix<double> parse_matrix(const std::string& text, std::size_t d, const std::string& option);

}  // namespace telos::cli
