#include "evaluator/first_look.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/types/span.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "compressor/shape_inference.h"
#include "evaluator/measured_layers.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Looks that are kept, of a kilobyte each.
constexpr size_t kMostLooks = 4096;
// By how much the rivals' measurements may correct what the sketch tells of
// divergence, and from which divergence on they do, nats: below, both are
// noise.
constexpr double kMostCorrection = 4;
constexpr double kLeastCompared = 1e-4;

// The rival of least divergence that costs no more; null where there is none.
const v1::Rival* StrongestRival(const v1::Rivals& rivals, int64_t size_bytes) {
  const double latency =
      rivals.predicted_latency_ratio() * (1 - kLatencyMargin);
  const v1::Rival* strongest = nullptr;
  for (const v1::Rival& rival : rivals.rivals()) {
    if (rivals.counts_latency() && rival.latency_ratio() > latency) continue;
    if (rivals.counts_size() && rival.size_bytes() > size_bytes) continue;
    if (strongest == nullptr ||
        rival.kl_divergence() < strongest->kl_divergence()) {
      strongest = &rival;
    }
  }
  return strongest;
}

double MeanDivergence(const Look& look, size_t samples) {
  double sum = 0;
  for (size_t i = 0; i < samples; ++i) sum -= std::log1p(-look.losses[i]);
  return sum / static_cast<double>(samples);
}

void SetPredictedLatency(const v1::Rivals& rivals,
                         v1::Measurement* measurement) {
  const double ratio = rivals.predicted_latency_ratio();
  measurement->set_latency_us(rivals.predicted_latency_us());
  measurement->set_latency_ratio(ratio);
  measurement->set_latency_ratio_low(ratio);
  measurement->set_latency_ratio_high(ratio);
  measurement->set_baseline_latency_us(rivals.predicted_latency_us() / ratio);
}

}  // namespace

absl::StatusOr<std::unique_ptr<FirstLook>> FirstLook::Create(
    const Graph& graph, const v1::SearchSpace& space, const JobData& data,
    const ActivationStats& stats, ActivationSource& source,
    const CompressOptions& options, const Answers& answers,
    int64_t most_sketch_bytes) {
  auto look = absl::WrapUnique(new FirstLook(space, data.search, answers));
  LATHE_ASSIGN_OR_RETURN(const int64_t elements, SampleElements(graph));
  look->samples_ = std::min(answers.samples(),
                            std::clamp(kLookElements / elements,
                                       kFewestLookSamples, kMostLookSamples));
  look->least_samples_ =
      std::min(look->samples_, std::max(kLeastLookSamples, look->samples_ / 4));
  LATHE_ASSIGN_OR_RETURN(look->sketcher_,
                         PlanSketcher::Create(graph, space, stats, source,
                                              options, most_sketch_bytes));
  return look;
}

absl::Status FirstLook::Extend(int64_t count, AnswerRun& run,
                               Look* look) const {
  const auto first = static_cast<int64_t>(look->losses.size());
  LATHE_ASSIGN_OR_RETURN(
      const Answers answers,
      run.Next(search_.inputs,
               absl::MakeConstSpan(search_.samples).subspan(first, count)));
  const auto arg_max = [](absl::Span<const float> row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
  };
  for (int64_t i = 0; i < answers.samples(); ++i) {
    const absl::Span<const float> wanted = reference_.row(first + i);
    const double divergence = Divergence(wanted, answers.row(i));
    // Float32 has no number closer to 1.
    look->losses.push_back(
        std::min(static_cast<float>(1 - std::exp(-divergence)), 1 - 0x1p-24f));
    const int64_t right =
        search_.labels.empty() ? arg_max(wanted) : search_.labels[first + i];
    look->correct += arg_max(answers.row(i)) == right;
  }
  look->kl_divergence = MeanDivergence(*look, look->losses.size());
  return absl::OkStatus();
}

absl::StatusOr<const Look*> FirstLook::At(const v1::CompressionPlan& plan) {
  const std::string digest = PlanDigest(plan);
  const auto found = looks_.find(digest);
  if (found != looks_.end()) return &found->second;
  LATHE_ASSIGN_OR_RETURN(const Graph sketch, sketcher_->Sketch(plan));
  LATHE_ASSIGN_OR_RETURN(AnswerRun run, AnswerRun::Create(sketch, samples_));
  Look look;
  LATHE_RETURN_IF_ERROR(Extend(samples_, run, &look));
  if (looks_.size() >= kMostLooks) looks_.clear();
  return &looks_.emplace(digest, std::move(look)).first->second;
}

absl::Status FirstLook::LookAgainst(const Look* rival, int64_t most,
                                    const Graph& sketch, Look* look,
                                    PairedTest* test) const {
  LATHE_ASSIGN_OR_RETURN(AnswerRun run, AnswerRun::Create(sketch, most));
  int64_t wanted = rival == nullptr ? most : least_samples_;
  while (test->confidence() < kLookConfidence) {
    const auto seen = static_cast<int64_t>(look->losses.size());
    if (seen == most) break;
    LATHE_RETURN_IF_ERROR(Extend(wanted - seen, run, look));
    for (int64_t i = seen; i < wanted && rival != nullptr; ++i) {
      test->Add(look->losses[i], rival->losses[i]);
    }
    wanted = std::min(2 * wanted, most);
  }
  return absl::OkStatus();
}

