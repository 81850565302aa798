#include "sample.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "telos/base/philox.h"
#include "telos/report/charts.h"

namespace telos::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kLayers = 6, kHeads = 12;

std::string head_name(int layer, int head) {
  return std::to_string(layer) + "." + std::to_string(head);
}

ChartText chart_text(const std::string& id, const std::string& title, const std::string& caption,
                     const std::string& x, const std::string& y) {
  ChartText text;
  text.id = id;
  text.title = title;
  text.caption = caption;
  text.alt = title;
  text.x_label = x;
  text.y_label = y;
  return text;
}

Series curve(const std::string& name, double start, double rate, double wobble, bool dashed) {
  Series s;
  s.name = name;
  s.dashed = dashed;
  for (int l = 0; l <= kLayers; ++l) {
    const double y = 1 - (1 - start) * std::exp(-rate * l) + wobble * std::sin(2.0 * l);
    s.x.push_back(l);
    s.y.push_back(y);
    if (!dashed) {
      s.low.push_back(y - 0.02 - 0.004 * l);
      s.high.push_back(y + 0.02 + 0.004 * l);
    }
  }
  return s;
}

Figure depth_figure() {
  return line_chart(
      chart_text("mean-cosine",
                 "Tokens become more alike from layer to layer, faster without the residual branch",
                 "Mean cosine between two tokens of a window; band: 5th to 95th percentile over 10 windows. "
                 "Dashed: closed form, eq. 7.",
                 "layer", "mean cosine"),
      {curve("all tokens", 0.21, 0.11, 0.01, false),
       curve("without [CLS] and [SEP]", 0.17, 0.08, 0.008, false),
       curve("theory, residual", 0.21, 0.1, 0, true)});
}

Figure spectrum_figure() {
  Random random(7);
  std::vector<ScatterPoint> points;
  for (int l = 0; l < kLayers; ++l)
    for (int i = 0; i < 64; ++i) {
      const double radius = 0.35 * std::sqrt(random.uniform()),
                   angle = 2 * std::numbers::pi * random.uniform();
      const double x = -0.05 * l + radius * std::cos(angle), y = radius * std::sin(angle);
      points.push_back({x, y,
                        l < 2   ? "layers 0–1"
                        : l < 4 ? "layers 2–3"
                                : "layers 4–5",
                        head_name(l, i % kHeads), "eigenvalue " + std::to_string(i)});
    }
  points.push_back({-1.31, 0.0, "dominating", "5.7", "dominates"});
  return scatter_chart(
      chart_text("spectrum",
                 "The dominating eigenvalue of layer 5 lies left of the disk where smoothing begins",
                 "Eigenvalues of H = W_V W_O. Dashed: |1 + λ| = 1.", "Re λ", "Im λ"),
      points, {{-1, 1, "|1 + λ| = 1", true}, {0, 0.5, "attention part", false}});
}

Figure head_map() {
  Random random(3);
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values(kLayers, std::vector<double>(kHeads));
  for (int l = 0; l < kLayers; ++l) rows.push_back(std::to_string(l));
  for (int h = 0; h < kHeads; ++h) columns.push_back(std::to_string(h));
  for (auto& row : values)
    for (double& v : row) v = 0.12 * random.normal() - 0.03;
  values[5][7] = -0.3111;
  values[2][3] = kNaN;
  values[4][4] = kNaN;
  return heat_map(chart_text("gain-map", "Layers 4–5 do the smoothing, mostly head 5.7",
                             "Gain of the high-frequency part, one cell a head.", "head", "layer"),
                  rows, columns, values, "gain", true);
}

Figure cost_map() {
  std::vector<std::string> columns;
  std::vector<std::vector<double>> values(4);
  for (int c = 0; c < 30; ++c) columns.push_back(std::to_string(c));
  for (std::size_t r = 0; r < values.size(); ++r)
    for (int c = 0; c < 30; ++c) values[r].push_back(std::exp(0.1 * c - static_cast<double>(r)));
  return heat_map(chart_text("attention-entropy", "Attention entropy rises with position",
                             "Entropy of an attention row.", "position", "part of the text"),
                  {"title", "abstract", "body", "references"}, columns, values, "entropy (nat)", false);
}

Figure head_bars() {
  Random random(11);
  std::vector<Bar> bars;
  for (int i = 0; i < 12; ++i) {
    const int layer = 5 - i / 3, head = (7 + 5 * i) % kHeads;
    const double value = 0.22 - 0.036 * i;
    bars.push_back({head_name(layer, head), value > 0 ? "sharpens" : "smooths", head_name(layer, head), value,
                    0.01 + 0.01 * random.uniform()});
  }
  bars[3].error = 0;
  return bar_chart(chart_text("contributions", "Five heads account for most of the smoothing",
                              "Signed contribution of a head, ± standard error over 10 windows.",
                              "contribution to the gain", "head"),
                   bars);
}

