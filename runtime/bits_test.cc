// What was measured is what is deployed: the runtime on the exported file and
// the trial's own executor compute the same bits by the same kernels.
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/onnx.h"
#include "compressor/packed_model.h"
#include "compressor/search_space.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/sample_models.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"
#include "evaluator/testing/small_job.h"
#include "evaluator/thread_scope.h"
#include "gtest/gtest.h"
#include "proto/plan.h"
#include "runtime/deployed_model.h"
#include "runtime/lathe_runtime.h"

namespace lathe {
namespace {

constexpr int64_t kSamples = 16;

SpaceOptions WithBf16() {
  SpaceOptions options;
  options.has_bf16 = true;
  return options;
}

// The last option of a layer with this precision; false when it has none.
bool Choose(const v1::Layer& layer, v1::Precision precision,
            v1::LayerChoice* choice) {
  for (const v1::PrecisionOption& option : layer.precisions()) {
    if (option.precision() != precision) continue;
    choice->set_precision(precision);
    choice->set_weight_bits(option.weight_bits());
    if (precision == v1::INT8) return true;  // 8 bits stand first.
  }
  return choice->precision() == precision;
}

// int8, bf16 and f32 in turn, starting with the `first`-th of them; groups
// keep about `keep`.
v1::CompressionPlan MixedPlan(const v1::SearchSpace& space, int first,
                              double keep) {
  constexpr v1::Precision kPrecisions[] = {v1::INT8, v1::INT8, v1::BF16,
                                           v1::F32};
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < plan.layers_size(); ++i) {
    v1::LayerChoice* choice = plan.mutable_layers(i);
    Choose(space.layers(i), kPrecisions[(first + i) % 4], choice);
    for (const double ratio : space.layers(i).keep_ratios()) {
      if (ratio >= keep) choice->set_keep_ratio(ratio);
    }
  }
  return plan;
}

v1::CompressionPlan UniformPlan(const v1::SearchSpace& space,
                                v1::Precision precision) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < plan.layers_size(); ++i) {
    Choose(space.layers(i), precision, plan.mutable_layers(i));
  }
  return plan;
}

std::vector<std::string> Kernels(const Executor& executor) {
  std::vector<std::string> kernels;
  for (const StepInfo& step : executor.steps()) {
    kernels.push_back(absl::StrCat(step.kind, " ", step.implementation));
  }
  return kernels;
}

void Fill(const Graph& graph, const std::vector<Tensor>& inputs,
          Executor* executor) {
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    std::memcpy(executor->input(static_cast<int>(i)), inputs[i].bytes().data(),
                inputs[i].bytes().size());
  }
}

// Runs the file by the C interface: the bits that `measured` left.
void ExpectRuntimeAnswers(const std::string& file,
                          const std::vector<Tensor>& inputs, int64_t batch,
                          int threads, const Executor& measured) {
  lathe_model* model = nullptr;
  ASSERT_EQ(lathe_model_load_bytes(file.data(), file.size(), &model), LATHE_OK)
      << lathe_last_error();
  lathe_session* session = nullptr;
  ASSERT_EQ(lathe_session_create(model, batch, threads, &session), LATHE_OK)
      << lathe_last_error();
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(lathe_session_input(session, static_cast<int>(i)),
                inputs[i].bytes().data(), inputs[i].bytes().size());
  }
  ASSERT_EQ(lathe_session_run(session), LATHE_OK) << lathe_last_error();
  for (int i = 0; i < lathe_model_output_count(model); ++i) {
    lathe_tensor_info info;
    lathe_session_output_info(session, i, &info);
    EXPECT_EQ(std::memcmp(lathe_session_output(session, i), measured.output(i),
                          info.bytes),
              0)
        << "output " << i;
  }
  lathe_session_free(session);
  lathe_model_free(model);
}

