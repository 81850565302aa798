#pragma once

#include <memory>

#include "clustering/argmax.h"

namespace telos::clustering {

/// For one or two dimensions: whom a token follows lies on the convex hull, where a binary search by
/// directions finds it. A layer costs O(log n) a query; its hull is that of the active tokens, the leaders
/// and the outermost followers, except for one pass over all tokens at the first layers and whenever sleeping
/// followers are looked at again (when distances have shrunk by 2^18).
std::unique_ptr<ArgmaxSource> make_plane_source();

}  // namespace telos::clustering
