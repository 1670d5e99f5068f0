// A small network and data that fit it, for tests.
#ifndef LATHE_EVALUATOR_TESTING_SMALL_JOB_H_
#define LATHE_EVALUATOR_TESTING_SMALL_JOB_H_

#include <cstdint>
#include <string>
#include <vector>

#include "compressor/onnx.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/open_sizes.h"
#include "data/dataset.h"
#include "proto/types.pb.h"

namespace lathe {

enum class SmallOutput { kLogits, kSoftmax };

// Three convolutions, one with a residual addition, and a linear layer:
// [batch, 3, 8, 8] to [batch, 5].
inline Graph SmallNetwork(int64_t batch = kDynamic,
                          SmallOutput output = SmallOutput::kLogits) {
  NetBuilder net(/*seed=*/5);
  const ValueId input = net.Input({batch, 3, 8, 8});
  const ValueId first = net.Conv(input, 3, 16, 3);
  net.Relu();
  const ValueId inner = net.Conv(first, 16, 32, 3);
  net.Relu();
  const ValueId second = net.Conv(inner, 32, 16, 3);
  net.AddInto(first);
  net.Relu();
  const ValueId pooled = net.Op("GlobalAveragePool", {second});
  const ValueId flat = net.Op("Flatten", {pooled}, {{"axis", int64_t{1}}});
  const ValueId logits = net.Gemm(flat, 16, 5, /*is_transposed=*/true);
  if (output == SmallOutput::kLogits) return net.Build({logits});
  return net.Build({net.Op("Softmax", {logits}, {{"axis", int64_t{-1}}})});
}

// SmallNetwork's file with height and width left open.
inline std::string SmallNetworkOfAnySize() {
  return WithOpenImageSize(*SerializeOnnx(SmallNetwork()));
}

// `count` samples of [3, 8, 8], each class brighter in another part of the
// image, with labels 0 to 4 in turn.
inline Dataset SmallDataset(int64_t count) {
  Dataset dataset;
  Array& x = dataset.inputs["x"];
  x.type = Array::Type::kUint8;
  x.shape = {count, 3, 8, 8};
  TestRandom random(/*seed=*/9);
  for (int64_t sample = 0; sample < count; ++sample) {
    const int64_t label = sample % 5;
    dataset.labels.push_back(label);
    for (int64_t i = 0; i < 3 * 8 * 8; ++i) {
      const int64_t bright = i / 39 == label ? 120 : 0;
      x.bytes.push_back(static_cast<char>(bright + random.Below(120)));
    }
  }
  return dataset;
}

// A job on SmallDataset under the digest "data", values scaled to [-1, 1].
inline v1::JobSpec SmallSpec() {
  v1::JobSpec spec;
  spec.mutable_dataset()->set_digest("data");
  spec.mutable_dataset()->set_scale(1 / 127.5);
  spec.mutable_dataset()->add_mean(1);
  return spec;
}

}  // namespace lathe

#endif  // LATHE_EVALUATOR_TESTING_SMALL_JOB_H_
