// Latency of single layers at any channel counts, from a table of some.
#ifndef LATHE_PROTO_LATENCY_CURVE_H_
#define LATHE_PROTO_LATENCY_CURVE_H_

#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "proto/types.pb.h"

namespace lathe {

constexpr int kPrecisionCount = 4;
// 0, 1, 2, 3 for F32, BF16, INT8, INT8_DYNAMIC.
int PrecisionIndex(v1::Precision precision);

// Share of a layer's multiply-accumulates (and weights) that is left at `in`
// and `out` channels: in x out, except that a depthwise layer's input is its
// output. In (0, 1] for fewer channels than the layer has.
double WorkShare(const v1::Layer& layer, int64_t in, int64_t out);

// Immutable.
class LatencyCurves {
 public:
  // Layers without an entry take their share, by multiply-accumulates, of
  // `whole_us`, the latency of the uncompressed network.
  LatencyCurves(const v1::SearchSpace& space, const v1::LatencyTable& table,
                double whole_us);

  // As measured where the table has (in, out); else linear in the work share
  // between the nearest measured ones. Below the least measured, half of that
  // one stays as fixed cost. A precision without entries takes f32's, so that
  // no gain is promised that nobody saw. Microseconds.
  double Us(int layer, v1::Precision precision, int64_t in, int64_t out) const;

  // What layer `layer` spends more when its source has precision `source`, by
  // the table's entry of most input channels, in proportion to those. 0 where
  // the table has none. Microseconds, possibly negative.
  double ConversionUs(int layer, v1::Precision precision, v1::Precision source,
                      int64_t in) const;

 private:
  struct Curve {
    std::map<std::pair<int64_t, int64_t>, double> measured;
    // (work share, microseconds), ascending, shares distinct.
    std::vector<std::pair<double, double>> points;
  };

  // What conversion adds at `in` input channels.
  struct Conversion {
    int64_t in = 0;
    double us = 0;
  };
  void AddConversions(const v1::LatencyTable& table);

  v1::SearchSpace space_;
  std::vector<std::array<Curve, kPrecisionCount>> curves_;
  // By layer, precision and its source's.
  std::map<std::tuple<int, v1::Precision, v1::Precision>, Conversion>
      conversions_;
};

}  // namespace lathe

#endif  // LATHE_PROTO_LATENCY_CURVE_H_
