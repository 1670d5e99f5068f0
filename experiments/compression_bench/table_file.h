// Writes an enumerated table, from parts that were measured one by one.
#ifndef LATHE_EXPERIMENTS_COMPRESSION_BENCH_TABLE_FILE_H_
#define LATHE_EXPERIMENTS_COMPRESSION_BENCH_TABLE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/compression_bench/segment_space.h"

namespace lathe {

// Of consecutive configurations, row-major over the decisions.
struct TablePart {
  std::vector<float> kl_divergence;
  std::vector<float> accuracy;
  std::vector<float> latency_ratio;
  std::vector<float> size_ratio;

  void Append(const TablePart& other);
};

absl::Status WritePart(const std::string& path, const TablePart& part);
// Errors: NotFound; InvalidArgument - not a part.
absl::StatusOr<TablePart> ReadPart(const std::string& path);

// The .npz of experiments/tables/README.md. Quality is the monotone regression
// of accuracy on divergence over all configurations; the reference is
// `reference_share` of the first configuration's quality; the budgets are 64
// from the least to 1 on each axis.
//
// REQUIRES: `all` has a row for each configuration.
absl::Status WriteTable(const std::string& path,
                        const std::vector<SegmentDecision>& decisions,
                        const TablePart& all, double reference_share);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_COMPRESSION_BENCH_TABLE_FILE_H_
