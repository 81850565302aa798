#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/clustering/hardmax.h"
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

/// What a token's colour says: one of the leaders that have a colour, another token, or several at once.
class FollowColours {
 public:
  FollowColours(std::string another, std::string several) : rest_{std::move(another), std::move(several)} {}
  /// `unique`: the leader as HardmaxRun::targets names it.
  void add(std::size_t unique, std::string name);
  std::uint32_t of(const std::vector<std::size_t>& targets) const;
  std::vector<std::string> names() const;  ///< the leaders in order, then the two others

 private:
  std::map<std::size_t, std::uint32_t> leaders_;
  std::vector<std::string> names_, rest_;
};

/// A unique token on its way through `frames` frames, one a layer: steps, target and colours. Label, weight
/// and star are the caller's.
Player::Point point_on_its_way(const HardmaxRun& run, std::size_t unique, const View& view,
                               const FollowColours& colours, std::size_t frames);

}  // namespace telos::clustering
