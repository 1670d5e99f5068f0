// Where the numbers of a Resize or Upsample come from: separable, so that along
// each axis an output place is a weighted sum of a few input places.
#ifndef LATHE_COMPRESSOR_RESIZING_H_
#define LATHE_COMPRESSOR_RESIZING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

class OpCall;

struct ResizeTap {
  int64_t index = 0;
  double weight = 1;
};

// Immutable.
class Resizing {
 public:
  // Errors:
  //   InvalidArgument - inputs that do not fit; the message names the node.
  //   Unimplemented - modes that are not supported, scales that depend on data.
  static absl::StatusOr<Resizing> Resolve(const OpCall& call);
  // The same for a `node` that reads a value of shape `in`; `inputs` are the
  // node's, null where one is left out or not known, and the first is not read.
  static absl::StatusOr<Resizing> Resolve(
      const Node& node, int64_t opset, const Shape& in,
      absl::Span<const Tensor* const> inputs);

  const Shape& out() const { return out_; }
  // Whether the axis stays as it is.
  bool Keeps(size_t axis) const;
  // What makes up output place `place` along the axis, weights adding up to 1;
  // nothing where it shows something outside of the input, which is
  // extrapolated() (tf_crop_and_resize alone).
  std::vector<ResizeTap> TapsAt(size_t axis, int64_t place) const;
  float extrapolated() const { return extrapolated_; }

 private:
  absl::Status ReadScales(const OpCall& call, const std::vector<int64_t>& axes,
                          int input);
  absl::Status ReadSizes(const OpCall& call, const std::vector<int64_t>& axes);
  absl::Status ReadCrop(const OpCall& call, const std::vector<int64_t>& axes);
  absl::Status CheckModes(const OpCall& call) const;
  // Where output place `place` lies on the input's axis.
  double SourceCoordinate(size_t axis, int64_t place) const;
  int64_t NearestIndex(double x) const;
  template <typename Weight>
  std::vector<ResizeTap> KernelTaps(double x, int64_t reach, double squeeze,
                                    int64_t in, Weight weight) const;

  Shape in_;
  Shape out_;
  // Output size / input size as the model says it, by axis.
  std::vector<double> scales_;
  std::string mode_;
  std::string coordinates_;
  std::string nearest_;
  // Whether shrinking averages over all that it leaves out.
  bool smooths_ = false;
  bool excludes_outside_ = false;
  double cubic_ = -0.75;
  float extrapolated_ = 0;
  // For tf_crop_and_resize: the region to resample, by axis, as shares of the
  // input.
  std::vector<double> crop_begin_;
  std::vector<double> crop_end_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_RESIZING_H_
