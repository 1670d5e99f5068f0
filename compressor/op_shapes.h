// Pieces that rules and kernels of many operators share. Private to the
// compressor.
#ifndef LATHE_COMPRESSOR_OP_SHAPES_H_
#define LATHE_COMPRESSOR_OP_SHAPES_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/operator_def.h"
#include "compressor/tensor.h"

namespace lathe {

// ONNX's (NumPy's) common shape.
// Errors: InvalidArgument - there is none.
absl::StatusOr<Shape> BroadcastShapes(const OpCall& call,
                                      absl::Span<const int64_t> a,
                                      absl::Span<const int64_t> b);

// `axis` counted from the front.
// Errors: InvalidArgument - not in [-rank, rank).
absl::StatusOr<int64_t> NormalizeAxis(const OpCall& call, int64_t axis,
                                      int64_t rank);

// The same for several, sorted.
// Errors: InvalidArgument - one stands twice, too.
absl::StatusOr<std::vector<int64_t>> NormalizeAxes(
    const OpCall& call, absl::Span<const int64_t> axes, int64_t rank);

// The sizes behind batch and channels. REQUIRES: at least two dimensions.
inline absl::Span<const int64_t> Spatial(const Shape& shape) {
  return absl::MakeConstSpan(shape).subspan(2);
}

// Errors: InvalidArgument - input 1, the indices, is neither int64 nor int32.
absl::Status CheckIndexType(const OpCall& call);

// `index` counted from the front.
// Errors: InvalidArgument - not in [-size, size).
absl::StatusOr<int64_t> ResolveIndex(const OpCall& call, int64_t index,
                                     int64_t size);

// All of input 1, counted from the front.
absl::StatusOr<std::vector<int64_t>> ResolveIndices(const OpCall& call,
                                                    int64_t size);

// Whether input 1 can name one place along `axis` for each of its elements, as
// GatherElements and ScatterElements want.
// Errors: InvalidArgument - it is larger than input 0 along another axis.
absl::Status CheckElementIndices(const OpCall& call, int64_t axis);

// Elements between neighbours in each dimension, row-major.
std::vector<int64_t> Strides(absl::Span<const int64_t> shape);

// Strides to read a tensor of `shape` as if it had `out`: 0 where it repeats.
// REQUIRES: `shape` broadcasts to `out`.
std::vector<int64_t> BroadcastStrides(absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> out);

// Product of shape[first, last).
int64_t CountRange(absl::Span<const int64_t> shape, int64_t first,
                   int64_t last);

// A tensor in the making.
template <typename T>
class TensorBuilder {
 public:
  explicit TensorBuilder(const OpValue& value)
      : TensorBuilder(value.type, value.shape) {}
  TensorBuilder(DataType type, Shape shape)
      : type_(type),
        shape_(std::move(shape)),
        bytes_(ElementCount(shape_) * sizeof(T), '\0') {}

  T* data() { return reinterpret_cast<T*>(&bytes_[0]); }
  int64_t size() const { return bytes_.size() / sizeof(T); }
  Tensor Build() && {
    return Tensor(type_, std::move(shape_), std::move(bytes_));
  }

 private:
  DataType type_;
  Shape shape_;
  std::string bytes_;
};

// The elements of `tensor`, whose element type has the size of T.
template <typename T>
const T* Elements(const Tensor& tensor) {
  return reinterpret_cast<const T*>(tensor.bytes().data());
}

// Walks the elements of `shape` in row-major order and calls
// visit(element, offsets), offsets[i] being the sum of index x strides[i].
template <size_t N, typename Visit>
void WalkStrided(absl::Span<const int64_t> shape,
                 const std::array<std::vector<int64_t>, N>& strides,
                 Visit visit) {
  const int64_t count = ElementCount(shape);
  const size_t rows = shape.empty() ? 0 : shape.size() - 1;
  const int64_t columns = shape.empty() ? 1 : shape.back();
  std::array<int64_t, N> offsets{};
  std::array<int64_t, N> steps{};
  for (size_t i = 0; i < N && !shape.empty(); ++i) steps[i] = strides[i][rows];
  std::vector<int64_t> index(rows, 0);
  for (int64_t element = 0; element < count;) {
    std::array<int64_t, N> at = offsets;
    for (int64_t column = 0; column < columns; ++column, ++element) {
      visit(element, at);
      for (size_t i = 0; i < N; ++i) at[i] += steps[i];
    }
    for (size_t d = rows; d-- > 0;) {
      if (++index[d] < shape[d]) {
        for (size_t i = 0; i < N; ++i) offsets[i] += strides[i][d];
        break;
      }
      for (size_t i = 0; i < N; ++i)
        offsets[i] -= strides[i][d] * (shape[d] - 1);
      index[d] = 0;
    }
  }
}

// Calls visit(T()) with the C++ type of a type; bool as uint8_t, 16-bit floats
// as uint16_t (their bits).
template <typename Visit>
auto VisitType(DataType type, Visit visit) {
  switch (type) {
    case DataType::kFloat32:  // NOLINT(bugprone-branch-clone): types differ
      return visit(float());
    case DataType::kFloat64:
      return visit(double());
    case DataType::kInt8:
      return visit(int8_t());
    case DataType::kInt16:
      return visit(int16_t());
    case DataType::kInt32:
      return visit(int32_t());
    case DataType::kInt64:
      return visit(int64_t());
    case DataType::kUint8:
    case DataType::kBool:
      return visit(uint8_t());
    case DataType::kUint16:
    case DataType::kFloat16:
    case DataType::kBfloat16:
      return visit(uint16_t());
    case DataType::kUint32:
      return visit(uint32_t());
    case DataType::kUint64:
      return visit(uint64_t());
  }
  return visit(float());
}

inline bool IsFloat(DataType type) {
  return type == DataType::kFloat32 || type == DataType::kFloat64;
}

// A tensor of type and shape `output` whose elements are read from `tensor` at
// offset + sum of index x strides, the index running through `walk`.
// REQUIRES: `walk` and output.shape have equally many elements.
Tensor StridedCopy(const Tensor& tensor, int64_t offset,
                   absl::Span<const int64_t> walk,
                   const std::vector<int64_t>& strides, const OpValue& output);

// One output like input 0.
absl::StatusOr<std::vector<OpValue>> LikeInput(const OpCall& call);

// One tensor as a kernel returns it.
std::vector<Tensor> Only(Tensor tensor);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_OP_SHAPES_H_
