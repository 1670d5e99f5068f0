// The hypervolume of accuracy and latency, as every program of ours means it.
#ifndef LATHE_PROTO_HYPERVOLUME_H_
#define LATHE_PROTO_HYPERVOLUME_H_

#include <map>

#include "proto/types.pb.h"

namespace lathe {

// Accuracy over the baseline's: both of the report split where both have one,
// else both of the search split. 0 where the baseline has none right.
double AccuracyRatio(const v1::Measurement& measurement,
                     const v1::Measurement& baseline);

// Grows point by point; tells the share of the box between the reference
// point (latency ratio 1, accuracy 0.8 of the baseline's) and (0, 1) that the
// points so far dominate. Not thread-safe.
class HypervolumeCurve {
 public:
  // `accuracy_ratio`: accuracy / the baseline's.
  void Add(double latency_ratio, double accuracy_ratio);
  double value() const;

 private:
  // Accuracy ratio by latency ratio, both ascending: what nothing dominates.
  std::map<double, double> staircase_;
};

}  // namespace lathe

#endif  // LATHE_PROTO_HYPERVOLUME_H_
