#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace telos::clustering {

/// One entry of a zip file that lies there uncompressed.
struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0, bytes = 0;  ///< of its content, proven to lie inside the file
};

/// The stored entries of a zip file, which is what torch.save writes: nothing is unpacked and no pickle is
/// run. Entries that are compressed, encrypted or larger than 4 GB are left out. Throws kMissingFile, kIo,
/// kBadFormat (no zip file, or one whose parts contradict each other), kTruncated, kLimit.
std::vector<ZipEntry> stored_entries(const std::string& path);

}  // namespace telos::clustering
