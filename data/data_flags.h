// The flags that say where samples come from and what becomes of them.
#ifndef LATHE_DATA_DATA_FLAGS_H_
#define LATHE_DATA_DATA_FLAGS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "proto/types.pb.h"

namespace CLI {
class App;
}

namespace lathe {

// As given on the command line.
struct DataFlags {
  std::string path;
  double scale = 1;
  std::vector<double> mean;
  std::vector<double> std;
  std::string channel_order = "rgb";
  std::string layout = "nchw";
  ReadOptions read;
  // By split ("calibration", "search", "confirmation", "report"): a sample
  // count, or a file; empty: the default share.
  std::map<std::string, std::string> splits;
};

// Adds --data and its companions; `flags` must outlive the parse.
void AddDataFlags(CLI::App& command, DataFlags& flags);

struct LoadedData {
  // Complete, digests included.
  v1::DatasetSpec spec;
  // What --data and the splits' files hold, by blob digest.
  std::map<std::string, Dataset> datasets;
  // The canonical blobs, by digest.
  std::map<std::string, std::string> blobs;
};

// Whether the flags make sense by themselves, before any file is read.
// Errors: InvalidArgument - a flag out of range; names it.
absl::Status CheckDataFlags(const DataFlags& flags);

// Reads all the files that the flags name.
//
// Errors: those of CheckDataFlags; those of ReadDataset, with the flag's name.
absl::StatusOr<LoadedData> LoadData(const DataFlags& flags);

}  // namespace lathe

#endif  // LATHE_DATA_DATA_FLAGS_H_
