#pragma once

#include "telos/report/report.h"

namespace telos::test {

/// A page with a small player in the plane, one with a classifier's halves, one in space, one with `points`
/// points and 100 frames, and a hostile one.
Report player_report(std::size_t points = 10'000);

Player large_player(std::size_t points);
/// Strings that try to break out, coordinates that are not finite, indices that lead nowhere.
Player hostile_player();

}  // namespace telos::test
