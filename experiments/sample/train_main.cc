// train-sample: trains the sample network on generated glyphs and writes
// glyphnet.onnx. Prints its accuracy on the data that lathe-sample writes.
#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "base/file.h"
#include "experiments/sample/glyph_network.h"
#include "experiments/sample/glyphs.h"

namespace {

struct TrainOptions {
  std::string path = "glyphnet.onnx";
  int64_t images = 60000;
  int epochs = 10;
  int batch = 64;
};

struct Samples {
  torch::Tensor x;  // [N, 1, 24, 24] in 0..1.
  torch::Tensor y;  // [N]
};

Samples MakeSamples(int64_t count, uint64_t seed) {
  const lathe::Dataset glyphs = lathe::MakeGlyphs(count, seed);
  const std::string& bytes = glyphs.inputs.at("x").bytes;
  Samples samples;
  samples.x = torch::from_blob(const_cast<char*>(bytes.data()),
                               {count, 1, lathe::kGlyphSide, lathe::kGlyphSide},
                               torch::kUInt8)
                  .to(torch::kFloat) /
              255;
  samples.y = torch::tensor(glyphs.labels, torch::kLong);
  return samples;
}

double Accuracy(lathe::GlyphNetwork network, const Samples& samples) {
  torch::NoGradGuard no_gradients;
  network->eval();
  int64_t correct = 0;
  for (int64_t first = 0; first < samples.x.size(0); first += 500) {
    const torch::Tensor answers =
        network(samples.x.slice(0, first, first + 500)).argmax(1);
    correct += answers.eq(samples.y.slice(0, first, first + 500))
                   .sum()
                   .item<int64_t>();
  }
  network->train();
  return static_cast<double>(correct) / static_cast<double>(samples.x.size(0));
}

// SGD with momentum and a one-cycle learning rate (Smith 2018).
void Train(const TrainOptions& options, const Samples& samples,
           lathe::GlyphNetwork network) {
  torch::optim::SGD sgd(
      network->parameters(),
      torch::optim::SGDOptions(0.05).momentum(0.9).weight_decay(5e-4));
  const int64_t count = samples.x.size(0);
  const int64_t steps = options.epochs * (count / options.batch);
  std::mt19937_64 chance(1);
  int64_t step = 0;
  for (int epoch = 0; epoch < options.epochs; ++epoch) {
    std::vector<int64_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = count - 1; i > 0; --i) {
      std::swap(order[i], order[chance() % (i + 1)]);
    }
    const torch::Tensor shuffled = torch::tensor(order, torch::kLong);
    double loss_sum = 0;
    for (int64_t first = 0; first + options.batch <= count;
         first += options.batch, ++step) {
      const double done =
          static_cast<double>(step) / static_cast<double>(steps);
      const double rate =
          done < 0.2 ? 0.1 * done / 0.2 : 0.1 * (1 - done) / 0.8;
      static_cast<torch::optim::SGDOptions&>(sgd.param_groups()[0].options())
          .lr(std::max(rate, 1e-4));
      const torch::Tensor rows =
          shuffled.slice(0, first, first + options.batch);
      const torch::Tensor loss = torch::nn::functional::cross_entropy(
          network(samples.x.index_select(0, rows)),
          samples.y.index_select(0, rows));
      sgd.zero_grad();
      loss.backward();
      sgd.step();
      loss_sum += loss.item<double>();
    }
    std::cerr << "epoch " << epoch + 1 << "/" << options.epochs << " loss "
              << loss_sum / static_cast<double>(count / options.batch) << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Trains the sample network and writes it as ONNX.");
  TrainOptions options;
  app.add_option("--to", options.path, "File to write")->capture_default_str();
  app.add_option("--images", options.images, "Training images")
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "Passes")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  torch::manual_seed(1);
  torch::set_num_threads(1);  // The order of sums is part of the result.
  lathe::GlyphNetwork network;
  Train(options, MakeSamples(options.images, /*seed=*/1), network);
  std::cerr << "accuracy on the sample data (4000 images, seed 2): "
            << Accuracy(network, MakeSamples(4000, /*seed=*/2)) << "\n";
  network->eval();
  const absl::Status status = lathe::WriteFileAtomically(
      options.path, lathe::ExportGlyphNetwork(network));
  if (!status.ok()) {
    std::cerr << "train-sample: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
