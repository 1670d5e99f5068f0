#include "experiments/tables/table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "data/npz.h"

namespace lathe {
namespace {

// Reads the arrays of one table, naming what is wrong with them.
class TableReader {
 public:
  explicit TableReader(std::map<std::string, Array> arrays)
      : arrays_(std::move(arrays)) {}

  absl::StatusOr<ConfigurationTable> Read() {
    LATHE_RETURN_IF_ERROR(ReadDecisions());
    LATHE_RETURN_IF_ERROR(ReadColumn("kl", &table_.kl_divergence));
    LATHE_RETURN_IF_ERROR(ReadColumn("accuracy", &table_.accuracy));
    LATHE_RETURN_IF_ERROR(ReadColumn("quality", &table_.quality));
    LATHE_RETURN_IF_ERROR(ReadColumn("latency_ratio", &table_.latency_ratio));
    LATHE_RETURN_IF_ERROR(ReadColumn("size_ratio", &table_.size_ratio));
    LATHE_RETURN_IF_ERROR(CheckColumns());
    LATHE_ASSIGN_OR_RETURN(table_.latency_budgets, Numbers("budget_latency"));
    LATHE_ASSIGN_OR_RETURN(table_.size_budgets, Numbers("budget_size"));
    LATHE_ASSIGN_OR_RETURN(table_.quality_reference,
                           Scalar("quality_reference"));
    LATHE_ASSIGN_OR_RETURN(table_.exhaustive_hypervolume,
                           Scalar("exhaustive_hypervolume"));
    if (!(table_.exhaustive_hypervolume > 0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "exhaustive_hypervolume = ", table_.exhaustive_hypervolume,
          ", not positive"));
    }
    return std::move(table_);
  }

 private:
  // All elements of an array, whatever its type.
  absl::StatusOr<std::vector<double>> Numbers(const std::string& name) const {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no array '", name, "' in the table"));
    }
    std::vector<double> numbers;
    switch (found->second.type) {
      case Array::Type::kFloat32:
        Widen<float>(found->second.bytes, &numbers);
        break;
      case Array::Type::kUint8:
        Widen<uint8_t>(found->second.bytes, &numbers);
        break;
      case Array::Type::kInt8:
        Widen<int8_t>(found->second.bytes, &numbers);
        break;
      case Array::Type::kInt32:
        Widen<int32_t>(found->second.bytes, &numbers);
        break;
      case Array::Type::kInt64:
        Widen<int64_t>(found->second.bytes, &numbers);
        break;
    }
    return numbers;
  }

  template <typename T>
  static void Widen(const std::string& bytes, std::vector<double>* numbers) {
    const size_t count = bytes.size() / sizeof(T);
    std::vector<T> values(count);
    std::memcpy(values.data(), bytes.data(), count * sizeof(T));
    numbers->assign(values.begin(), values.end());
  }

