#include "evaluator/suffix_runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/node_runner.h"

namespace lathe {
namespace {

// Samples of a run: as many as kernels need to reach their speed.
constexpr int64_t kBatch = 32;

int64_t BytesOf(const std::vector<ValueInfo>& infos) {
  int64_t bytes = 0;
  for (const ValueInfo& info : infos) {
    if (!info.constant) bytes += ElementCount(info.shape) * 4;
  }
  return bytes;
}

// Whether node `index` of both graphs computes the same from equal inputs.
bool IsSameNode(const Graph& a, const Graph& b, int index) {
  const Node& x = a.nodes()[index];
  const Node& y = b.nodes()[index];
  if (x.precision != y.precision || x.post_ops.size() != y.post_ops.size() ||
      x.inputs.size() != y.inputs.size() ||
      x.quantized_weights.has_value() != y.quantized_weights.has_value()) {
    return false;
  }
  for (size_t i = 0; i < x.inputs.size(); ++i) {
    if (!b.IsConstant(y.inputs[i])) continue;
    if (!a.IsConstant(x.inputs[i]) ||
        &a.value(x.inputs[i]).constant->bytes() !=
            &b.value(y.inputs[i]).constant->bytes()) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SuffixRunner>> SuffixRunner::Create(
    const Graph& graph, const ModelInputs& inputs,
    absl::Span<const int64_t> samples, int64_t most_bytes) {
  const int64_t batch = FixedBatch(graph).value_or(
      std::clamp<int64_t>(static_cast<int64_t>(samples.size()), 1, kBatch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  const int64_t batches =
      std::min(static_cast<int64_t>(samples.size()) / batch,
               std::max<int64_t>(1, most_bytes / BytesOf(infos)));
  if (batches == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(samples.size(), " samples are less than one batch of ",
                     batch, "; give more"));
  }
  auto runner = absl::WrapUnique(new SuffixRunner(graph, inputs));
  for (int64_t i = 0; i < batches * batch; ++i) {
    runner->samples_.push_back(samples[i]);
  }
  LATHE_RETURN_IF_ERROR(runner->RunOriginal(batch));
  return runner;
}

absl::Status SuffixRunner::RunOriginal(int64_t batch) {
  for (size_t first = 0; first < samples_.size(); first += batch) {
    Batch tensors(graph_.values().size());
    LATHE_ASSIGN_OR_RETURN(
        const std::vector<Tensor> given,
        inputs_.Tensors(absl::MakeConstSpan(samples_).subspan(first, batch)));
    for (size_t i = 0; i < given.size(); ++i) {
      tensors[graph_.inputs()[i]] = given[i];
    }
    for (const Node& node : graph_.nodes()) {
      std::vector<Tensor> inputs;
      for (const ValueId id : node.inputs) {
        if (id == kNoValue) {
          inputs.emplace_back(DataType::kFloat32, Shape{0}, std::string());
        } else {
          inputs.push_back(graph_.IsConstant(id) ? *graph_.value(id).constant
                                                 : *tensors[id]);
        }
      }
      LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> made,
                             RunNode(node, graph_.parts().opset, inputs));
      for (size_t o = 0; o < made.size(); ++o) {
        if (node.outputs[o] == kNoValue) continue;
        tensors[node.outputs[o]] = std::move(made[o]);
      }
    }
    batches_.push_back(std::move(tensors));
  }
  return absl::OkStatus();
}

std::optional<std::vector<bool>> SuffixRunner::ChangedNodes(
    const Graph& changed) const {
  const size_t nodes = graph_.nodes().size();
  const size_t values = graph_.values().size();
  if (changed.nodes().size() != nodes || changed.values().size() < values) {
    return std::nullopt;
  }
  std::vector<bool> is_other(changed.values().size(), false);  // By value.
  for (size_t v = 0; v < values; ++v) {
    const ValueId id = static_cast<ValueId>(v);
    if (changed.value(id).name != graph_.value(id).name) return std::nullopt;
    is_other[v] = changed.value(id).grid.has_value();
  }
  std::vector<bool> is_changed(nodes, false);
  for (size_t i = 0; i < nodes; ++i) {
    const int index = static_cast<int>(i);
    const Node& node = changed.nodes()[i];
    is_changed[i] =
        !IsSameNode(graph_, changed, index) ||
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [&](ValueId id) { return id != kNoValue && is_other[id]; });
    if (!is_changed[i]) continue;
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) is_other[id] = true;
    }
  }
  return is_changed;
}

absl::StatusOr<Answers> SuffixRunner::RunSuffix(
    const Graph& changed, const std::vector<bool>& is_changed) const {
  GraphParts parts = changed.parts();
  parts.nodes.clear();
  parts.inputs.clear();
  std::vector<bool> is_made(parts.values.size(), false);
  for (size_t i = 0; i < is_changed.size(); ++i) {
    if (!is_changed[i]) continue;
    const Node& node = changed.nodes()[i];
    for (const ValueId id : node.inputs) {
      if (id == kNoValue || is_made[id] || changed.IsConstant(id)) continue;
      is_made[id] = true;
      parts.inputs.push_back(id);
      parts.values[id].shape = batches_[0][id]->shape();
      parts.values[id].type = batches_[0][id]->type();
    }
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) is_made[id] = true;
    }
    parts.nodes.push_back(node);
  }
  const std::vector<ValueId> frontier = parts.inputs;
  LATHE_ASSIGN_OR_RETURN(const Graph suffix, Graph::Create(std::move(parts)));
  ExecutorOptions options;
  options.measures_kernels = false;
  options.batch = batches_[0][frontier[0]]->shape()[0];
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::Compile(suffix, options));
  Answers answers;
  LATHE_ASSIGN_OR_RETURN(answers.classes, OutputClasses(graph_));
  const int64_t rows = static_cast<int64_t>(samples_.size() / batches_.size());
  for (const Batch& batch : batches_) {
    for (size_t i = 0; i < frontier.size(); ++i) {
      const std::string& bytes = batch[frontier[i]]->bytes();
      std::memcpy(executor->input(static_cast<int>(i)), bytes.data(),
                  bytes.size());
    }
    LATHE_RETURN_IF_ERROR(executor->Run());
    const float* output = static_cast<const float*>(executor->output(0));
    answers.log_probabilities.insert(answers.log_probabilities.end(), output,
                                     output + rows * answers.classes);
  }
  const auto is_finite = [](float x) { return std::isfinite(x); };
  if (!std::all_of(answers.log_probabilities.begin(),
                   answers.log_probabilities.end(), is_finite)) {
    return absl::OutOfRangeError("an output is not finite");
  }
  ToLogProbabilities(EndsInSoftmax(graph_), answers.classes,
                     absl::MakeSpan(answers.log_probabilities));
  return answers;
}

absl::StatusOr<Answers> SuffixRunner::AnswerOf(const Graph& changed) const {
  const std::optional<std::vector<bool>> is_changed = ChangedNodes(changed);
  const std::optional<int> last = changed.outputs().empty()
                                      ? std::nullopt
                                      : changed.Producer(changed.outputs()[0]);
  const bool is_suffix = is_changed && last && (*is_changed)[*last];
  // A grid of a call would be that of a whole batch here.
  if (is_suffix && !HasDynamicGrids(changed)) {
    absl::StatusOr<Answers> answers = RunSuffix(changed, *is_changed);
    if (answers.ok()) return answers;
  }
  return Answer(changed, inputs_, samples_);
}

}  // namespace lathe