// Runs `graph`, as a trial does, and its export, as users do.
void ExpectSameBits(const Graph& graph, const std::string& artifact,
                    int64_t batch, int threads) {
  SCOPED_TRACE(absl::StrCat("batch ", batch, ", threads ", threads));
  const std::vector<Tensor> inputs = RandomInputs(graph, batch, /*seed=*/3);
  const ThreadScope scope(threads);
  const auto measured = Executor::Compile(graph, {batch});
  ASSERT_TRUE(measured.ok()) << measured.status();
  Fill(graph, inputs, measured->get());
  ASSERT_TRUE((*measured)->Run().ok());

  const auto deployed = DeployedModel::Load(artifact);
  ASSERT_TRUE(deployed.ok()) << deployed.status();
  const auto again = Executor::Compile(deployed->graph(), {batch});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Kernels(**again), Kernels(**measured));

  ExpectRuntimeAnswers(artifact, inputs, batch, threads, **measured);
  // The packed form of the same file.
  const auto packed = PackModel(artifact);
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_LT(packed->size(), artifact.size());
  ExpectRuntimeAnswers(*packed, inputs, batch, threads, **measured);
}

void ExpectPlanSurvives(const Graph& graph, const v1::CompressionPlan& plan,
                        const v1::SearchSpace& space) {
  ReferenceActivationSource source(RandomInputs(graph, kSamples, /*seed=*/1),
                                   graph.parts().opset);
  const auto stats = CollectActivationStats(graph, source, kSamples);
  ASSERT_TRUE(stats.ok()) << stats.status();
  const auto compressed = Compress(graph, space, plan, *stats, source);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  const auto artifact = SerializeOnnx(*compressed);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  ExpectSameBits(*compressed, *artifact, /*batch=*/1, /*threads=*/1);
  ExpectSameBits(*compressed, *artifact, /*batch=*/4, /*threads=*/2);
}

// Unpruned and pruned.
void ExpectMixedPlansSurvive(const Graph& graph) {
  const auto space = MakeSearchSpace(graph, WithBf16());
  ASSERT_TRUE(space.ok()) << space.status();
  ExpectPlanSurvives(graph, MixedPlan(*space, /*first=*/0, /*keep=*/1), *space);
  ExpectPlanSurvives(graph, MixedPlan(*space, /*first=*/1, /*keep=*/0.5),
                     *space);
}

void ExpectPlansSurvive(const Graph& graph) {
  const auto space = MakeSearchSpace(graph, WithBf16());
  ASSERT_TRUE(space.ok()) << space.status();
  for (const v1::Precision precision : {v1::F32, v1::BF16, v1::INT8}) {
    SCOPED_TRACE(v1::Precision_Name(precision));
    ExpectPlanSurvives(graph, UniformPlan(*space, precision), *space);
  }
  for (int first = 0; first < 4; ++first) {
    SCOPED_TRACE(absl::StrCat("mixed, from ", first));
    ExpectPlanSurvives(graph, MixedPlan(*space, first, first < 2 ? 1 : 0.5),
                       *space);
  }
}

TEST(MeasuredIsDeployed, OnASmallResidualNetwork) {
  const auto graph = Canonicalize(SmallNetwork());
  ASSERT_TRUE(graph.ok()) << graph.status();
  ExpectPlansSurvive(*graph);
}

TEST(MeasuredIsDeployed, OnSampleModels) {
  if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  for (const char* name :
       {"cifar10/resnet8.onnx", "cifar10/vit_pgd_2_3_16.onnx",
        "kws/dscnn_tiny.onnx", "kws/lstm_arm_s.onnx"}) {
    SCOPED_TRACE(name);
    const auto bytes = ReadFile(SampleDataDir() + "/" + name);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto parsed = ParseOnnx(*bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    const auto graph = Canonicalize(*parsed);
    ASSERT_TRUE(graph.ok()) << graph.status();
    ExpectMixedPlansSurvive(*graph);
  }
}

}  // namespace
}  // namespace lathe
