#include "server/outcome_check.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"
#include "base/status.h"
#include "proto/confirmation.h"
#include "server/errors.h"

namespace lathe {
namespace {

// Far above any network; keeps a hostile report from costing memory.
constexpr int kMostLayers = 100'000;
constexpr size_t kMostReasonBytes = 64 * 1024;
// A page of trials has at least one; a network with thousands of layers has
// some hundred kilobytes, its baseline about a megabyte.
constexpr size_t kMostMeasurementBytes = 3 << 20;
constexpr size_t kMostBaselineBytes = 16 << 20;
// A divergence of equal outputs may come out as a rounding error below 0.
constexpr double kLeastDivergence = -1e-6;

absl::Status Invalid(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "OUTCOME_INVALID",
                   message);
}

struct Number {
  const char* field;
  double value;
  double least;
  double most;
};

absl::Status CheckNumber(const Number& number) {
  // Written so that NaN fails.
  if (number.value >= number.least && number.value <= number.most) {
    return absl::OkStatus();
  }
  return Invalid(absl::StrCat(number.field, " = ", number.value, ", not in [",
                              number.least, ", ", number.most, "]"));
}

absl::Status CheckBytes(absl::string_view field, size_t bytes, size_t most) {
  if (bytes <= most) return absl::OkStatus();
  return Invalid(
      absl::StrCat(field, " has ", bytes, " bytes, more than ", most));
}

absl::Status CheckCounts(absl::string_view field, int64_t correct,
                         int64_t samples) {
  if (correct >= 0 && correct <= samples) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " = ", correct, ", not in [0, ", samples,
                              "], the samples"));
}

absl::Status CheckShare(absl::string_view field, double accuracy,
                        int64_t correct, int64_t samples) {
  // Of a division in double precision.
  constexpr double kRounding = 1e-9;
  if (samples == 0) return absl::OkStatus();
  const double share =
      static_cast<double>(correct) / static_cast<double>(samples);
  if (std::abs(accuracy - share) <= kRounding) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " = ", accuracy, ", not ", correct, " / ",
                              samples, ", its correct answers"));
}

absl::Status CheckLayer(const v1::Layer& layer, int index) {
  const auto invalid = [&](absl::string_view rule) {
    return Invalid(absl::StrCat("baseline.space.layers[", index, "]: ", rule));
  };
  if (layer.precisions().empty() ||
      layer.precisions(0).precision() != v1::F32) {
    return invalid("the first precision is not F32");
  }
  if (layer.keep_ratios().empty() || layer.keep_ratios(0) != 1) {
    return invalid("the first keep ratio is not 1");
  }
  for (const double ratio : layer.keep_ratios()) {
    if (!(ratio > 0 && ratio <= 1)) {
      return invalid(absl::StrCat("keep ratio ", ratio, ", not in (0, 1]"));
    }
  }
  if (layer.group() < 0) {
    return invalid(absl::StrCat("group ", layer.group(), " is negative"));
  }
  if (layer.in_channels() < 1 || layer.out_channels() < 1) {
    return invalid("no channels");
  }
  return absl::OkStatus();
}

absl::Status CheckLatencyTable(const v1::LatencyTable& table, int layers) {
  constexpr double kMost = std::numeric_limits<double>::max();
  LATHE_RETURN_IF_ERROR(
      CheckNumber({"latency_table.other_us", table.other_us(), 0, kMost}));
  for (const v1::LatencyTable::Entry& entry : table.entries()) {
    if (entry.layer() < 0 || entry.layer() >= layers) {
      return Invalid(absl::StrCat("latency_table: layer ", entry.layer(),
                                  ", not in [0, ", layers, ")"));
    }
    LATHE_RETURN_IF_ERROR(CheckNumber(
        {"latency_table.latency_us", entry.latency_us(), 0, kMost}));
  }
  return absl::OkStatus();
}

