#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "telos/report/report.h"

/// What the page makes of a Player: its table, the data that player_scene.js decodes, and still pictures.
namespace telos::report {

/// Number of frames, at least 1.
std::size_t frame_count(const Player& player);
/// Frames for which the point's steps say where it is; from there on it stays or approaches its target.
std::size_t given_frames(const Player& player, const Player::Point& point);
/// True if the figure has a line that divides it.
bool has_divider(const Player& player);
/// Coordinates of a point at a frame; NaN where it has none, 0 on axes that the figure lacks.
std::array<double, 3> position(const Player& player, const Player::Point& point, std::size_t frame);
/// Index of the point's group at a frame; 0 if none is given.
std::uint32_t group_at(const Player::Point& point, std::size_t frame);
/// The group that comes k-th at colouring is order[k]: as they are while there are colours for all, else
/// those with most points at the last frame first, so that the large ones differ.
std::vector<std::uint32_t> color_order(const Player& player);
/// The inverse: the place of a group in that order; groups without a name keep their index.
std::vector<std::uint32_t> color_places(const Player& player);
/// "layer 3"
std::string frame_name(const Player& player, std::size_t frame);

/// One row a point: label, group and position at the last frame, the frame from which on it is a star.
Table player_table(const Player& player);

/// How many numbers the paths of a point hold.
std::size_t path_numbers(const Player& player, const Player::Point& point);
/// The player as player_scene.js reads it, with the points `rows` only. Labels are the first column of the
/// table.
nlohmann::ordered_json player_json(const Player& player, const std::vector<std::size_t>& rows);

/// Still pictures of the given frames beside each other, as HTML with inline SVG. Colours are the variables
/// --c0, --c1, … of palette_css. At most 2,000 points are drawn.
std::string player_panels(const Player& player, const std::vector<std::size_t>& frames);
/// The charts' category colours as style sheet variables, for the light and the dark page.
std::string palette_css();

}  // namespace telos::report
