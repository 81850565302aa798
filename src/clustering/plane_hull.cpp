#include "clustering/plane_hull.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

namespace telos::clustering {
namespace {

constexpr std::size_t kSieveEdges = 32;
constexpr std::array<std::array<double, 2>, 4> kAxes{{{0, -1}, {1, 0}, {0, 1}, {-1, 0}}};

/// The extreme points along the axes; equal ones in two directions where that is possible.
std::array<PlanePoint, 4> ends_of(const std::vector<PlanePoint>& points) {
  const auto least = [&](auto key) { return *std::ranges::min_element(points, {}, key); };
  return {least([](const PlanePoint& p) { return std::tuple(p.y, p.x, p.token); }),
          least([](const PlanePoint& p) { return std::tuple(-p.x, p.y, p.token); }),
          least([](const PlanePoint& p) { return std::tuple(-p.y, -p.x, p.token); }),
          least([](const PlanePoint& p) { return std::tuple(p.x, -p.y, p.token); })};
}

}  // namespace

/// The line from a to b; its right-hand side is outside.
struct PlaneHull::Line {
  PlanePoint a;
  double dx, dy, length;

  Line(const PlanePoint& from, const PlanePoint& to)
      : a(from), dx(to.x - from.x), dy(to.y - from.y), length(std::hypot(dx, dy)) {
    dx /= length;
    dy /= length;
  }
  double outside(const PlanePoint& p) const { return (p.x - a.x) * dy - (p.y - a.y) * dx; }
  double along(const PlanePoint& p) const { return (p.x - a.x) * dx + (p.y - a.y) * dy; }
};

PlaneHull::PlaneHull(const std::vector<PlanePoint>& points, double reach) : reach_(reach) {
  if (points.empty()) return;
  const std::array<PlanePoint, 4> ends = ends_of(points);
  for (std::size_t side = 0; side < 4; ++side) {
    quadrant_[side] = vertices_.size();
    const PlanePoint& b = ends[(side + 1) % 4];
    const Vertex a{ends[side], kAxes[side][0], kAxes[side][1]};
    if (a.point.token == b.token) {
      vertices_.push_back(a);
      vertices_.back().beside = beside_.size();
      continue;
    }
    const Line line(a.point, b);
    std::vector<Listed> listed;
    for (const PlanePoint& p : points) {
      if (p.token == a.point.token || p.token == b.token || line.outside(p) < -reach) continue;
      const double along = line.along(p);
      if (along >= -reach && along <= line.length + reach)
        listed.push_back({p, along >= 0 && along <= line.length});
    }
    split(a, b, std::move(listed));
  }
  quadrant_[4] = vertices_.size();
  if (vertices_.size() == 4 && ends[0].token == ends[2].token)  // all in one place
    for (const PlanePoint& p : points)
      if (p.token != ends[0].token) beside_.push_back({p, 0});
}

void PlaneHull::split(const Vertex& a, const PlanePoint& b, std::vector<Listed> points) {
  const Line line(a.point, b);
  double farthest = reach_ / 4;
  const Listed* top = nullptr;
  for (const Listed& p : points)
    if (const double outside = p.between ? line.outside(p.point) : 0; outside > farthest) {
      farthest = outside;
      top = &p;
    }
  if (top == nullptr) return add_edge(a, line, points);

  const Vertex c{top->point, line.dy, -line.dx};
  const Line before(a.point, c.point), after(c.point, b);
  const double middle = line.along(c.point);
  std::vector<Listed> left, right;
  for (const Listed& p : points) {
    if (p.point.token == c.point.token) continue;
    const double along = line.along(p.point);
    if (along <= middle + reach_ && before.outside(p.point) >= -reach_)
      left.push_back({p.point, p.between && along <= middle});
    if (along >= middle - reach_ && after.outside(p.point) >= -reach_)
      right.push_back({p.point, p.between && along > middle});
  }
  points = {};
  split(a, c.point, std::move(left));
  split(c, b, std::move(right));
}

void PlaneHull::add_edge(const Vertex& a, const Line& line, const std::vector<Listed>& points) {
  vertices_.push_back(a);
  vertices_.back().length = line.length;
  vertices_.back().beside = beside_.size();
  for (const Listed& p : points) beside_.push_back({p.point, line.along(p.point)});
  std::sort(beside_.begin() + static_cast<std::ptrdiff_t>(vertices_.back().beside), beside_.end(),
            [](const Beside& p, const Beside& q) {
              return std::tie(p.along, p.point.token) < std::tie(q.along, q.point.token);
            });
}

/// One query's walk along the polygon.
class PlaneHull::Query {
 public:
  Query(const PlaneHull& hull, const double* q, double length, std::vector<Candidate>& found)
      : hull_(hull), q_(q), found_(found) {
    const std::size_t at = hull.start_of(q), after = next(at);
    const double a = score(hull.vertices_[at].point), b = score(hull.vertices_[after].point);
    limit_ = std::max(a, b) - 2 * hull.reach_ * length;
    add_beside(at, a, b);
    if (walk<true>(after, b)) walk<false>(at, a);
  }
  std::size_t scores() const { return scores_; }

