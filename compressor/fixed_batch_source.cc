#include "compressor/fixed_batch_source.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

// Part `index` of `parts` equal parts along the first dimension.
Tensor Part(const Tensor& whole, int64_t index, int64_t parts) {
  Shape shape = whole.shape();
  shape[0] /= parts;
  const size_t bytes = whole.bytes().size() / parts;
  return Tensor(whole.type(), std::move(shape),
                whole.bytes().substr(index * bytes, bytes));
}

// `parts`, of one shape, along the first dimension.
Tensor Join(const std::vector<Tensor>& parts) {
  Shape shape = parts[0].shape();
  shape[0] *= static_cast<int64_t>(parts.size());
  std::string bytes;
  bytes.reserve(parts.size() * parts[0].bytes().size());
  for (const Tensor& part : parts) bytes += part.bytes();
  return Tensor(parts[0].type(), std::move(shape), std::move(bytes));
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> FixedBatchSource::Inputs(int64_t first,
                                                             int64_t count) {
  batches_ = std::max<int64_t>(1, count / batch_);
  return source_.Inputs(first, count);
}

absl::StatusOr<std::vector<Tensor>> FixedBatchSource::Run(
    const Node& node, absl::Span<const Tensor> inputs) {
  const bool is_constant =
      std::none_of(node.inputs.begin(), node.inputs.end(),
                   [this](ValueId id) { return IsActivation(id); });
  const int64_t runs = is_constant ? 1 : batches_;
  std::vector<std::vector<Tensor>> parts;  // By output, then by run.
  for (int64_t run = 0; run < runs; ++run) {
    std::vector<Tensor> some(inputs.begin(), inputs.end());
    for (size_t i = 0; i < some.size(); ++i) {
      if (IsActivation(node.inputs[i])) some[i] = Part(some[i], run, runs);
    }
    LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                           source_.Run(node, some));
    parts.resize(outputs.size());
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o].shape().empty()) {
        return absl::FailedPreconditionError(absl::StrCat(
            "node ", node.name, " gives a scalar for a batch of ", batch_,
            "; export the model with a dynamic batch dimension"));
      }
      parts[o].push_back(outputs[o]);
    }
  }
  std::vector<Tensor> joined;
  // What is computed from constants alone stands for every batch.
  for (std::vector<Tensor>& part : parts) {
    if (is_constant) part.resize(batches_, part[0]);
    joined.push_back(Join(part));
  }
  return joined;
}

}  // namespace lathe
