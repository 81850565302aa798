#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "clustering/hardmax_state.h"

namespace telos::clustering {

struct PlanePoint {
  double x = 0, y = 0;
  TokenId token = 0;
};

/// Points of the plane within the unit circle, prepared for the question which of them are extreme, or nearly
/// so, in a direction. A convex polygon stands for all of them. Rounding may choose other vertices, but loses
/// nobody: every point near the polygon's boundary is kept with the edge it is near to. With u half an ulp
/// of 1, h(ν) the largest ⟨ν, p⟩ of all points and D = `reach` ≥ 2^-40:
///
/// The extreme points along the axes are vertices. Of the points between two neighbours a and b (on ab, by
/// projection) the farthest outside line ab becomes a vertex c, with the normal ν of ab, while that is more
/// than D/4; those before c belong between a and c, the others between c and b.
/// (1) A vertex v with normal ν has ⟨ν, v⟩ ≥ h(ν) − 4u, and normals go once around. Each split quarters the
///     triangle that may hold further points, so that no vertex is deeper than 50 splits. By induction over
///     them: for a direction between the normals of neighbours the larger of their scores is h less D/2 at
///     most, and away from there scores fall, along either way, but for a few hundred u < D/8.
/// (2) A point p with ⟨ν, p⟩ ≥ h(ν) − D/2 for some unit vector ν lies within 3D/4 of the boundary: if
///     inside, because D/2 along ν leads out; if outside, by (1).
/// (3) A point within 3D/4 of an edge passes the test of all splits above it, not more than D below the line
///     from a to c (c to b) nor more than D beyond c along ab, and so is listed with that edge.
/// Hence all points with ⟨ν, p⟩ ≥ h(ν) − D/2 are listed with edges that have an end within 2D of the best
/// score, and these edges are neighbours.
class PlaneHull {
 public:
  PlaneHull() = default;
  /// O(n log n).
  PlaneHull(const std::vector<PlanePoint>& points, double reach);

  struct Candidate {
    double score = 0;
    TokenId token = 0;
  };
  /// Appends all points whose canonical score with `q` comes within D/2 · length of the largest, and some
  /// more; a point may come twice. `length` ≥ ‖q‖ > 0. Returns how many scores were evaluated. O(log n) and
  /// those found.
  std::size_t near_best(const double* q, double length, std::vector<Candidate>& found) const;

  /// Points within 3D/4 of the boundary, and some more, ascending: all others lie deeper than that.
  std::vector<TokenId> near_boundary() const;
  /// Corners of a polygon inside, at most `count`, counter-clockwise.
  std::vector<PlanePoint> corners(std::size_t count) const;

 private:
  struct Vertex {
    PlanePoint point;
    double nx = 0, ny = 0;   ///< ν, of length 1
    double length = 0;       ///< of the edge to the next vertex
    std::size_t beside = 0;  ///< first of the points listed with it
  };
  struct Beside {
    PlanePoint point;
    double along = 0;  ///< how far from the edge's start
  };
  struct Listed {
    PlanePoint point;
    bool between = false;  ///< else it is only near to what lies between
  };
  struct Line;
  class Query;

  void split(const Vertex& a, const PlanePoint& b, std::vector<Listed> points);
  void add_edge(const Vertex& a, const Line& line, const std::vector<Listed>& points);
  std::size_t start_of(const double* q) const;

  double reach_ = 0;
  std::vector<Vertex> vertices_;           ///< counter-clockwise, by ν from (0, −1) on
  std::array<std::size_t, 5> quadrant_{};  ///< first vertex with ν in it
  std::vector<Beside> beside_;             ///< by edge, then `along`
};

/// Tells most points that lie deeper than `reach` inside the hull of some.
class PlaneSieve {
 public:
  PlaneSieve() = default;
  PlaneSieve(const std::vector<PlanePoint>& some, double reach);

  bool drops(double x, double y) const {
    const double dx = x - x_, dy = y - y_;
    if (dx * dx + dy * dy < square_) return true;
    // A point to the left of all edges of a closed polygon has it wound around itself.
    bool inside = !edges_.empty();
    for (const Edge& edge : edges_) inside = inside && edge.nx * x + edge.ny * y < edge.offset;
    return inside;
  }

 private:
  struct Edge {
    double nx, ny, offset;
  };
  std::vector<Edge> edges_;
  double x_ = 0, y_ = 0, square_ = 0;  ///< a circle within all of them
};

}  // namespace telos::clustering
