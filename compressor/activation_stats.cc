#include "compressor/activation_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/fixed_batch_source.h"
#include "compressor/histogram.h"
#include "compressor/live_tensors.h"
#include "compressor/shape_inference.h"
#include "proto/stats.pb.h"

namespace lathe {
namespace {

// Samples that are run at once; bounds memory.
constexpr int64_t kChunkSamples = 32;

// Share of the newest chunk in the moving average: high, as tens of chunks must
// do here where training has thousands of batches.
constexpr float kNewestShare = 0.1f;

void Average(absl::Span<const float> chunk, TensorStats* stats) {
  float magnitude = 0;
  for (const float x : chunk) magnitude = std::max(magnitude, std::abs(x));
  float& average = stats->average_magnitude;
  average = average == 0
                ? magnitude
                : (1 - kNewestShare) * average + kNewestShare * magnitude;
}

// What the chunks gave so far.
struct Collected {
  ActivationStats stats;
  // Values that were minus infinity somewhere: they have no statistics.
  std::set<std::string> masked;
};

// Attention scores are masked with minus infinity; all else that is not finite
// is an overflow or an error.
bool IsFiniteOrMasked(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) {
    return value <= std::numeric_limits<float>::max();
  });
}

// `is_end`: the value is an input or an output of the network.
absl::Status Add(const Value& value, bool is_end, const Tensor& tensor,
                 Collected* collected) {
  if (tensor.type() != DataType::kFloat32 || tensor.size() == 0 ||
      collected->masked.count(value.name) != 0) {
    return absl::OkStatus();
  }
  auto& tensors = collected->stats.tensors;
  const auto it = tensors.try_emplace(value.name, EmptyStats()).first;
  if (AddToStats(tensor.values<float>(), &it->second)) {
    Average(tensor.values<float>(), &it->second);
    return absl::OkStatus();
  }
  if (is_end || !IsFiniteOrMasked(tensor.values<float>())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "activation ", value.name,
        " is not finite (infinite or NaN) on the calibration samples; check "
        "the preprocessing and that the model runs on them"));
  }
  tensors.erase(it);
  collected->masked.insert(value.name);
  return absl::OkStatus();
}

absl::Status AddChunk(const Graph& graph, ActivationSource& source,
                      int64_t first, int64_t count, Collected* collected) {
  std::vector<bool> is_end(graph.values().size());
  for (const ValueId id : graph.inputs()) is_end[id] = true;
  for (const ValueId id : graph.outputs()) is_end[id] = true;
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         source.Inputs(first, count));
  LiveTensors live(graph);
  live.SetInputs(inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    LATHE_RETURN_IF_ERROR(
        Add(graph.value(graph.inputs()[i]), true, inputs[i], collected));
  }
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    LATHE_ASSIGN_OR_RETURN(
        const std::vector<Tensor> outputs,
        source.Run(node, live.InputsOf(graph.parts(), node)));
    for (size_t o = 0; o < std::min(outputs.size(), node.outputs.size()); ++o) {
      const ValueId id = node.outputs[o];
      if (id == kNoValue) continue;
      LATHE_RETURN_IF_ERROR(
          Add(graph.value(id), is_end[id], outputs[o], collected));
    }
    live.SetOutputs(node, outputs);
    live.FreeAfter(static_cast<int>(i));
  }
  return absl::OkStatus();
}

absl::Status CheckTensor(const v1::TensorStats& tensor) {
  const auto invalid = [&tensor](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "activation statistics: tensor ", tensor.name(), ": ", what));
  };
  if (tensor.histogram_size() != kHistogramBins) {
    return invalid(
        absl::StrCat(tensor.histogram_size(), " bins, not ", kHistogramBins));
  }
  if (std::any_of(tensor.histogram().begin(), tensor.histogram().end(),
                  [](int64_t count) { return count < 0; })) {
    return invalid("a negative count");
  }
  if (!std::isfinite(tensor.min()) || !std::isfinite(tensor.max()) ||
      tensor.min() > tensor.max()) {
    return invalid("no finite range");
  }
  if (!std::isfinite(tensor.limit()) || tensor.limit() <= 0) {
    return invalid(
        absl::StrCat("limit = ", tensor.limit(), ", not finite and positive"));
  }
  if (!std::isfinite(tensor.average_magnitude()) ||
      tensor.average_magnitude() < 0) {
    return invalid(
        absl::StrCat("average magnitude = ", tensor.average_magnitude(),
                     ", not finite and >= 0"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ActivationStats> CollectActivationStats(const Graph& graph,
                                                       ActivationSource& source,
                                                       int64_t samples) {
  if (samples < 1 || source.SampleCount() < samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("samples = ", samples, ", not in [1, ",
                     source.SampleCount(), "], the calibration samples"));
  }
  const std::optional<int64_t> fixed = FixedBatch(graph);
  const int64_t batch = fixed.value_or(1);
  if (samples < batch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "samples = ", samples, ", less than the model's batch of ", batch));
  }
  FixedBatchSource batched(graph, source, batch);
  const int64_t chunk = (kChunkSamples + batch - 1) / batch * batch;
  Collected collected;
  const int64_t used = samples / batch * batch;
  collected.stats.samples = used;
  for (int64_t first = 0; first < used; first += chunk) {
    LATHE_RETURN_IF_ERROR(AddChunk(
        graph, fixed ? static_cast<ActivationSource&>(batched) : source, first,
        std::min(chunk, used - first), &collected));
  }
  return std::move(collected.stats);
}

std::string SerializeActivationStats(const ActivationStats& stats) {
  v1::ActivationStats message;
  message.set_samples(stats.samples);
  for (const auto& [name, tensor] : stats.tensors) {
    v1::TensorStats* out = message.add_tensors();
    out->set_name(name);
    out->set_min(tensor.min);
    out->set_max(tensor.max);
    out->set_limit(tensor.limit);
    out->set_average_magnitude(tensor.average_magnitude);
    out->mutable_histogram()->Add(tensor.histogram.begin(),
                                  tensor.histogram.end());
  }
  // Without maps and unknown fields the bytes depend on the fields only.
  return message.SerializeAsString();
}

absl::StatusOr<ActivationStats> ParseActivationStats(absl::string_view bytes) {
  v1::ActivationStats message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(
        "the bytes are not activation statistics");
  }
  if (message.samples() < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "activation statistics: samples = ", message.samples(), ", not >= 1"));
  }
  ActivationStats stats;
  stats.samples = message.samples();
  for (const v1::TensorStats& tensor : message.tensors()) {
    LATHE_RETURN_IF_ERROR(CheckTensor(tensor));
    TensorStats parsed{tensor.min(), tensor.max(), tensor.limit(),
                       std::vector<int64_t>(tensor.histogram().begin(),
                                            tensor.histogram().end()),
                       tensor.average_magnitude()};
    if (!stats.tensors.emplace(tensor.name(), std::move(parsed)).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "activation statistics: tensor ", tensor.name(), " twice"));
    }
  }
  return stats;
}

}  // namespace lathe
