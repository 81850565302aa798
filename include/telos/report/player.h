#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace telos {

/// An animated figure: points that move from frame to frame, drawn on a canvas with a slider and a play
/// button. Between two frames each point moves on a straight line. Knows nothing of what the points are.
/// Coordinates that are not finite are not drawn; equal scales on all axes. Made for up to 10⁴ points and 10²
/// frames: where the page would exceed its limit, points are left out evenly (stars last), which it says. The
/// positions at the last frame are the figure's table, with all points in the CSV file.
struct Player {
  std::string id{}, title{}, caption{}, alt{};
  std::string frame_label = "layer";  ///< what the slider counts
  std::vector<double> frames{};       ///< value of each frame: 0, 1, 2, …, or times
  std::size_t dimension = 2;          ///< 1, 2, or 3: the view can be turned
  std::string axes[3]{};              ///< axis labels, may be empty

  /// Where a point is at each frame: given for the first frames, and from then on
  /// target + ratio^k (last − target), k frames after the last given one; without target it stays.
  struct Point {
    std::string label{};                  ///< shown on hover; searched by the page
    std::vector<float> steps{};           ///< `dimension` numbers a frame, for at least one frame
    std::vector<float> target{};          ///< empty, or `dimension` numbers
    std::size_t star_from = kNever;       ///< frame from which on it is drawn as a star, with its label
    std::vector<std::uint32_t> groups{};  ///< colour at each frame; the last entry holds for all later ones
    float weight = 1;                     ///< area of the mark
  };
  static constexpr std::size_t kNever = static_cast<std::size_t>(-1);
  std::vector<Point> points{};
  std::string star_label = "leader";  ///< what a star is
  double ratio = 0;                   ///< r of the approach to targets
  std::vector<std::string> groups{};  ///< names of the groups
  bool trails = true, hull = true;    ///< can be switched off on the page; hull for dimension 2
  bool mean = false;                  ///< the weighted mean of all points as a triangle
  /// A line a·x + b = 0 that divides the plane into a positive and a negative half (dimension 2).
  bool divide = false;
  double normal[2]{}, offset = 0;
  std::string negative{}, positive{};  ///< names of the halves
  /// Indices of frames that stand as small pictures under the figure, as in print; without scripts, the first
  /// and the last frame are shown if there are none.
  std::vector<std::size_t> panels{};
};

}  // namespace telos
