// The page of a learning curve: a network of finite width beside it.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "symmetry/page_learn_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/predict.h"

namespace telos::symmetry {
namespace {

Figure network_figure(const NetworkStudy& n) {
  std::vector<ScatterPoint> points;
  for (std::size_t i = 0; i < n.mean.size(); ++i)
    points.push_back({.x = n.mean[i],
                      .y = n.network.mean[i],
                      .group = "unseen sequence",
                      .key = "",
                      .tooltip = fmt::format("sequence {}: {} and {}", i, format_number(n.mean[i]),
                                             plus_minus(n.network.mean[i], n.network.error[i]))});
  return scatter_chart(
      {.id = "predictions",
       .title = fmt::format("At width {}, predictions of network and limit have correlation {}",
                            n.options.shape.width, fixed(n.correlation, 4)),
       .caption = "Posterior mean of the network, averaged over time and chains, against that "
                  "of regression with its kernel, on sequences that were not trained on.",
       .alt = "Predictions of the network against those of the regression",
       .x_label = "regression",
       .y_label = "network"},
      points, {});
}

Figure width_figure(const NetworkStudy& n) {
  Series measured{.name = "networks", .x = {}, .y = {}, .low = {}, .high = {}};
  Series law{.name = "width^−1/2", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (const WidthPoint& p : n.widths) {
    const double width = static_cast<double>(p.shape.width);
    measured.x.push_back(width);
    measured.y.push_back(p.spread);
    law.x.push_back(width);
    law.y.push_back(n.widths.front().spread *
                    std::sqrt(static_cast<double>(n.widths.front().shape.width) / width));
  }
  return line_chart(
      {.id = "kernel-by-width",
       .title =
           n.widths.size() < 2
               ? std::string("A network's own kernel beside the infinite one, before training")
               : fmt::format("Before training, a network's own kernel nears the infinite one as width^{}",
                             fixed(log_log_slope(measured.x, measured.y), 2)),
       .caption = fmt::format("Root mean square of (own − infinite)/√(k(X,X) k(Y,Y)) over pairs and {} "
                              "random networks of each width; the dashed line starts at the first point.",
                              kWidthNetworks),
       .alt = "Difference of kernels by width",
       .x_label = "width",
       .y_label = "difference of kernels",
       .log_x = true,
       .log_y = true},
      {measured, law});
}

Table network_table(const NetworkStudy& n) {
  double own = 0, limit = 0, noise = 0;
  for (std::size_t i = 0; i < n.variance.size(); ++i) {
    own += n.network.variance[i] / static_cast<double>(n.variance.size());
    limit += n.variance[i] / static_cast<double>(n.variance.size());
    noise += n.network.error[i] * n.network.error[i] / static_cast<double>(n.variance.size());
  }
  Table t{.id = "network",
          .title = "The network and its limit",
          .columns = {{"quantity", "", ""}, {"value", "", ""}},
          .rows = {}};
  const auto row = [&](const char* name, Cell value) {
    t.rows.push_back({std::string(name), std::move(value)});
  };
  row("samples", static_cast<std::int64_t>(n.samples));
  row("weights", static_cast<std::int64_t>(n.network.parameters));
  row("steps of a chain", static_cast<std::int64_t>(n.network.schedule.steps));
  row("largest curvature", n.network.schedule.curvature);
  row("correlation", n.correlation);
  row("difference", n.difference);
  row("standard error of the network's mean", std::sqrt(noise));
  row("size of the mean", n.size);
  row("variance of the network", own);
  row("variance of the regression", limit);
  return t;
}

Table widths_table(const NetworkStudy& n) {
  Table t{.id = "widths",
          .title = "Networks before training",
          .columns = {{"width", "", "d"},
                      {"heads", "", "H"},
                      {"mean", "", "of (own − infinite)/√(k(X,X) k(Y,Y))"},
                      {"±", "", "standard error over networks", 2},
                      {"expected", "", "((e + s)² + k)/d, exact for the mean"},
                      {"spread", "", "root mean square of the same"}},
          .rows = {}};
  for (const WidthPoint& p : n.widths)
    t.rows.push_back({static_cast<std::int64_t>(p.shape.width), static_cast<std::int64_t>(p.shape.heads),
                      p.mean, p.mean_error, p.expected, p.spread});
  return t;
}

Table unseen_table(const NetworkStudy& n) {
  Table t{.id = "unseen",
          .title = "Unseen sequences",
          .columns = {{"sequence", "", ""},
                      {"network", "", "mean over time and chains"},
                      {"±", "", "standard error by the chains", 2},
                      {"regression", "", "posterior mean"},
                      {"variance of the network", "", ""},
                      {"variance of the regression", "", ""}},
          .rows = {}};
  for (std::size_t i = 0; i < n.mean.size(); ++i)
    t.rows.push_back({static_cast<std::int64_t>(i), n.network.mean[i], n.network.error[i], n.mean[i],
                      n.network.variance[i], n.variance[i]});
  return t;
}

}  // namespace

Section network_section(const NetworkStudy& n) {
  return {
      .id = "network",
      .title = fmt::format("A network of width {} differs from its limit by {} where that is {}",
                           n.options.shape.width, format_number(n.difference, 2), format_number(n.size, 2)),
      .figures = {network_figure(n), width_figure(n)},
      .tables = {network_table(n), widths_table(n), unseen_table(n)}};
}

}  // namespace telos::symmetry
