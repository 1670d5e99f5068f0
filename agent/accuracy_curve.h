// Accuracy as a falling function of the divergence from the original's outputs.
#ifndef LATHE_AGENT_ACCURACY_CURVE_H_
#define LATHE_AGENT_ACCURACY_CURVE_H_

#include <vector>

#include "agent/archive.h"
#include "agent/state_archive.h"

namespace lathe {

// Least-squares monotone regression of the measured accuracies (pool adjacent
// violators, Ayer et al. 1955), each counted by its samples, flat within the
// pools and linear between them. A search that maximises this instead of each
// plan's own measured accuracy is not led by sampling noise, and divergences
// tell plans apart that answer equally many samples rightly. Immutable once
// fitted.
class AccuracyCurve {
 public:
  // Of feasible rows; as shares of the uncompressed model's accuracy.
  void Fit(const std::vector<Evaluated>& rows);

  // Never rising; 1 everywhere before the first fit. Beyond the largest
  // divergence seen the last pool's accuracy.
  double At(double divergence) const;

  // See StateArchive.
  void Visit(StateArchive& archive) { archive(pools_); }

 private:
  struct Pool {
    // Least and largest divergence of its rows.
    double first = 0;
    double last = 0;
    double accuracy = 0;
    double weight = 0;

    void Visit(StateArchive& archive) {
      archive(first);
      archive(last);
      archive(accuracy);
      archive(weight);
    }
  };
  std::vector<Pool> pools_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_ACCURACY_CURVE_H_