absl::StatusOr<double> FirstLook::CorrectionOf(const Look& look,
                                               const v1::Rivals& rivals) {
  // Of the rivals: logarithm of the measured divergence over the sketch's, by
  // the logarithm of that.
  std::map<double, double> known;
  for (const v1::Rival& rival : rivals.rivals()) {
    LATHE_ASSIGN_OR_RETURN(const Look* seen, At(rival.plan()));
    const double sketched = MeanDivergence(*seen, look.losses.size());
    if (std::min(sketched, rival.kl_divergence()) < kLeastCompared) continue;
    known[std::log(sketched)] = std::log(rival.kl_divergence() / sketched);
  }
  if (known.empty()) return 1;
  const double at = std::log(std::max(look.kl_divergence, kLeastCompared));
  const auto above = known.lower_bound(at);
  double correction = 0;
  // Beyond the outermost rivals what is known of them counts the less the
  // further away they are.
  if (above == known.end()) {
    const auto& [last, value] = *known.rbegin();
    correction = value * std::exp(last - at);
  } else if (above == known.begin()) {
    correction = above->second * std::exp(at - above->first);
  } else {
    const auto below = std::prev(above);
    const double weight = (at - below->first) / (above->first - below->first);
    correction = below->second + weight * (above->second - below->second);
  }
  return std::clamp(std::exp(correction), 1 / kMostCorrection, kMostCorrection);
}

absl::StatusOr<v1::Measurement> FirstLook::Measured(
    const v1::CompressionPlan& plan, const Graph& sketch,
    const Look& look) const {
  v1::Measurement measurement;
  const auto samples = static_cast<int64_t>(look.losses.size());
  measurement.set_metric(search_.labels.empty() ? "agreement" : "top1");
  measurement.set_correct(look.correct);
  measurement.set_samples(samples);
  measurement.set_kl_divergence(look.kl_divergence);
  // What the original answers to these samples and to the others tells how
  // much easier they are.
  Answers seen = reference_;
  seen.log_probabilities.resize(samples * seen.classes);
  const auto labels = absl::MakeConstSpan(search_.labels);
  const Accuracy part = Score(seen, seen, labels.subspan(0, samples));
  const Accuracy whole = Score(reference_, reference_, labels);
  const double shift =
      static_cast<double>(whole.correct) / whole.samples -
      static_cast<double>(part.correct) / static_cast<double>(samples);
  const auto shifted = [shift](double rate) {
    return std::clamp(rate + shift, 0.0, 1.0);
  };
  const Interval interval = WilsonInterval(look.correct, samples);
  measurement.set_accuracy(shifted(static_cast<double>(look.correct) /
                                   static_cast<double>(samples)));
  measurement.set_accuracy_low(shifted(interval.low));
  measurement.set_accuracy_high(shifted(interval.high));
  LATHE_ASSIGN_OR_RETURN(const std::string file, SerializeOnnx(sketch));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(sketch));
  measurement.set_size_bytes(static_cast<int64_t>(file.size()));
  measurement.set_packed_bytes(cost.packed_bytes);
  measurement.set_macs(cost.macs);
  SetMeasuredLayers(sketch, space_, plan, &measurement);
  return measurement;
}

absl::StatusOr<v1::Measurement> FirstLook::Judge(
    const v1::CompressionPlan& plan, const v1::Rivals& rivals) {
  LATHE_ASSIGN_OR_RETURN(const Graph sketch, Sketch(plan));
  int64_t size_bytes = 0;
  if (rivals.counts_size()) {
    LATHE_ASSIGN_OR_RETURN(const std::string file, SerializeOnnx(sketch));
    size_bytes = static_cast<int64_t>(file.size());
  }
  const v1::Rival* rival = StrongestRival(rivals, size_bytes);
  std::optional<Look> rivals_look;
  if (rival != nullptr) {
    LATHE_ASSIGN_OR_RETURN(const Look* kept, At(rival->plan()));
    rivals_look = *kept;
  }
  const bool leaves_nothing =
      rival != nullptr && rival->kl_divergence() <= kNothingToGain;
  Look look;
  PairedTest test;
  LATHE_RETURN_IF_ERROR(LookAgainst(
      rivals_look.has_value() ? &*rivals_look : nullptr,
      leaves_nothing ? least_samples_ : samples_, sketch, &look, &test));
  LATHE_ASSIGN_OR_RETURN(v1::Measurement measurement,
                         Measured(plan, sketch, look));
  LATHE_ASSIGN_OR_RETURN(const double correction, CorrectionOf(look, rivals));
  measurement.set_kl_divergence(look.kl_divergence * correction);
  SetPredictedLatency(rivals, &measurement);
  v1::EarlyStop* stop = measurement.mutable_early_stop();
  stop->set_samples(measurement.samples());
  if (leaves_nothing || test.confidence() >= kLookConfidence) {
    stop->set_beaten_by(rival->number());
    stop->set_confidence(leaves_nothing ? 1 : test.confidence());
    stop->set_loss_difference(test.mean_difference());
  }
  if (measurement.samples() == samples_) {
    // Should it reach the frontier, it is a rival itself.
    looks_.emplace(PlanDigest(plan), std::move(look));
  }
  return measurement;
}

}  // namespace lathe
