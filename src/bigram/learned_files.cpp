// What was learned, as text that can be read as a task.
#include <fmt/format.h>

#include <iterator>

#include "bigram/train_parts.h"
#include "telos/bigram/data.h"
#include "telos/io/files.h"

namespace telos::bigram {
namespace {

/// Names as fields between tabs: what would end one becomes a blank.
std::string as_field(std::string name) {
  for (char& c : name)
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  return name;
}

}  // namespace

Matrix<double> learned_transitions(const Model& model) {
  const std::size_t n = model.v.rows();
  Matrix<double> p(n, n);
  std::vector<double> column(n);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < n; ++i) column[i] = model.v(i, j);
    project_simplex(column);
    for (std::size_t i = 0; i < n; ++i) p(i, j) = column[i];
  }
  return p;
}

void write_transitions(const Model& model, const std::vector<std::string>& names, const std::string& path) {
  const Matrix<double> p = learned_transitions(model);
  std::string text;
  for (std::size_t j = 0; j < names.size(); ++j) text += (j == 0 ? "" : "\t") + as_field(names[j]);
  if (!names.empty()) text += '\n';
  for (std::size_t i = 0; i < p.rows(); ++i)
    for (std::size_t j = 0; j < p.cols(); ++j)
      fmt::format_to(std::back_inserter(text), "{}{}", p(i, j), j + 1 < p.cols() ? '\t' : '\n');
  write_file_atomically(path, text);
}

void write_positions(std::span<const SparseColumn> columns, const std::vector<std::string>& names,
                     const std::string& path) {
  std::string text = "token\tposition\tweight\n";
  for (std::size_t k = 0; k < columns.size(); ++k)
    for (std::size_t i = 0; i < columns[k].positions.size(); ++i)
      fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\n",
                     names.empty() ? std::to_string(k) : as_field(names[k]), columns[k].positions[i],
                     columns[k].weights[i]);
  write_file_atomically(path, text);
}

}  // namespace telos::bigram
