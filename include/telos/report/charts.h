#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "telos/report/report.h"

namespace telos {

/// Text that every chart carries.
struct ChartText {
  std::string id, title, caption, alt;
  std::string x_label, y_label;  ///< with units
  bool log_x = false,
       log_y = false;  ///< line charts only: logarithmic axes; what is not positive is not drawn
};

/// A named sequence of points, drawn in order of x.
struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> low, high;  ///< a band around y, or empty
  bool dashed = false;            ///< theory is dashed, measurement is solid
};
/// Lines over a common x axis, with points, tooltips and bands.
Figure line_chart(const ChartText& text, const std::vector<Series>& series);

/// A point of a scatter plot. `group` picks colour and shape, `key` marks the same thing in every figure
/// ("5.7").
struct ScatterPoint {
  double x = 0, y = 0;
  std::string group, key, tooltip;
};
/// A circle or line drawn behind the points: |z − (cx, 0)| = radius.
struct Disk {
  double cx = 0, radius = 0;
  std::string label;
  bool dashed = true;
};
/// Points in the plane with equal scales on both axes; above 5,000 points the figure shows a fixed random
/// sample of 5,000 and says so, the table keeps all.
Figure scatter_chart(const ChartText& text, const std::vector<ScatterPoint>& points,
                     const std::vector<Disk>& disks);

/// values[row][column]; NaN cells are drawn hatched. `diverging` centres the colour scale at 0. If one axis
/// label holds the word "layer" and the other "head", each cell has the key "layer.head".
Figure heat_map(const ChartText& text, const std::vector<std::string>& rows,
                const std::vector<std::string>& columns, const std::vector<std::vector<double>>& values,
                const std::string& value_label, bool diverging);

/// Horizontal bars with optional ± whiskers, in the given order.
struct Bar {
  std::string label, group, key;
  double value = 0;
  double error = 0;
};
Figure bar_chart(const ChartText& text, const std::vector<Bar>& bars);

/// A wire from row `from` of column `column` to row `to` of the next column: communication, layer by layer.
struct Wire {
  std::size_t column = 0, from = 0, to = 0;
  std::string group, tooltip;
};
/// Columns stand side by side (one more than there are layers), rows from top to bottom, wires are straight.
Figure wire_chart(const ChartText& text, const std::vector<std::string>& columns,
                  const std::vector<std::string>& rows, const std::vector<Wire>& wires);

}  // namespace telos
