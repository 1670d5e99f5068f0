// The C interface as its callers use it, and misuse it.
#include "runtime/lathe_runtime.h"

#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/net_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

extern "C" int CountInputsInC(const void* bytes, size_t size);

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kSampleElements = 3 * 8 * 8;

Graph SampleGraph(int64_t batch = kDynamic) {
  NetBuilder net(/*seed=*/5);
  const ValueId input = net.Input({batch, 3, 8, 8});
  const ValueId first = net.Conv(input, 3, 16, 3);
  net.Relu();
  const ValueId second = net.Conv(first, 16, 16, 3);
  net.AddInto(first);
  const ValueId pooled = net.Op("GlobalAveragePool", {second});
  const ValueId flat = net.Op("Flatten", {pooled}, {{"axis", int64_t{1}}});
  return net.Build({net.Gemm(flat, 16, 5, /*is_transposed=*/true)});
}

std::string SampleModel(int64_t batch = kDynamic) {
  return SerializeOnnx(*Canonicalize(SampleGraph(batch))).value();
}

std::vector<float> Numbers(size_t count) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  }
  return numbers;
}

lathe_model* Load(const std::string& bytes) {
  lathe_model* model = nullptr;
  EXPECT_EQ(lathe_model_load_bytes(bytes.data(), bytes.size(), &model),
            LATHE_OK)
      << lathe_last_error();
  return model;
}

std::vector<int64_t> Sizes(const lathe_tensor_info& info) {
  return {info.sizes, info.sizes + info.rank};
}

// The outputs of a session of its own.
std::vector<float> RunOnce(const lathe_model* model, int64_t batch,
                           int threads) {
  lathe_session* session = nullptr;
  EXPECT_EQ(lathe_session_create(model, batch, threads, &session), LATHE_OK)
      << lathe_last_error();
  const std::vector<float> in = Numbers(batch * kSampleElements);
  std::memcpy(lathe_session_input(session, 0), in.data(),
              in.size() * sizeof(float));
  EXPECT_EQ(lathe_session_run(session), LATHE_OK) << lathe_last_error();
  const auto* out = static_cast<const float*>(lathe_session_output(session, 0));
  std::vector<float> result(out, out + batch * 5);
  lathe_session_free(session);
  return result;
}

TEST(Runtime, TellsWhatAModelTakesAndGives) {
  lathe_model* model = Load(SampleModel());
  EXPECT_EQ(lathe_model_input_count(model), 1);
  EXPECT_EQ(lathe_model_output_count(model), 1);
  EXPECT_EQ(lathe_model_fixed_batch(model), 0);
  lathe_tensor_info info;
  ASSERT_EQ(lathe_model_input(model, 0, &info), LATHE_OK);
  EXPECT_EQ(info.type, LATHE_FLOAT32);
  EXPECT_THAT(Sizes(info), ElementsAre(LATHE_DYNAMIC, 3, 8, 8));
  ASSERT_EQ(lathe_model_output(model, 0, &info), LATHE_OK);
  EXPECT_THAT(Sizes(info), ElementsAre(LATHE_DYNAMIC, 5));
  EXPECT_EQ(lathe_model_output(model, 1, &info), LATHE_INVALID_ARGUMENT);
  EXPECT_THAT(lathe_last_error(), HasSubstr("output 1"));
  lathe_model_free(model);
}

TEST(Runtime, ComputesWhatTheReferenceComputes) {
  lathe_model* model = Load(SampleModel());
  const Tensor input =
      Tensor::Of<float>({2, 3, 8, 8}, Numbers(2 * kSampleElements));
  const auto expected = EvaluateGraph(SampleGraph(), {input});
  ASSERT_TRUE(expected.ok()) << expected.status();
  const std::vector<float> out = RunOnce(model, /*batch=*/2, /*threads=*/1);
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_NEAR(out[i], (*expected)[0].values<float>()[i], 1e-4);
  }
  lathe_model_free(model);
}

TEST(Runtime, ASessionOutlivesItsModel) {
  lathe_model* model = Load(SampleModel());
  lathe_session* session = nullptr;
  ASSERT_EQ(lathe_session_create(model, 1, 1, &session), LATHE_OK);
  lathe_model_free(model);
  lathe_tensor_info info;
  ASSERT_EQ(lathe_session_output_info(session, 0, &info), LATHE_OK);
  EXPECT_THAT(Sizes(info), ElementsAre(1, 5));
  EXPECT_EQ(info.bytes, 5 * sizeof(float));
  EXPECT_EQ(lathe_session_run(session), LATHE_OK);
  lathe_session_free(session);
}

TEST(Runtime, ManyThreadsRunOneModelAndAgree) {
  lathe_model* model = Load(SampleModel());
  const std::vector<float> expected = RunOnce(model, 2, 1);
  std::vector<std::vector<float>> results(8);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        results[i] = RunOnce(model, 2, 1 + static_cast<int>(i) % 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) {
    ASSERT_EQ(result.size(), expected.size());
    for (size_t k = 0; k < result.size(); ++k) {
      EXPECT_NEAR(result[k], expected[k], 1e-5);
    }
  }
  // As many threads as before: the very same bits.
  EXPECT_EQ(results[0], expected);
  lathe_model_free(model);
}