  absl::StatusOr<double> Scalar(const std::string& name) const {
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> numbers, Numbers(name));
    if (numbers.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", name, "' has ", numbers.size(), " elements, not 1"));
    }
    return numbers[0];
  }

  // An array of `rows` rows; how many columns they have.
  absl::StatusOr<std::vector<double>> Matrix(const std::string& name,
                                             size_t rows,
                                             size_t* columns) const {
    LATHE_ASSIGN_OR_RETURN(std::vector<double> numbers, Numbers(name));
    const Array& array = arrays_.at(name);
    if (array.shape.size() != 2 ||
        array.shape[0] != static_cast<int64_t>(rows)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", name, "' is no matrix of ", rows, " rows, one a decision"));
    }
    *columns = static_cast<size_t>(array.shape[1]);
    return numbers;
  }

  absl::Status ReadDecisions() {
    // Far above what can be enumerated.
    constexpr double kMostConfigurations = 1e8;
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> shape, Numbers("shape"));
    size_t bit_columns = 0, keep_columns = 0, features_columns = 0;
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> bits,
                           Matrix("choice_bits", shape.size(), &bit_columns));
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> keep,
                           Matrix("choice_keep", shape.size(), &keep_columns));
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> features,
                           Matrix("features", shape.size(), &features_columns));
    if (features_columns != 5) {
      return absl::InvalidArgumentError(
          absl::StrCat("'features' has ", features_columns, " columns, not 5"));
    }
    configurations_ = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      const double count = shape[d];
      if (!(count >= 1 && count <= bit_columns && count <= keep_columns)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "decision ", d, " has ", count,
            " choices, not 1 to as many as choice_bits and choice_keep list"));
      }
      configurations_ *= count;
      TableDecision decision;
      for (size_t c = 0; c < count; ++c) {
        decision.bits.push_back(static_cast<int>(bits[d * bit_columns + c]));
        decision.keep.push_back(keep[d * keep_columns + c]);
      }
      LATHE_RETURN_IF_ERROR(CheckChoices(d, decision));
      const double* row = &features[d * 5];
      decision.in_channels = std::llround(row[0]);
      decision.out_channels = std::llround(row[1]);
      decision.out_pixels = std::llround(row[2]);
      decision.kernel = std::llround(row[3]);
      decision.macs = std::llround(row[4]);
      table_.decisions.push_back(std::move(decision));
    }
    if (shape.empty() || configurations_ > kMostConfigurations) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the table's shape gives ", configurations_,
          " configurations, not between 1 and ", kMostConfigurations));
    }
    return absl::OkStatus();
  }

  static absl::Status CheckChoices(size_t d, const TableDecision& decision) {
    for (size_t c = 0; c < decision.bits.size(); ++c) {
      const int bits = decision.bits[c];
      const bool is_width =
          bits == 32 || bits == 16 || (bits >= 2 && bits <= 8);
      if (!is_width || !(decision.keep[c] > 0 && decision.keep[c] <= 1)) {
        return absl::InvalidArgumentError(
            absl::StrCat("decision ", d, ", choice ", c, ": bits = ", bits,
                         " and keep = ", decision.keep[c],
                         ", not 2-8, 16 or 32 bits and a share in (0, 1]"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadColumn(const std::string& name, std::vector<float>* column) {
    LATHE_ASSIGN_OR_RETURN(const std::vector<double> numbers, Numbers(name));
    if (static_cast<double>(numbers.size()) != configurations_) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' has ", numbers.size(), " elements, not ",
                       configurations_, ", one a configuration"));
    }
    for (const double number : numbers) {
      if (!std::isfinite(number)) {
        return absl::InvalidArgumentError(
            absl::StrCat("'", name, "' has a value that is not finite"));
      }
    }
    column->assign(numbers.begin(), numbers.end());
    return absl::OkStatus();
  }

  absl::Status CheckColumns() const {
    for (const auto* column : {&table_.latency_ratio, &table_.size_ratio}) {
      if (*std::min_element(column->begin(), column->end()) <= 0) {
        return absl::InvalidArgumentError(
            "latency_ratio or size_ratio has a value that is not positive");
      }
    }
    return absl::OkStatus();
  }

  const std::map<std::string, Array> arrays_;
  double configurations_ = 0;
  ConfigurationTable table_;
};

}  // namespace

int64_t ConfigurationTable::IndexOf(absl::Span<const int> choices) const {
  int64_t index = 0;
  for (size_t d = 0; d < decisions.size(); ++d) {
    index = index * static_cast<int64_t>(decisions[d].bits.size()) + choices[d];
  }
  return index;
}

absl::StatusOr<ConfigurationTable> ReadTable(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  auto arrays = ParseNpz(bytes);
  if (!arrays.ok()) return Annotate(arrays.status(), path);
  auto table = TableReader(*std::move(arrays)).Read();
  if (!table.ok()) return Annotate(table.status(), path);
  return table;
}

TableHypervolume::TableHypervolume(const ConfigurationTable* table)
    : table_(*table),
      best_(table->latency_budgets.size() * table->size_budgets.size(),
            table->quality_reference) {}

void TableHypervolume::Add(int64_t configuration) {
  const double latency = table_.latency_ratio[configuration];
  const double size = table_.size_ratio[configuration];
  const double quality = table_.quality[configuration];
  size_t cell = 0;
  for (const double latency_budget : table_.latency_budgets) {
    for (const double size_budget : table_.size_budgets) {
      double& best = best_[cell++];
      if (latency <= latency_budget && size <= size_budget && quality > best) {
        best = quality;
      }
    }
  }
}

double TableHypervolume::Ratio() const {
  double sum = 0;
  for (const double best : best_) sum += best - table_.quality_reference;
  return sum / static_cast<double>(best_.size()) /
         table_.exhaustive_hypervolume;
}

}  // namespace lathe
