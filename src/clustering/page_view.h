#pragma once

#include <string>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/report/player.h"

namespace telos::clustering {

/// How a space of any dimension is shown in one, two or three: y = B(x − m).
struct View {
  Matrix<double> basis{};      ///< 1 to 3 × d, orthonormal rows (or rows of zeros)
  std::vector<double> mean{};  ///< m, d numbers
  double explained = 1;        ///< share of the variance that the components keep
  bool components = false;     ///< principal components, not the axes themselves

  std::size_t dimension() const { return basis.rows(); }
  void show(const double* x, float* y) const;
};

/// The axes themselves for d ≤ 3; else the two leading principal components of `rows` (n × d), each with its
/// largest entry positive. At least one row.
View view_of(ConstMatrixView<double> rows);

/// Dimension and axis labels of a player that shows `view`: "z1", or "component 1".
void set_axes(Player& player, const View& view);
/// " Shown: the two leading principal components of the leaders, 61 % of their variance."; nothing for axes.
std::string view_remark(const View& view, const std::string& of_what);

}  // namespace telos::clustering
