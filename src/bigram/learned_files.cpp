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
  // The word in the corner tells names from numbers, whatever tokens are called.
  if (!names.empty()) text += "token";
  for (const std::string& name : names) text += '\t' + as_field(name);
  if (!names.empty()) text += '\n';
  for (std::size_t i = 0; i < p.rows(); ++i) {
    if (!names.empty()) text += as_field(names[i]) + '\t';
    for (std::size_t j = 0; j < p.cols(); ++j)
      fmt::format_to(std::back_inserter(text), "{}{}", p(i, j), j + 1 < p.cols() ? '\t' : '\n');
  }
  write_file_atomically(path, text);
}

void write_positions(std::span<const SparseColumn> columns, std::size_t length,
                     const std::vector<std::string>& names, const std::string& path) {
  std::string text = "token\tposition\tweight\n";
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const std::string name = names.empty() ? std::to_string(k) : as_field(names[k]);
    const auto write = [&](std::size_t position, double weight) {
      fmt::format_to(std::back_inserter(text), "{}\t{}\t{}\n", name, position, weight);
    };
    std::vector<double> law = columns[k].weights;
    if (!law.empty()) project_simplex(law);
    for (std::size_t i = 0; i < law.size(); ++i)
      if (law[i] > 0) write(columns[k].positions[i], law[i]);
    for (std::size_t t = 0; t < length && law.empty(); ++t) write(t, 1 / static_cast<double>(length));
  }
  write_file_atomically(path, text);
}

}  // namespace telos::bigram