 private:
  std::size_t next(std::size_t v) const { return v + 1 == hull_.vertices_.size() ? 0 : v + 1; }
  std::size_t previous(std::size_t v) const { return (v == 0 ? hull_.vertices_.size() : v) - 1; }

  double score(const PlanePoint& p) {
    ++scores_;
    const double at[2] = {p.x, p.y};
    return canonical_dot(q_, at, 2);
  }

  /// Takes vertices and what lies beside the edges behind them, while they come near enough. False after a
  /// whole round.
  template <bool kForward>
  bool walk(std::size_t at, double value) {
    for (std::size_t step = 0; step < hull_.vertices_.size(); ++step) {
      if (value < limit_) return true;
      found_.push_back({value, hull_.vertices_[at].point.token});
      const std::size_t to = kForward ? next(at) : previous(at);
      const double there = score(hull_.vertices_[to].point);
      if constexpr (kForward)
        add_beside(at, value, there);
      else
        add_beside(to, there, value);
      at = to;
      value = there;
    }
    return false;
  }

  /// Points beside an edge whose ends have scores a and b, where the edge itself comes near enough.
  void add_beside(std::size_t edge, double a, double b) {
    const Vertex& vertex = hull_.vertices_[edge];
    const std::size_t end =
        edge + 1 == hull_.vertices_.size() ? hull_.beside_.size() : hull_.vertices_[edge + 1].beside;
    if (vertex.beside == end || (a < limit_ && b < limit_)) return;
    double low = -std::numeric_limits<double>::infinity(), high = -low;
    const double crossing = vertex.length * ((limit_ - a) / (b - a));
    if (a < limit_) low = crossing - hull_.reach_;
    if (b < limit_) high = crossing + hull_.reach_;
    const auto last = hull_.beside_.begin() + static_cast<std::ptrdiff_t>(end);
    auto p = std::lower_bound(hull_.beside_.begin() + static_cast<std::ptrdiff_t>(vertex.beside), last, low,
                              [](const Beside& beside, double bound) { return beside.along < bound; });
    for (; p != last && p->along <= high; ++p) found_.push_back({score(p->point), p->point.token});
  }

  const PlaneHull& hull_;
  const double* q_;
  std::vector<Candidate>& found_;
  double limit_ = 0;
  std::size_t scores_ = 0;
};

/// The last vertex whose normal does not come after q.
std::size_t PlaneHull::start_of(const double* q) const {
  const std::size_t side = q[1] < 0 && q[0] >= 0 ? 0 : q[0] > 0 ? 1 : q[1] > 0 ? 2 : 3;
  const auto first = vertices_.begin() + static_cast<std::ptrdiff_t>(quadrant_[side]);
  const auto last = vertices_.begin() + static_cast<std::ptrdiff_t>(quadrant_[side + 1]);
  const auto after =
      std::partition_point(first + 1, last, [&](const Vertex& v) { return v.nx * q[1] - v.ny * q[0] >= 0; });
  return static_cast<std::size_t>(after - vertices_.begin()) - 1;
}

std::size_t PlaneHull::near_best(const double* q, double length, std::vector<Candidate>& found) const {
  return vertices_.empty() ? 0 : Query(*this, q, length, found).scores();
}

std::vector<TokenId> PlaneHull::near_boundary() const {
  std::vector<TokenId> tokens;
  for (const Vertex& v : vertices_) tokens.push_back(v.point.token);
  for (const Beside& p : beside_) tokens.push_back(p.point.token);
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

std::vector<PlanePoint> PlaneHull::corners(std::size_t count) const {
  const std::size_t each = (vertices_.size() + count - 1) / count;
  std::vector<PlanePoint> corners;
  for (std::size_t v = 0; v < vertices_.size(); v += each) corners.push_back(vertices_[v].point);
  return corners;
}

PlaneSieve::PlaneSieve(const std::vector<PlanePoint>& some, double reach) {
  const std::vector<PlanePoint> corners = PlaneHull(some, reach).corners(kSieveEdges);
  for (std::size_t c = 0; c < corners.size(); ++c) {
    const PlanePoint &a = corners[c], &b = corners[c + 1 == corners.size() ? 0 : c + 1];
    x_ += a.x / static_cast<double>(corners.size());
    y_ += a.y / static_cast<double>(corners.size());
    const double length = std::hypot(b.x - a.x, b.y - a.y);
    if (length == 0) continue;
    const double nx = (b.y - a.y) / length, ny = (a.x - b.x) / length;
    edges_.push_back({nx, ny, nx * a.x + ny * a.y - reach});
  }
  if (edges_.empty()) return;
  double radius = std::numeric_limits<double>::infinity();
  for (const Edge& edge : edges_) radius = std::min(radius, edge.offset - edge.nx * x_ - edge.ny * y_);
  if (radius > 0) square_ = radius * radius;
}

}  // namespace telos::clustering
