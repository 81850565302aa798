#pragma once

#include <string_view>

/// What the page carries in itself, put into the library at build time (assets.S.in).
namespace telos::report {

struct Assets {
  std::string_view vega, vega_lite, vega_embed;                      ///< third_party/vega
  std::string_view player_pen, player_pixels, player_scene, player;  ///< player*.js, for pages with a player
  std::string_view page_js, page_css;  ///< page.js and page.css beside this file
  std::string_view script_hashes;      ///< of all scripts, as Content-Security-Policy sources
};
Assets assets();

}  // namespace telos::report
