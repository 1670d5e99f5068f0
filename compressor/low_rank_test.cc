#include "compressor/low_rank.h"

#include <Eigen/Core>
#include <Eigen/SVD>
#include <cmath>
#include <vector>

#include "compressor/cost.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// A linear layer of rank 3 between 32 and 24 features, and one of full rank.
Graph LowRankNet(bool is_transposed) {
  NetBuilder net(1);
  TestRandom& random = net.random();
  const Tensor a = random.NormalTensor({32, 3}, 1);
  const Tensor b = random.NormalTensor({3, 24}, 1);
  std::vector<float> product(32 * 24);
  for (int i = 0; i < 32; ++i) {
    for (int o = 0; o < 24; ++o) {
      for (int k = 0; k < 3; ++k) {
        product[is_transposed ? o * 32 + i : i * 24 + o] +=
            a.values<float>()[i * 3 + k] * b.values<float>()[k * 24 + o];
      }
    }
  }
  const Shape shape = is_transposed ? Shape{24, 32} : Shape{32, 24};
  const ValueId hidden = net.Op(
      "Gemm",
      {net.Input({kDynamic, 32}),
       net.Constant(Tensor::Of<float>(shape, product)), net.Random({24}, 1)},
      {{"transB", int64_t{is_transposed}}});
  net.Relu();
  return net.Build({net.Op("MatMul", {hidden, net.Random({24, 24}, 1)})});
}

TEST(LowRank, AMatrixOfLowRankComputesTheSameInFewerBytes) {
  TestRandom random(2);
  const Tensor input = random.NormalTensor({5, 32}, 1);
  for (const bool is_transposed : {false, true}) {
    const Graph graph = LowRankNet(is_transposed);
    const auto factored = FactorLinearLayers(graph, 1 - 1e-9);
    ASSERT_TRUE(factored.ok()) << factored.status();
    ASSERT_EQ(factored->nodes().size(), graph.nodes().size() + 1);
    EXPECT_EQ(factored->nodes()[0].name, graph.nodes()[0].name + "_low_rank");
    EXPECT_EQ(factored->nodes()[1].name, graph.nodes()[0].name);
    ExpectNear(Evaluate(*factored, input), Evaluate(graph, input), 1e-5);
    EXPECT_LT(ComputeCost(*factored)->packed_bytes,
              ComputeCost(graph)->packed_bytes);
    EXPECT_LT(ComputeCost(*factored)->macs, ComputeCost(graph)->macs);
  }
}

Eigen::MatrixXd ToMatrix(const Tensor& tensor) {
  Eigen::MatrixXd matrix(tensor.shape()[0], tensor.shape()[1]);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    matrix(i / matrix.cols(), i % matrix.cols()) = tensor.values<float>()[i];
  }
  return matrix;
}

// No matrix of that rank is nearer (Eckart and Young, 1936): what is lost are
// the squares of the singular values left out, by a slow decomposition.
TEST(LowRank, LosesTheLeastSingularValuesAndNoMore) {
  for (const Shape& shape : {Shape{40, 12}, Shape{12, 40}, Shape{30, 30}}) {
    NetBuilder net(static_cast<uint64_t>(shape[0]));
    // Singular values that fall off.
    std::vector<float> weights(shape[0] * shape[1]);
    for (int k = 0; k < 12; ++k) {
      const Tensor a = net.random().NormalTensor({shape[0]}, 1);
      const Tensor b = net.random().NormalTensor({shape[1]}, 1);
      for (size_t i = 0; i < weights.size(); ++i) {
        weights[i] += std::pow(0.6f, static_cast<float>(k)) *
                      a.values<float>()[i / shape[1]] *
                      b.values<float>()[i % shape[1]];
      }
    }
    const ValueId x = net.Input({kDynamic, shape[0]});
    const Graph graph = net.Build({net.Op(
        "MatMul", {x, net.Constant(Tensor::Of<float>(shape, weights))})});
    const auto weights_of = [](const Graph& g, int node) {
      return ToMatrix(*g.value(g.nodes()[node].inputs[1]).constant);
    };
    const Eigen::MatrixXd whole = weights_of(graph, 0);
    const Eigen::VectorXd squares =
        Eigen::JacobiSVD<Eigen::MatrixXd>(whole).singularValues().cwiseAbs2();
    for (const double energy : {0.5, 0.9, 0.99}) {
      Eigen::Index rank = 1;
      while (squares.head(rank).sum() < energy * squares.sum()) ++rank;
      const auto factored = FactorLinearLayers(graph, energy);
      ASSERT_TRUE(factored.ok()) << factored.status();
      ASSERT_EQ(factored->nodes().size(), 2u) << energy;
      EXPECT_EQ(weights_of(*factored, 0).cols(), rank);
      const double lost =
          (whole - weights_of(*factored, 0) * weights_of(*factored, 1))
              .squaredNorm();
      EXPECT_NEAR(lost, squares.tail(squares.size() - rank).sum(),
                  1e-5 * squares.sum());
    }
  }
}

TEST(LowRank, LayersLeftAloneStayWhole) {
  const Graph graph = LowRankNet(false);
  const auto factored = FactorLinearLayers(graph, 0.9, {graph.nodes()[0].name});
  ASSERT_TRUE(factored.ok()) << factored.status();
  EXPECT_EQ(factored->nodes()[0].name, graph.nodes()[0].name);
}

TEST(LowRank, LessEnergyNeverTakesMoreBytes) {
  const Graph graph = LowRankNet(false);
  int64_t last = ComputeCost(graph)->packed_bytes;
  for (const double energy : {0.99, 0.8, 0.5}) {
    const int64_t bytes =
        ComputeCost(*FactorLinearLayers(graph, energy))->packed_bytes;
    EXPECT_LE(bytes, last);
    last = bytes;
  }
}

}  // namespace
}  // namespace lathe
