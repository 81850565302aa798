#include "clustering/page_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "telos/linalg/decompositions.h"
#include "telos/report/words.h"

namespace telos::clustering {
namespace {

View axes_view(std::size_t d) {
  View view{.basis = Matrix<double>(d, d), .mean = std::vector<double>(d)};
  for (std::size_t c = 0; c < d; ++c) view.basis(c, c) = 1;
  return view;
}

}  // namespace

void View::show(const double* x, float* y) const {
  for (std::size_t r = 0; r < basis.rows(); ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < mean.size(); ++c) sum += basis(r, c) * (x[c] - mean[c]);
    y[r] = static_cast<float>(sum);
  }
}

View view_of(ConstMatrixView<double> all_rows) {
  const std::size_t d = all_rows.cols();
  if (d <= 3) return axes_view(d);
  // Some thousands, evenly chosen, say where the plane lies.
  constexpr std::size_t kMost = 4096;
  const std::size_t every = (all_rows.rows() + kMost - 1) / kMost, n = (all_rows.rows() + every - 1) / every;
  const ConstMatrixView<double> rows(all_rows.data(), n, d, all_rows.stride() * every);
  View view{.basis = Matrix<double>(2, d), .mean = std::vector<double>(d), .components = true};
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < d; ++c) view.mean[c] += rows(i, c) / static_cast<double>(n);
  // The d × d covariance: n may be large, d is what an eigensolver can take.
  Matrix<double> covariance(d, d);
  std::vector<double> x(d);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < d; ++c) x[c] = rows(i, c) - view.mean[c];
    for (std::size_t a = 0; a < d; ++a)
      for (std::size_t b = 0; b <= a; ++b) covariance(a, b) += x[a] * x[b];
  }
  const SymmetricEigen eigen = symmetric_eigen(covariance, true);
  double sum = 0, kept = 0;
  for (const double value : eigen.values) sum += value;
  for (std::size_t r = 0; r < 2; ++r) {
    const std::size_t column = d - 1 - r;
    kept += eigen.values[column];
    // The sign of a component is free: its largest entry is positive.
    std::size_t largest = 0;
    for (std::size_t c = 0; c < d; ++c)
      if (std::fabs(eigen.vectors(c, column)) > std::fabs(eigen.vectors(largest, column))) largest = c;
    const double sign = eigen.vectors(largest, column) < 0 ? -1 : 1;
    for (std::size_t c = 0; c < d; ++c) view.basis(r, c) = sign * eigen.vectors(c, column);
  }
  view.explained = sum > 0 ? kept / sum : 1;
  return view;
}

void set_axes(Player& player, const View& view) {
  player.dimension = view.dimension();
  for (std::size_t r = 0; r < player.dimension; ++r)
    player.axes[r] = fmt::format("{}{}", view.components ? "component " : "z", r + 1);
}

std::string view_remark(const View& view, const std::string& of_what) {
  if (!view.components) return {};
  return fmt::format(" Shown: the two leading principal components of {}, {} of their variance.", of_what,
                     percent(view.explained));
}

void FollowColours::add(std::size_t unique, std::string name) {
  leaders_.emplace(unique, static_cast<std::uint32_t>(names_.size()));
  names_.push_back(std::move(name));
}

std::uint32_t FollowColours::of(const std::vector<std::size_t>& targets) const {
  const auto others = static_cast<std::uint32_t>(names_.size());
  if (targets.size() != 1) return others + 1;
  const auto leader = leaders_.find(targets[0]);
  return leader == leaders_.end() ? others : leader->second;
}

std::vector<std::string> FollowColours::names() const {
  std::vector<std::string> all = names_;
  all.insert(all.end(), rest_.begin(), rest_.end());
  return all;
}

Player::Point point_on_its_way(const HardmaxRun& run, std::size_t unique, const View& view,
                               const FollowColours& colours, std::size_t frames) {
  const HardmaxRun::Path path = run.path(unique);
  const std::size_t d = view.mean.size(), given = path.steps.size() / d, rows = std::min(given, frames);
  Player::Point point;
  point.steps.resize(rows * view.dimension());
  for (std::size_t k = 0; k < rows; ++k) view.show(&path.steps[k * d], &point.steps[k * view.dimension()]);
  if (!path.target.empty() && given <= frames) {
    point.target.resize(view.dimension());
    view.show(path.target.data(), point.target.data());
  }
  for (std::size_t k = 0; k < std::min(frames, path.targets.size()); ++k)
    point.groups.push_back(colours.of(path.targets[k]));
  return point;
}

}  // namespace telos::clustering