TEST(Runtime, RunsWithBuffersOfTheCaller) {
  lathe_model* model = Load(SampleModel());
  lathe_session* session = nullptr;
  ASSERT_EQ(lathe_session_create(model, 2, 1, &session), LATHE_OK);
  const std::vector<float> in = Numbers(2 * kSampleElements);
  std::vector<float> out(10);
  const void* inputs[] = {in.data()};
  void* outputs[] = {out.data()};
  size_t in_size = in.size() * sizeof(float);
  const size_t out_size = out.size() * sizeof(float);
  ASSERT_EQ(
      lathe_session_run_with(session, inputs, &in_size, outputs, &out_size),
      LATHE_OK);
  EXPECT_EQ(out, RunOnce(model, 2, 1));
  in_size -= 4;
  EXPECT_EQ(
      lathe_session_run_with(session, inputs, &in_size, outputs, &out_size),
      LATHE_INVALID_ARGUMENT);
  EXPECT_THAT(lathe_last_error(), HasSubstr("1532 bytes, not 1536"));
  lathe_session_free(session);
  lathe_model_free(model);
}

TEST(Runtime, AFixedBatchIsTheOnlyOne) {
  lathe_model* model = Load(SampleModel(/*batch=*/4));
  EXPECT_EQ(lathe_model_fixed_batch(model), 4);
  lathe_session* session = nullptr;
  EXPECT_EQ(lathe_session_create(model, 3, 1, &session),
            LATHE_INVALID_ARGUMENT);
  EXPECT_THAT(lathe_last_error(), HasSubstr("batch = 3; the model takes 4"));
  EXPECT_EQ(session, nullptr);
  lathe_model_free(model);
}

TEST(Runtime, RefusesSenselessCalls) {
  lathe_model* model = Load(SampleModel());
  lathe_session* session = nullptr;
  lathe_tensor_info info;
  EXPECT_EQ(lathe_session_create(model, 0, 1, &session),
            LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_create(model, 1, 0, &session),
            LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_create(model, 1, -1, &session),
            LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_create(nullptr, 1, 1, &session),
            LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_create(model, 1, 1, nullptr), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_model_input(model, -1, &info), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_model_input(model, 0, nullptr), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_run(nullptr), LATHE_INVALID_ARGUMENT);
  EXPECT_EQ(lathe_session_input(nullptr, 0), nullptr);
  EXPECT_EQ(lathe_model_input_count(nullptr), 0);
  lathe_model_free(nullptr);
  lathe_session_free(nullptr);
  lathe_model_free(model);
}

TEST(Runtime, ABatchBeyondMemoryIsAnError) {
  lathe_model* model = Load(SampleModel());
  lathe_session* session = nullptr;
  const lathe_status status =
      lathe_session_create(model, int64_t{1} << 40, 1, &session);
  EXPECT_NE(status, LATHE_OK);
  EXPECT_EQ(session, nullptr);
  // Fits 2^31 elements a value, and no machine.
  EXPECT_EQ(lathe_session_create(model, (int64_t{1} << 31) / (16 * 64) - 1, 1,
                                 &session),
            LATHE_OUT_OF_MEMORY)
      << lathe_last_error();
  lathe_model_free(model);
}

TEST(Runtime, SaysWhatIsWrongWithAModel) {
  lathe_model* model = nullptr;
  EXPECT_EQ(lathe_model_load("/nowhere.onnx", &model), LATHE_NOT_FOUND);
  EXPECT_THAT(lathe_last_error(), HasSubstr("/nowhere.onnx"));
  EXPECT_EQ(lathe_model_load("/", &model), LATHE_NOT_FOUND);
  EXPECT_EQ(lathe_model_load_bytes("no model", 8, &model), LATHE_INVALID_MODEL);
  EXPECT_EQ(lathe_model_load_bytes("", 0, &model), LATHE_INVALID_MODEL);
  EXPECT_EQ(lathe_model_load_bytes(nullptr, 8, &model), LATHE_INVALID_ARGUMENT);
  std::string odd = SampleModel();
  for (size_t at = 0;
       (at = odd.find("AveragePool", at)) != std::string::npos;) {
    odd.replace(at, 11, "AveragePoop");
  }
  EXPECT_EQ(lathe_model_load_bytes(odd.data(), odd.size(), &model),
            LATHE_UNSUPPORTED);
  EXPECT_THAT(lathe_last_error(), HasSubstr("GlobalAveragePoop"));
  EXPECT_EQ(model, nullptr);
}

TEST(Runtime, LoadsFromAFile) {
  const std::string path = ::testing::TempDir() + "/runtime_test.onnx";
  std::ofstream(path, std::ios::binary) << SampleModel();
  lathe_model* model = nullptr;
  ASSERT_EQ(lathe_model_load(path.c_str(), &model), LATHE_OK)
      << lathe_last_error();
  EXPECT_EQ(lathe_model_input_count(model), 1);
  lathe_model_free(model);
}

TEST(Runtime, ErrorsBelongToTheirThread) {
  lathe_model* model = nullptr;
  EXPECT_EQ(lathe_model_load("/nowhere.onnx", &model), LATHE_NOT_FOUND);
  std::string other = "unset";
  std::thread([&other] { other = lathe_last_error(); }).join();
  EXPECT_EQ(other, "");
}

TEST(Runtime, IsUsableFromC) {
  const std::string bytes = SampleModel();
  EXPECT_EQ(CountInputsInC(bytes.data(), bytes.size()), 1);
}

}  // namespace
}  // namespace lathe