absl::Status CheckSensitivity(const v1::Sensitivity& sensitivity, int layers) {
  constexpr double kMost = std::numeric_limits<double>::max();
  const int64_t samples = sensitivity.samples();
  LATHE_RETURN_IF_ERROR(CheckCounts("sensitivity.baseline_correct",
                                    sensitivity.baseline_correct(), samples));
  if (sensitivity.choices_not_reached() < 0) {
    return Invalid(absl::StrCat(
        "sensitivity.choices_not_reached = ", sensitivity.choices_not_reached(),
        ", below 0"));
  }
  for (const v1::Sensitivity::Entry& entry : sensitivity.entries()) {
    if (entry.layer() < 0 || entry.layer() >= layers) {
      return Invalid(absl::StrCat("sensitivity: layer ", entry.layer(),
                                  ", not in [0, ", layers, ")"));
    }
    LATHE_RETURN_IF_ERROR(
        CheckCounts("sensitivity.correct", entry.correct(), samples));
    LATHE_RETURN_IF_ERROR(
        CheckNumber({"sensitivity.kl_divergence", entry.kl_divergence(),
                     kLeastDivergence, kMost}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMeasurement(const v1::Measurement& m) {
  LATHE_RETURN_IF_ERROR(
      CheckBytes("measurement", m.ByteSizeLong(), kMostMeasurementBytes));
  constexpr double kMost = std::numeric_limits<double>::max();
  constexpr double kLeastPositive = std::numeric_limits<double>::min();
  const Number numbers[] = {
      {"accuracy", m.accuracy(), 0, 1},
      {"accuracy_low", m.accuracy_low(), 0, 1},
      {"accuracy_high", m.accuracy_high(), 0, 1},
      {"report_accuracy", m.report_accuracy(), 0, 1},
      {"kl_divergence", m.kl_divergence(), kLeastDivergence, kMost},
      {"latency_us", m.latency_us(), kLeastPositive, kMost},
      {"latency_us_p05", m.latency_us_p05(), 0, kMost},
      {"latency_us_p95", m.latency_us_p95(), 0, kMost},
      {"latency_ratio", m.latency_ratio(), kLeastPositive, kMost},
      {"latency_ratio_low", m.latency_ratio_low(), 0, kMost},
      {"latency_ratio_high", m.latency_ratio_high(), 0, kMost},
      {"baseline_latency_us", m.baseline_latency_us(), 0, kMost},
      {"size_bytes", static_cast<double>(m.size_bytes()), 1, kMost},
      {"packed_bytes", static_cast<double>(m.packed_bytes()), 0, kMost},
      {"entropy_bytes", static_cast<double>(m.entropy_bytes()), 0, kMost},
      {"macs", static_cast<double>(m.macs()), 0, kMost},
      {"peak_activation_bytes", static_cast<double>(m.peak_activation_bytes()),
       0, kMost},
      {"evaluation_seconds", m.evaluation_seconds(), 0, kMost}};
  for (const Number& number : numbers) {
    LATHE_RETURN_IF_ERROR(CheckNumber(number));
  }
  if (m.has_early_stop()) {
    LATHE_RETURN_IF_ERROR(
        CheckNumber({"early_stop.samples",
                     static_cast<double>(m.early_stop().samples()), 1, kMost}));
    LATHE_RETURN_IF_ERROR(
        CheckNumber({"early_stop.confidence", m.early_stop().confidence(),
                     m.early_stop().beaten_by() > 0 ? kLeastPositive : 0, 1}));
    LATHE_RETURN_IF_ERROR(
        CheckNumber({"early_stop.loss_difference",
                     m.early_stop().loss_difference(), -1, 1}));
  }
  LATHE_RETURN_IF_ERROR(CheckCounts("correct", m.correct(), m.samples()));
  LATHE_RETURN_IF_ERROR(
      CheckCounts("report_correct", m.report_correct(), m.report_samples()));
  // A first look estimates it from its samples.
  if (!m.has_early_stop()) {
    LATHE_RETURN_IF_ERROR(
        CheckShare("accuracy", m.accuracy(), m.correct(), m.samples()));
  }
  LATHE_RETURN_IF_ERROR(CheckShare("report_accuracy", m.report_accuracy(),
                                   m.report_correct(), m.report_samples()));
  if (!AreConfirmationBits(m)) {
    return Invalid(absl::StrCat(
        "confirmation_bits: ", m.confirmation_bits().size(),
        " bytes that are not ", m.confirmation_samples(), " samples, ",
        m.confirmation_correct(), " of them correct"));
  }
  return absl::OkStatus();
}

absl::Status CheckBaselineReport(const v1::BaselineReport& report) {
  LATHE_RETURN_IF_ERROR(
      CheckBytes("baseline", report.ByteSizeLong(), kMostBaselineBytes));
  const int layers = report.space().layers_size();
  if (layers > kMostLayers) {
    return Invalid(absl::StrCat("baseline.space has ", layers,
                                " layers, more than ", kMostLayers));
  }
  for (int i = 0; i < layers; ++i) {
    LATHE_RETURN_IF_ERROR(CheckLayer(report.space().layers(i), i));
  }
  if (!report.activation_stats_digest().empty() &&
      !IsSha256Hex(report.activation_stats_digest())) {
    return Invalid("baseline.activation_stats_digest is not a digest");
  }
  LATHE_RETURN_IF_ERROR(CheckSensitivity(report.sensitivity(), layers));
  return CheckLatencyTable(report.latency_table(), layers);
}

absl::Status CheckOutcome(const v1::Outcome& outcome, bool is_baseline) {
  if (outcome.kind() == v1::OUTCOME_UNSPECIFIED ||
      !v1::OutcomeKind_IsValid(outcome.kind())) {
    return Invalid(
        absl::StrCat("outcome.kind = ", outcome.kind(), ", not a known kind"));
  }
  LATHE_RETURN_IF_ERROR(
      CheckBytes("outcome.reason", outcome.reason().size(), kMostReasonBytes));
  if (outcome.kind() == v1::MEASURED && !outcome.has_measurement()) {
    return Invalid("outcome.measurement is missing");
  }
  if (outcome.has_measurement()) {
    LATHE_RETURN_IF_ERROR(CheckMeasurement(outcome.measurement()));
  }
  if (is_baseline && outcome.measurement().has_early_stop()) {
    return Invalid("outcome.measurement.early_stop: trial 0 is measured whole");
  }
  if (outcome.has_baseline()) return CheckBaselineReport(outcome.baseline());
  if (is_baseline && outcome.has_measurement()) {
    return Invalid("outcome.baseline is missing for trial 0");
  }
  return absl::OkStatus();
}

}  // namespace lathe
