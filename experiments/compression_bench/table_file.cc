#include "experiments/compression_bench/table_file.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/accuracy_curve.h"
#include "base/file.h"
#include "base/status.h"
#include "data/arrays.h"
#include "data/npz.h"

namespace lathe {
namespace {

constexpr int64_t kBudgets = 64;

Array Floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return ArrayOf(Array::Type::kFloat32, std::move(shape), values);
}
Array Floats(const std::vector<float>& values) {
  return Floats({static_cast<int64_t>(values.size())}, values);
}
Array Integers(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  return ArrayOf(Array::Type::kInt64, std::move(shape), values);
}

absl::StatusOr<std::vector<float>> FloatsOf(
    const std::map<std::string, Array>& arrays, const std::string& name) {
  const auto it = arrays.find(name);
  if (it == arrays.end() || it->second.type != Array::Type::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat("no float32 array '", name, "'"));
  }
  return ValuesOf<float>(it->second);
}

std::vector<float> QualityOf(const TablePart& all) {
  std::vector<Evaluated> rows;
  for (size_t i = 0; i < all.accuracy.size(); ++i) {
    Evaluated row;
    row.divergence = all.kl_divergence[i];
    row.accuracy_ratio = all.accuracy[i] / all.accuracy[0];
    rows.push_back(std::move(row));
  }
  AccuracyCurve curve;
  curve.Fit(rows);
  std::vector<float> quality;
  for (const Evaluated& row : rows) {
    quality.push_back(
        static_cast<float>(all.accuracy[0] * curve.At(row.divergence)));
  }
  return quality;
}

std::vector<float> Axis(const std::vector<float>& ratios) {
  const float least = *std::min_element(ratios.begin(), ratios.end());
  std::vector<float> axis;
  for (int64_t i = 0; i < kBudgets; ++i) {
    axis.push_back(least + (1 - least) * i / (kBudgets - 1));
  }
  return axis;
}

double ExhaustiveHypervolume(const TablePart& all,
                             const std::vector<float>& quality,
                             const std::vector<float>& latencies,
                             const std::vector<float>& sizes, float reference) {
  double sum = 0;
  for (const float latency : latencies) {
    for (const float size : sizes) {
      float best = reference;
      for (size_t i = 0; i < quality.size(); ++i) {
        if (all.latency_ratio[i] <= latency && all.size_ratio[i] <= size) {
          best = std::max(best, quality[i]);
        }
      }
      sum += best - reference;
    }
  }
  return sum / static_cast<double>(latencies.size() * sizes.size());
}

void AddDecisions(const std::vector<SegmentDecision>& decisions,
                  std::map<std::string, Array>* arrays) {
  size_t most = 0;
  for (const SegmentDecision& d : decisions) {
    most = std::max(most, d.choices.size());
  }
  std::vector<int64_t> shape, bits;
  std::vector<float> keep, features;
  for (const SegmentDecision& d : decisions) {
    shape.push_back(static_cast<int64_t>(d.choices.size()));
    for (size_t c = 0; c < most; ++c) {
      // What is beyond a decision's choices is not read.
      const SegmentChoice& choice =
          d.choices[std::min(c, d.choices.size() - 1)];
      bits.push_back(choice.bits);
      keep.push_back(static_cast<float>(choice.keep));
    }
    for (const int64_t number :
         {d.in_channels, d.out_channels, d.out_pixels, d.kernel, d.macs}) {
      features.push_back(static_cast<float>(number));
    }
  }
  const auto count = static_cast<int64_t>(decisions.size());
  const auto width = static_cast<int64_t>(most);
  (*arrays)["shape"] = Integers({count}, shape);
  (*arrays)["choice_bits"] = Integers({count, width}, bits);
  (*arrays)["choice_keep"] = Floats({count, width}, keep);
  (*arrays)["features"] = Floats({count, 5}, features);
}

}  // namespace

void TablePart::Append(const TablePart& other) {
  const auto add = [](const std::vector<float>& from, std::vector<float>* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  add(other.kl_divergence, &kl_divergence);
  add(other.accuracy, &accuracy);
  add(other.latency_ratio, &latency_ratio);
  add(other.size_ratio, &size_ratio);
}

absl::Status WritePart(const std::string& path, const TablePart& part) {
  LATHE_ASSIGN_OR_RETURN(
      const std::string bytes,
      SerializeNpz({{"kl", Floats(part.kl_divergence)},
                    {"accuracy", Floats(part.accuracy)},
                    {"latency_ratio", Floats(part.latency_ratio)},
                    {"size_ratio", Floats(part.size_ratio)}}));
  return WriteFileAtomically(path, bytes);
}

absl::StatusOr<TablePart> ReadPart(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  LATHE_ASSIGN_OR_RETURN(const auto arrays, ParseNpz(bytes));
  TablePart part;
  LATHE_ASSIGN_OR_RETURN(part.kl_divergence, FloatsOf(arrays, "kl"));
  LATHE_ASSIGN_OR_RETURN(part.accuracy, FloatsOf(arrays, "accuracy"));
  LATHE_ASSIGN_OR_RETURN(part.latency_ratio, FloatsOf(arrays, "latency_ratio"));
  LATHE_ASSIGN_OR_RETURN(part.size_ratio, FloatsOf(arrays, "size_ratio"));
  return part;
}

absl::Status WriteTable(const std::string& path,
                        const std::vector<SegmentDecision>& decisions,
                        const TablePart& all, double reference_share) {
  const std::vector<float> quality = QualityOf(all);
  const std::vector<float> latencies = Axis(all.latency_ratio);
  const std::vector<float> sizes = Axis(all.size_ratio);
  const auto reference = static_cast<float>(reference_share * quality[0]);
  std::map<std::string, Array> arrays;
  AddDecisions(decisions, &arrays);
  arrays["kl"] = Floats(all.kl_divergence);
  arrays["accuracy"] = Floats(all.accuracy);
  arrays["quality"] = Floats(quality);
  arrays["latency_ratio"] = Floats(all.latency_ratio);
  arrays["size_ratio"] = Floats(all.size_ratio);
  arrays["budget_latency"] = Floats(latencies);
  arrays["budget_size"] = Floats(sizes);
  arrays["quality_reference"] = Floats({}, {reference});
  arrays["exhaustive_hypervolume"] =
      Floats({}, {static_cast<float>(ExhaustiveHypervolume(
                     all, quality, latencies, sizes, reference))});
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, SerializeNpz(arrays));
  return WriteFileAtomically(path, bytes);
}

}  // namespace lathe
