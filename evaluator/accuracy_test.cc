#include "evaluator/accuracy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "compressor/reference_ops.h"
#include "evaluator/testing/small_job.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

std::vector<int64_t> AllSamples(const Dataset& dataset) {
  std::vector<int64_t> samples(dataset.SampleCount());
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

Answers AnswersOf(int64_t classes, const std::vector<float>& probabilities) {
  Answers answers;
  answers.classes = classes;
  answers.log_probabilities = probabilities;
  ToLogProbabilities(/*is_probability=*/true, classes,
                     absl::MakeSpan(answers.log_probabilities));
  return answers;
}

TEST(ToLogProbabilities, NormalisesLogitsRowByRow) {
  std::vector<float> rows = {1, 2, 3, 1000, 1000, 1000};
  ToLogProbabilities(/*is_probability=*/false, 3, absl::MakeSpan(rows));
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(rows[i], i + 1 - std::log(sum), 1e-6);
    EXPECT_NEAR(rows[3 + i], -std::log(3.0), 1e-4);
  }
}

TEST(ToLogProbabilities, GivesProbabilityZeroALogarithm) {
  std::vector<float> rows = {0, 1};
  ToLogProbabilities(/*is_probability=*/true, 2, absl::MakeSpan(rows));
  EXPECT_NEAR(rows[0], std::log(1e-12), 1e-4);
  EXPECT_EQ(rows[1], 0);
}

TEST(EndsInSoftmax, SeesTheSoftmaxThroughReshapes) {
  EXPECT_FALSE(EndsInSoftmax(SmallNetwork()));
  EXPECT_TRUE(EndsInSoftmax(SmallNetwork(kDynamic, SmallOutput::kSoftmax)));
  NetBuilder net(1);
  const ValueId softmax = net.Op("Softmax", {net.Input({kDynamic, 4})});
  EXPECT_TRUE(EndsInSoftmax(net.Build({net.Op("Flatten", {softmax})})));
}

TEST(Score, CountsAnswersThatMatchTheLabels) {
  const Answers answers = AnswersOf(2, {0.9f, 0.1f, 0.4f, 0.6f, 0.2f, 0.8f});
  const Accuracy accuracy = Score(answers, answers, {0, 0, 1});
  EXPECT_EQ(accuracy.correct, 2);
  EXPECT_EQ(accuracy.samples, 3);
  EXPECT_EQ(accuracy.kl_divergence, 0);
}

TEST(Score, CountsAgreementWithoutLabels) {
  const Answers answers = AnswersOf(2, {0.9f, 0.1f, 0.4f, 0.6f});
  const Answers reference = AnswersOf(2, {0.6f, 0.4f, 0.7f, 0.3f});
  EXPECT_EQ(Score(answers, reference, {}).correct, 1);
}

TEST(Score, TellsTheMeanDivergenceFromTheReference) {
  const Answers answers = AnswersOf(2, {0.5f, 0.5f, 0.25f, 0.75f});
  const Answers reference = AnswersOf(2, {0.5f, 0.5f, 0.75f, 0.25f});
  const double second = 0.75 * std::log(3.0) + 0.25 * std::log(1 / 3.0);
  EXPECT_NEAR(Score(answers, reference, {}).kl_divergence, second / 2, 1e-6);
}

// Log-probabilities by the reference operators.
std::vector<float> ReferenceAnswers(const ModelInputs& inputs,
                                    const std::vector<int64_t>& samples) {
  const auto tensors = inputs.Tensors(samples);
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  const auto outputs = EvaluateGraph(SmallNetwork(), *tensors);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  const auto logits = (*outputs)[0].values<float>();
  std::vector<float> rows(logits.begin(), logits.end());
  ToLogProbabilities(/*is_probability=*/false, 5, absl::MakeSpan(rows));
  return rows;
}

TEST(Answer, GivesWhatTheReferenceOperatorsGive) {
  const Dataset dataset = SmallDataset(37);  // A batch of 32 and a part.
  const v1::DatasetSpec spec = SmallSpec().dataset();
  std::vector<float> expected;
  for (const SmallOutput output :
       {SmallOutput::kLogits, SmallOutput::kSoftmax}) {
    for (const int64_t batch : {kDynamic, int64_t{1}, int64_t{4}}) {
      const Graph graph = SmallNetwork(batch, output);
      const auto inputs = ModelInputs::Bind(graph, &dataset, spec);
      ASSERT_TRUE(inputs.ok()) << inputs.status();
      if (expected.empty()) {
        expected = ReferenceAnswers(*inputs, AllSamples(dataset));
      }
      const auto answers = Answer(graph, *inputs, AllSamples(dataset));
      ASSERT_TRUE(answers.ok()) << answers.status();
      ASSERT_EQ(answers->log_probabilities.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        // Float32 sums of 288 products differ by their order.
        EXPECT_NEAR(answers->log_probabilities[i], expected[i], 1e-4)
            << "batch " << batch << ", element " << i;
      }
    }
  }
}

TEST(Answer, NamesASampleWhoseOutputIsNotFinite) {
  NetBuilder net(1);
  const ValueId input = net.Input({kDynamic, 3, 8, 8});
  const float most = std::numeric_limits<float>::max();
  const ValueId large = net.Op(
      "Mul",
      {input, net.Constant(Tensor::Of<float>({1}, std::vector<float>{most}))});
  const Graph graph = net.Build({net.Op("Flatten", {large})});
  Dataset dataset = SmallDataset(3);
  std::fill(dataset.inputs["x"].bytes.begin(),
            dataset.inputs["x"].bytes.begin() + 3 * 64, '\0');
  const auto inputs = ModelInputs::Bind(graph, &dataset, {});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const auto answers = Answer(graph, *inputs, AllSamples(dataset));
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(answers.status().message()), HasSubstr("sample 1"));
}

TEST(OutputClasses, CountsTheOutputsOfOneSample) {
  EXPECT_EQ(*OutputClasses(SmallNetwork()), 5);
  EXPECT_EQ(*OutputClasses(SmallNetwork(4)), 5);
}

}  // namespace
}  // namespace lathe