Figure spectrum_lines() {
  ChartText text = chart_text("singular-values", "Singular values follow the random-matrix edge",
                              "Singular values of W_V W_O, largest first.", "rank", "singular value");
  text.log_y = true;
  std::vector<Series> series;
  for (int l = 0; l < 3; ++l) {
    Series s;
    s.name = "layer " + std::to_string(l);
    for (int i = 1; i <= 200; ++i) {
      s.x.push_back(i);
      s.y.push_back((3 + l) * std::exp(-0.01 * i * (l + 1)));
    }
    series.push_back(s);
  }
  series.push_back({"random matrix", {1, 200}, {2.0, 0.3}, {}, {}, true});
  return line_chart(text, series);
}

Table layer_table() {
  Table t;
  t.id = "layers";
  t.title = "Measures by layer";
  t.caption = "Means over 10 windows of 128 tokens.";
  t.in_terminal = true;
  t.columns = {
      {"layer", "", "", 4},
      {"cos", "", "Mean cosine between two different tokens of a window.", 2},
      {"hfc/lfc", "", "Norm of the part orthogonal to the mean token over the norm of the mean part.", 2},
      {"srank", "", "Stable rank ‖X‖²_F / ‖X‖²_2.", 2},
      {"gain", "", "Relative change of hfc/lfc by the layer's attention.", 2},
      {"smooth", "heads", "", 4},
      {"note", "", "", 4}};
  for (std::int64_t l = 0; l <= kLayers; ++l) {
    const double d = static_cast<double>(l);
    t.rows.push_back({l, 0.21 + 0.07 * d, 3.9 - 0.46 * d, 9.8 - 0.7 * d, l == 3 ? kNaN : 0.04 - 0.031 * d, l,
                      std::string(l == 5 ? "head 5.7" : "")});
  }
  return t;
}

Table head_table() {
  Table t;
  t.id = "heads";
  t.title = "All heads";
  t.caption = "What each head does to the high-frequency part.";
  t.columns = {{"head", "", "A head as layer.head, both counted from 0.", 4},
               {"gain", "", "", 4},
               {"± gain", "", "", 2},
               {"verdict", "", "", 4}};
  Random random(5);
  for (int l = 0; l < kLayers; ++l)
    for (int h = 0; h < kHeads; ++h) {
      const double gain = 0.1 * random.normal();
      t.rows.push_back({head_name(l, h), gain, 0.01 * random.uniform(),
                        std::string(gain < -0.02  ? "smooths"
                                    : gain > 0.02 ? "sharpens"
                                                  : "mixed")});
    }
  return t;
}

}  // namespace

const std::vector<std::string>& hostile_strings() {
  static const std::vector<std::string> kStrings = {
      "<script>alert(1)</script>",
      "</script><script>alert(2)</script>",
      "<!-- <script> -->",
      "\"quoted\" 'single' & ampersand",
      "\" onmouseover=\"alert(3)",
      "<img src=x onerror=alert(4)>",
      "line\nbreak\rreturn\ttab",
      std::string("nul\0byte", 8),
      "escape \x1b[31mred\x1b[0m",
      "broken \xff\xfe utf-8 \xc3",
      "separators \xE2\x80\xA8 and \xE2\x80\xA9",
      "right \xE2\x80\xAE to left",
      "pipe | star * back ` tick \\ [link](javascript:alert(5))",
      "=1+1,\"csv\"",
      "{{7*7}} ${7*7} datum['x'] ]]>",
      "日本語 ñ e\xCC\x81 🙂",
      "",
      "..",
      "../../etc/passwd",
      "__proto__",
  };
  return kStrings;
}

