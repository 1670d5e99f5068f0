// The parameters of data movements, from attributes and constant inputs, and
// the layouts that fit them.
#ifndef LATHE_EVALUATOR_MOVEMENT_H_
#define LATHE_EVALUATOR_MOVEMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "evaluator/lowering_context.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

// The integers of input `index`, or of attribute `name` where the opset has it
// there; none when they are not known at compile time.
std::optional<std::vector<int64_t>> ConstantIntegers(
    const LoweringContext& context, const Node& node, size_t index,
    const std::string& name, std::vector<int64_t> fallback);

// By dimension. REQUIRES of users: the extent is the output's shape.
struct SliceSpec {
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;
};
// None where starts, axes or steps are not constant.
std::optional<SliceSpec> ParseSlice(const LoweringContext& context,
                                    const Node& node);

struct PadSpec {
  // Elements before the input, by dimension, none negative.
  std::vector<int64_t> begin;
  float value = 0;
};
// None for other modes than "constant", negative pads, and pads or a value that
// are not constant.
std::optional<PadSpec> ParsePad(const LoweringContext& context,
                                const Node& node);

// A layout for `shape` in the same order of dimensions as `like`; channels last
// for blocks of other than 8 or 16 channels and where `shape` leaves a block
// unfilled (what lies there has to be zeros).
// REQUIRES: DescribeLayout(like) has a value or is not needed; equal ranks.
MemoryDesc DescLike(const MemoryDesc& like, absl::Span<const int64_t> shape,
                    DataType type);

// Where in `whole`, in elements, a part lies that starts at `start` of `axis`,
// if the part's elements lie at the same distances from each other there as
// they do now.
std::optional<int64_t> ContiguousPlace(const Layout& part, const Layout& whole,
                                       int64_t axis, int64_t start);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_MOVEMENT_H_
