#include "evaluator/lower_dynamic.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "evaluator/epilogue.h"
#include "evaluator/executor.h"
#include "evaluator/level_products.h"
#include "evaluator/level_sums.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

// Rows up to which MultiplyLevels is faster than oneDNN's three steps.
constexpr int64_t kFewRows = 2;

// The layer as a product of levels, [rows, ins] by [ins, outs].
struct Meaning {
  int64_t rows = 0;
  int64_t ins = 0;
  LevelSums sums;

  int64_t outs() const { return sums.columns(); }
};

class DynamicLowering {
 public:
  DynamicLowering(LoweringContext& context, const Node& node,
                  const WeightedNode& weighted)
      : context_(context), node_(node), weighted_(weighted) {}

  absl::Status Run() {
    if (!node_.quantized_weights || !weighted_.is_flat ||
        weighted_.elements_per_channel > kMostLevelColumns) {
      return absl::UnimplementedError("no kernel with grids of each call");
    }
    LATHE_ASSIGN_OR_RETURN(const Copy source,
                           context_.FetchPlain(weighted_.source));
    const Copy out = context_.NewCopy(
        FloatEncoding(),
        PlainDesc(context_.shape(node_.outputs[0]), DataType::kFloat32));
    const auto meaning = std::make_shared<const Meaning>(MeaningOf());
    if (meaning->rows <= kFewRows || !HasExactInt8()) {
      AddRowLoop(meaning, source, out);
    } else {
      LATHE_RETURN_IF_ERROR(AddProduct(meaning, source, out));
    }
    LATHE_RETURN_IF_ERROR(AddPostOpSteps(context_, node_, out));
    context_.Define(node_.outputs[0], out);
    return absl::OkStatus();
  }

 private:
  int8_t LevelAt(int64_t channel, int64_t element) const {
    return node_.quantized_weights->levels[channel * weighted_.channel_stride +
                                           element * weighted_.element_stride];
  }

  Meaning MeaningOf() const {
    Meaning meaning;
    meaning.rows = weighted_.source_shape[0];
    meaning.ins = weighted_.elements_per_channel;
    meaning.sums.bias = weighted_.bias;
    meaning.sums.bias.resize(weighted_.channels, 0);
    const auto& scales = node_.quantized_weights->scales;
    for (int64_t c = 0; c < weighted_.channels; ++c) {
      meaning.sums.scales.push_back(weighted_.factor *
                                    scales[scales.size() == 1 ? 0 : c]);
      int64_t sum = 0;
      for (int64_t i = 0; i < meaning.ins; ++i) sum += LevelAt(c, i);
      meaning.sums.weight_sums.push_back(static_cast<float>(sum));
    }
    return meaning;
  }

  // All in one loop, row by row.
  void AddRowLoop(const std::shared_ptr<const Meaning>& meaning,
                  const Copy& source, const Copy& out) {
    const PackedLevels packed(
        node_.quantized_weights->levels.data(), meaning->outs(), meaning->ins,
        weighted_.channel_stride, weighted_.element_stride);
    const Location weights =
        context_.NewConstant(packed.bytes().data(), packed.bytes().size());
    const int64_t row_bytes = packed.padded_columns();
    const Location levels =
        context_.NewBuffer(meaning->rows * row_bytes, /*is_persistent=*/false);
    const Location sums = context_.NewBuffer(
        packed.padded_rows() * static_cast<int64_t>(sizeof(int32_t)),
        /*is_persistent=*/false);
    const int64_t blocks = packed.blocks();
    const int64_t groups = packed.groups();
    context_.AddLoop(
        weighted_.kind, HasLevelProducts() ? "levels:vnni" : "levels:plain",
        {Reads(source),
         {weights, /*is_written=*/false},
         {levels, /*is_written=*/true},
         {sums, /*is_written=*/true},
         Writes(out)},
        [=](absl::Span<char* const> operands) {
          const float* x = reinterpret_cast<const float*>(operands[0]);
          const LevelsView view = {reinterpret_cast<const int8_t*>(operands[1]),
                                   blocks, groups};
          uint8_t* row = reinterpret_cast<uint8_t*>(operands[2]);
          int32_t* row_sums = reinterpret_cast<int32_t*>(operands[3]);
          float* y = reinterpret_cast<float*>(operands[4]);
          const NumberRange range =
              RangeOfNumbers(x, meaning->rows * meaning->ins);
          const OwnLevels grid = OwnLevelsOf(range.least, range.most);
          for (int64_t r = 0; r < meaning->rows; ++r) {
            TakeLevels(x + r * meaning->ins, meaning->ins, grid, row);
            std::memset(row + meaning->ins, 0, row_bytes - meaning->ins);
            MultiplyLevels(row, view, row_sums);
            NumbersOfSums(row_sums, 1, meaning->sums, grid,
                          y + r * meaning->outs());
          }
          return absl::OkStatus();
        });
  }