Report calm_report() {
  Report r;
  r.command = "diagnose";
  r.subject = "all-MiniLM-L6-v2";
  r.facts = {{"model", "BERT encoder · 6 layers · d 384 · 12 heads × 32 · post-LayerNorm",
              "model.safetensors  91 MB f32  53aa5117…"},
             {"text", "notes.txt · 1,204 tokens · 10 windows of 128",
              "forward 0.8 s · peak 210 MB · seed 0 · 2 threads"}};
  r.verdict = {"Tokens grow alike through depth, but do not collapse.",
               "measured on the text",
               {"mean cosine rises in 6 of 6 layers", "stable rank stays above 4 in every layer"}};
  r.keys = {{"mean cosine", "0.21 → 0.63", "(layer 0 → 6; 0.55 without [CLS] and [SEP])",
             "Mean of cos(x_i, x_j) over pairs i ≠ j of a window."},
            {"HFC/LFC", "3.9 → 1.1", "",
             "Norm of the part orthogonal to the mean token over the norm of the mean part."},
            {"heads", "41 smooth · 9 sharpen · 22 mixed", "of 72 (weights: tendency only)", ""},
            {"strongest", "5.7 smooths", "gain −0.18 ± 0.01", ""}};
  r.lead = {depth_figure()};
  r.sections.push_back({"spectra",
                        "Layers 4–5 do the smoothing, mostly heads 4.2, 5.7 and 5.9",
                        {"The eigenvalues of H = W_V W_O of the last two layers lie further left than those "
                         "of the first. Where |1 + λ| < 1, a layer with a residual branch "
                         "shrinks the direction of λ; outside it grows."},
                        {spectrum_figure(), head_map(), head_bars()},
                        {layer_table(), head_table()}});
  r.sections.push_back({"more",
                        "The tail of the spectrum is that of a random matrix",
                        {"Singular values are compared with the edge of the Marchenko–Pastur law."},
                        {spectrum_lines(), cost_map()},
                        {}});
  r.definitions = {{"HFC, LFC",
                    "high- and low-frequency component: the part of the token matrix orthogonal to, and "
                    "along, the all-ones vector."},
                   {"tendency", "what the weights suggest without any data."}};
  r.provenance = {{"command", "telos diagnose all-MiniLM-L6-v2 --text notes.txt --out demo-report"},
                  {"telos", "0.1.0"},
                  {"seed", "0"}};
  r.not_measured = {"perplexity: the model has no language-model head"};
  r.remarks = {"the spectra are those of float32 weights"};
  return r;
}

Report sample_report() {
  Report r = calm_report();
  const auto& hostile = hostile_strings();
  Section section;
  section.id = hostile[1];
  section.title = "Hostile strings: " + hostile[0];
  section.paragraphs = hostile;
  std::vector<ScatterPoint> points;
  std::vector<Bar> bars;
  Table table;
  table.id = hostile[18];
  table.title = hostile[1];
  table.caption = hostile[4];
  table.columns = {{"key", "", hostile[0], 4}, {hostile[3], hostile[1], hostile[5], 4}, {"value", "", "", 4}};
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    const double x = static_cast<double>(i);
    points.push_back({x, i % 4 == 0 ? kNaN : std::sin(x), hostile[i % 7], hostile[i], hostile[i]});
    bars.push_back({hostile[i], hostile[(i + 1) % 3], hostile[i], i % 5 == 0 ? kNaN : x - 7.5, 0.4});
    table.rows.push_back({hostile[i], hostile[i],
                          i % 3 == 0   ? kNaN
                          : i % 3 == 1 ? std::numeric_limits<double>::infinity()
                                       : 1 / (x + 1)});
  }
  Series series{
      hostile[1], {0, 1, 2, 3, kNaN}, {1, kNaN, 0.5, 2, 3}, {0.5, kNaN, 0.25, 1.5, 2}, {1.5, kNaN, 1, 2.5, 4},
      false};
  section.figures = {
      scatter_chart(chart_text(hostile[0], hostile[1], hostile[2], hostile[3], hostile[14]), points,
                    {{0, 2, hostile[0], true}}),
      bar_chart(chart_text(hostile[12], hostile[5], hostile[7], hostile[9], hostile[10]), bars),
      line_chart(chart_text(hostile[13], hostile[14], hostile[15], hostile[16], hostile[8]),
                 {series, {hostile[3], {2}, {1}, {}, {}, true}}),
      heat_map(chart_text(hostile[18], hostile[17], hostile[6], hostile[11], hostile[12]),
               {hostile[0], hostile[0], hostile[9]}, {hostile[3], hostile[14]},
               {{1, -2}, {kNaN, 0}, {0.5, 3}}, hostile[4], true),
      wire_chart(chart_text(hostile[2], hostile[13], hostile[1], hostile[0], hostile[9]),
                 {hostile[0], hostile[7]}, {hostile[1], hostile[14]}, {{0, 0, 1, hostile[3], hostile[12]}})};
  section.tables = {table};
  r.sections.push_back(section);
  r.not_measured = hostile;
  r.remarks = hostile;
  r.definitions.push_back({hostile[0], hostile[1]});
  r.provenance.emplace_back(hostile[4], hostile[1]);
  return r;
}

}  // namespace telos::test
