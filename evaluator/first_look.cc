#include "evaluator/first_look.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/onnx.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Of layers that are kept.
constexpr int64_t kMostSketchBytes = int64_t{256} << 20;
// Looks that are kept, of a kilobyte each.
constexpr size_t kMostLooks = 4096;
// By how much the rival's measurement may correct what the sketch tells of
// divergence.
constexpr double kMostCorrection = 2;

// The rival of least divergence that costs no more; null where there is none.
const Rival* StrongestRival(const Rivals& rivals, int64_t size_bytes) {
  const double latency = rivals.predicted_latency_ratio * (1 - kLatencyMargin);
  const Rival* strongest = nullptr;
  for (const Rival& rival : rivals.rivals) {
    if (rivals.counts_latency && rival.latency_ratio > latency) continue;
    if (rivals.counts_size && rival.size_bytes > size_bytes) continue;
    if (strongest == nullptr ||
        rival.kl_divergence < strongest->kl_divergence) {
      strongest = &rival;
    }
  }
  return strongest;
}

// By how much what was measured of the rival is above what its look told.
double Correction(const Rival& rival, double looked) {
  if (looked <= kNothingToGain || rival.kl_divergence <= kNothingToGain) {
    return 1;
  }
  return std::clamp(rival.kl_divergence / looked, 1 / kMostCorrection,
                    kMostCorrection);
}

double MeanDivergence(const Look& look, size_t samples) {
  double sum = 0;
  for (size_t i = 0; i < samples; ++i) sum -= std::log1p(-look.losses[i]);
  return sum / static_cast<double>(samples);
}

}  // namespace

absl::StatusOr<std::unique_ptr<FirstLook>> FirstLook::Create(
    const Graph& graph, const v1::SearchSpace& space, const JobData& data,
    const ActivationStats& stats, ActivationSource& source,
    const CompressOptions& options, const Answers& answers) {
  auto look = absl::WrapUnique(new FirstLook(data.search, answers));
  look->samples_ = std::min<int64_t>(kLookSamples, answers.samples());
  LATHE_ASSIGN_OR_RETURN(look->sketcher_,
                         PlanSketcher::Create(graph, space, stats, source,
                                              options, kMostSketchBytes));
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

absl::Status FirstLook::LookAgainst(const Look& rival, const Graph& sketch,
                                    Look* look, PairedTest* test) const {
  LATHE_ASSIGN_OR_RETURN(AnswerRun run, AnswerRun::Create(sketch, samples_));
  int64_t wanted = std::min(kLeastLookSamples, samples_);
  while (test->confidence() < kLookConfidence) {
    const auto seen = static_cast<int64_t>(look->losses.size());
    if (seen == samples_) break;
    LATHE_RETURN_IF_ERROR(Extend(wanted - seen, run, look));
    for (int64_t i = seen; i < wanted; ++i) {
      test->Add(look->losses[i], rival.losses[i]);
    }
    wanted = std::min(2 * wanted, samples_);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Beaten>> FirstLook::BeatenBy(
    const v1::CompressionPlan& plan, const Rivals& rivals) {
  LATHE_ASSIGN_OR_RETURN(const Graph sketch, sketcher_->Sketch(plan));
  int64_t size_bytes = 0;
  if (rivals.counts_size) {
    LATHE_ASSIGN_OR_RETURN(const std::string file, SerializeOnnx(sketch));
    size_bytes = static_cast<int64_t>(file.size());
  }
  const Rival* rival = StrongestRival(rivals, size_bytes);
  if (rival == nullptr) return std::nullopt;
  LATHE_ASSIGN_OR_RETURN(const Look* kept, At(rival->plan));
  const Look rival_look = *kept;
  Beaten beaten;
  PairedTest test;
  LATHE_RETURN_IF_ERROR(LookAgainst(rival_look, sketch, &beaten.look, &test));
  const bool leaves_nothing = rival->kl_divergence <= kNothingToGain;
  if (test.confidence() < kLookConfidence && !leaves_nothing) {
    // Should it reach the frontier, it is a rival itself.
    looks_.emplace(PlanDigest(plan), std::move(beaten.look));
    return std::nullopt;
  }
  beaten.by = rival->number;
  beaten.confidence = leaves_nothing ? 1 : test.confidence();
  beaten.loss_difference = test.mean_difference();
  beaten.expected_divergence =
      beaten.look.kl_divergence *
      Correction(*rival, MeanDivergence(rival_look, beaten.look.losses.size()));
  return beaten;
}

}  // namespace lathe