  // Levels, oneDNN's product, numbers.
  absl::Status AddProduct(const std::shared_ptr<const Meaning>& meaning,
                          const Copy& source, const Copy& out) {
    const Shape in_shape = {meaning->rows, meaning->ins};
    const Shape out_shape = {meaning->rows, meaning->outs()};
    LATHE_ASSIGN_OR_RETURN(
        const Kernel kernel,
        weighted_.make(PlainDesc(in_shape, DataType::kUint8),
                       AnyDesc(weighted_.weights_shape, DataType::kInt8),
                       PlainDesc(out_shape, DataType::kInt32),
                       /*has_bias=*/false, Attributes()));
    const Copy levels = context_.NewCopy({DataType::kUint8, 1, 0},
                                         PlainDesc(in_shape, DataType::kUint8));
    const Copy sums = context_.NewCopy({DataType::kInt32, 1, 0},
                                       PlainDesc(out_shape, DataType::kInt32));
    const Location grid =
        context_.NewBuffer(sizeof(OwnLevels), /*is_persistent=*/false);
    const int64_t size = meaning->rows * meaning->ins;
    context_.AddLoop(
        "quantize", VectorLoopIsa(),
        {Reads(source), Writes(levels), {grid, /*is_written=*/true}},
        [size](absl::Span<char* const> operands) {
          const OwnLevels own =
              TakeOwnLevels(reinterpret_cast<const float*>(operands[0]), size,
                            reinterpret_cast<uint8_t*>(operands[1]));
          std::memcpy(operands[2], &own, sizeof(own));
          return absl::OkStatus();
        },
        /*is_reorder=*/true);
    LATHE_ASSIGN_OR_RETURN(
        const Location weights,
        context_.NewReorderedConstant(
            node_.quantized_weights->levels.data(),
            StridedDesc(weighted_.weights_shape, weighted_.weights_strides,
                        DataType::kInt8),
            kernel.weights));
    LATHE_RETURN_IF_ERROR(
        context_.AddKernel(weighted_.kind, kernel,
                           {Reads(DNNL_ARG_SRC, levels, kernel.source),
                            Reads(DNNL_ARG_WEIGHTS, weights, kernel.weights),
                            Writes(DNNL_ARG_DST, sums, kernel.destination)}));
    context_.AddLoop(
        "dequantize", VectorLoopIsa(),
        {Reads(sums), {grid, /*is_written=*/false}, Writes(out)},
        [meaning](absl::Span<char* const> operands) {
          OwnLevels own;
          std::memcpy(&own, operands[1], sizeof(own));
          const int32_t* from = reinterpret_cast<const int32_t*>(operands[0]);
          float* to = reinterpret_cast<float*>(operands[2]);
          NumbersOfSums(from, meaning->rows, meaning->sums, own, to);
          return absl::OkStatus();
        },
        /*is_reorder=*/true);
    return absl::OkStatus();
  }

  LoweringContext& context_;
  const Node& node_;
  const WeightedNode& weighted_;
};

}  // namespace

absl::Status LowerDynamicLinear(LoweringContext& context, const Node& node,
                                const WeightedNode& weighted) {
  return DynamicLowering(context, node, weighted).Run();
}

}  // namespace lathe
