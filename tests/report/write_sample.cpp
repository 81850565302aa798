#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>

#include "player_sample.h"
#include "sample.h"

/// write_sample DIR [calm | players]: the files of the sample report, for the browser test.
int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: write_sample DIR [calm | players]\n";
    return 2;
  }
  const std::string_view kind = argc > 2 ? argv[2] : "";
  const telos::Report report = kind == "calm"      ? telos::test::calm_report()
                               : kind == "players" ? telos::test::player_report()
                                                   : telos::test::sample_report();
  for (const auto& [name, content] : telos::report_files(report)) {
    const std::filesystem::path path = std::filesystem::path(argv[1]) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file << content;
    if (!file.flush()) {
      std::cerr << "cannot write " << path << '\n';
      return 3;
    }
  }
  std::cout << telos::render_terminal(report);
  return 0;
}
