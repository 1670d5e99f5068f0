// lathe-sample: writes the sample data as glyphs.npz.
#include <cstdint>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "base/file.h"
#include "data/dataset.h"
#include "experiments/sample/glyphs.h"

int main(int argc, char** argv) {
  CLI::App app("Writes the sample data, distorted glyphs with labels.");
  std::string path = "glyphs.npz";
  int64_t count = 4000;
  uint64_t seed = 2;
  app.add_option("--to", path, "File to write")->capture_default_str();
  app.add_option("--count", count, "Images")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--seed", seed, "Seed; the training data have seed 1")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const absl::StatusOr<std::string> npz =
      lathe::SerializeDataset(lathe::MakeGlyphs(count, seed));
  const absl::Status status =
      npz.ok() ? lathe::WriteFileAtomically(path, *npz) : npz.status();
  if (!status.ok()) {
    std::cerr << "lathe-sample: " << status.message() << "\n";
    return 1;
  }
  std::cerr << "wrote " << count << " images to " << path << "\n";
  return 0;
}
