// Sums over layers, corrected by what whole networks were measured to cost.
#ifndef LATHE_AGENT_ADDITIVE_CORRECTION_H_
#define LATHE_AGENT_ADDITIVE_CORRECTION_H_

#include <vector>

#include "agent/gaussian_weights.h"
#include "agent/state_archive.h"

namespace lathe {

// What one layer is thought to add to a total before any total was measured.
struct CostPart {
  double amount = 0;
  // What would go off it if narrow weights were stored as narrow as they are.
  double saving = 0;
  // Parts of one kind (of the same arithmetic) may be off alike.
  int kind = 0;
  // How the layer is set: binary logarithms of the shares of its input and
  // output channels, and its option's place. The nearer two settings, the more
  // alike a layer's error.
  double log_in = 0;
  double log_out = 0;
  double option = 0;

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(amount);
    archive(saving);
    archive(kind);
    archive(log_in);
    archive(log_out);
    archive(option);
  }
};

// One network as parts, one per layer in a fixed order, and what is outside of
// all layers.
struct CostParts {
  std::vector<CostPart> layers;
  double rest = 0;

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(layers);
    archive(rest);
  }
};

// Gaussian-process regression of totals with an additive kernel: a part's true
// amount is
//   amount x (1 + an error of all + one of its kind + one of its layer at this
//   setting) - saving x the share of it that is really saved,
// so that what is learnt from totals goes back to the parts and the prediction
// stays a sum over layers. How far layers are off by themselves and how much
// totals scatter are chosen by marginal likelihood; wild totals count less
// (Huber's weights). Not thread-safe.
class AdditiveCorrection {
 public:
  struct Options {
    // Standard deviations of the relative errors.
    double of_all = 1;
    double of_kind = 0.3;
    double of_layer = 0.1;
    double of_rest = 0.3;
    // Of the share that is saved, whose mean is 0.
    double of_saving = 0.7;
    // Of one total, relative.
    double noise = 0.02;
  };
  explicit AdditiveCorrection(const Options& options);

  // Takes a total in, unless as many as it remembers are there already: then
  // nothing changes. Whether it did.
  // REQUIRES: total > 0; as many layers as before.
  bool Observe(CostParts parts, double total);

  // What the part of layer `layer` is believed to be; never below a fifth of
  // what it was thought to be.
  double Corrected(int layer, const CostPart& part) const;
  double CorrectedRest(double rest) const;

  // Standard error of one total, relative, as the totals so far show it.
  double noise() const { return noise_; }

  // See StateArchive.
  void Visit(StateArchive& archive);

 private:
  double LayerCovariance(const CostPart& a, const CostPart& b) const;
  // Covariances of the `n`-th row with all before it and itself, appended.
  void Extend(Eigen::Index n);
  void Fit();
  void SetTrust(const GaussianWeights& weights);
  GaussianWeights FitWith(double of_layer, double noise) const;

  const Options options_;
  double of_layer_;
  double noise_;
  std::vector<CostParts> rows_;
  std::vector<double> totals_;
  std::vector<double> trust_;  // In (0, 1]; 1 but for wild totals.
  // Between rows: of the errors of all, kinds and rest; of layers' own errors
  // of standard deviation 1.
  Eigen::MatrixXd common_;
  Eigen::MatrixXd layered_;
  size_t fitted_rows_ = 0;
  Eigen::VectorXd alpha_;
  // Relative corrections that are the same for all settings.
  double all_ = 0;
  std::vector<double> kinds_;
  double rest_ = 0;
  double saving_ = 0;
};

}  // namespace lathe

#endif  // LATHE_AGENT_ADDITIVE_CORRECTION_H_
