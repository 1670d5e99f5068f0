// The sample networks that tests run when they are there, and inputs for them.
#ifndef LATHE_COMPRESSOR_TESTING_SAMPLE_MODELS_H_
#define LATHE_COMPRESSOR_TESTING_SAMPLE_MODELS_H_

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "compressor/graph.h"
#include "compressor/shape_inference.h"
#include "compressor/tensor.h"

namespace lathe {

// $LATHE_DATA_DIR, else ../shared/data beside the tree.
inline std::string SampleDataDir() {
  const char* dir = std::getenv("LATHE_DATA_DIR");
  return dir != nullptr ? dir
                        : std::string(LATHE_SOURCE_DIR) + "/../shared/data";
}

inline bool HasSampleData() {
  return FileExists(SampleDataDir() + "/cifar10/resnet8.onnx");
}

constexpr const char* kNoSampleData =
    "sample data are missing; set LATHE_DATA_DIR to their folder";

// Relative to SampleDataDir().
inline std::vector<std::string> SampleModels() {
  return {"cifar10/resnet8.onnx",  "cifar10/resnet8_wide.onnx",
          "cifar10/resnet20.onnx", "cifar10/vit_pgd_2_3_16.onnx",
          "cifar10/cct4_3x1.onnx", "imagenet/squeezenet1_1.onnx",
          "kws/dscnn_tiny.onnx",   "kws/lstm_arm_s.onnx",
          "mnist/mnist_cnn.onnx",  "mnist/mnist_lstm.onnx"};
}

// Normal deviates with the shapes of `graph`'s inputs; the batch as wanted
// where it is dynamic. REQUIRES: float32 inputs.
inline std::vector<Tensor> RandomInputs(const Graph& graph, int64_t batch,
                                        uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    Shape shape = graph.value(id).shape;
    if (shape[0] == kDynamic) shape[0] = batch;
    std::vector<float> values(ElementCount(shape));
    for (float& value : values) value = normal(generator);
    inputs.push_back(Tensor::Of<float>(shape, values));
  }
  return inputs;
}

// Largest |a - b| / (1 + |b|); infinite when the shapes differ.
inline double LargestDifference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.type() != b.type()) return HUGE_VAL;
  double largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.values<float>()[i];
    const double y = b.values<float>()[i];
    largest = std::max(largest, std::abs(x - y) / (1 + std::abs(y)));
    if (std::isnan(x) != std::isnan(y)) return HUGE_VAL;
  }
  return largest;
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_SAMPLE_MODELS_H_
