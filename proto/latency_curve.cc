#include "proto/latency_curve.h"

#include <algorithm>

namespace lathe {

int PrecisionIndex(v1::Precision precision) {
  return std::clamp(static_cast<int>(precision) - static_cast<int>(v1::F32), 0,
                    kPrecisionCount - 1);
}

double WorkShare(const v1::Layer& layer, int64_t in, int64_t out) {
  const double out_share =
      static_cast<double>(out) / std::max<int64_t>(1, layer.out_channels());
  if (layer.kind() == "depthwise_conv") return out_share;
  return out_share * static_cast<double>(in) /
         std::max<int64_t>(1, layer.in_channels());
}

LatencyCurves::LatencyCurves(const v1::SearchSpace& space,
                             const v1::LatencyTable& table, double whole_us)
    : space_(space), curves_(space.layers_size()) {
  for (const v1::LatencyTable::Entry& entry : table.entries()) {
    if (entry.layer() < 0 || entry.layer() >= space.layers_size() ||
        !(entry.latency_us() > 0) ||
        entry.source_precision() != v1::PRECISION_UNSPECIFIED) {
      continue;
    }
    Curve& curve = curves_[entry.layer()][PrecisionIndex(entry.precision())];
    curve.measured[{entry.in_channels(), entry.out_channels()}] =
        entry.latency_us();
  }
  double macs = 0;
  for (const v1::Layer& layer : space.layers()) macs += layer.macs();
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    Curve& whole = curves_[i][PrecisionIndex(v1::F32)];
    if (whole.measured.empty()) {
      whole.measured[{layer.in_channels(), layer.out_channels()}] =
          whole_us * layer.macs() / std::max(1.0, macs);
    }
    for (Curve& curve : curves_[i]) {
      std::map<double, std::vector<double>> by_share;
      for (const auto& [channels, us] : curve.measured) {
        by_share[WorkShare(layer, channels.first, channels.second)].push_back(
            us);
      }
      for (const auto& [share, all] : by_share) {
        double sum = 0;
        for (const double us : all) sum += us;
        curve.points.emplace_back(share, sum / all.size());
      }
    }
  }
  AddConversions(table);
}

void LatencyCurves::AddConversions(const v1::LatencyTable& table) {
  for (const v1::LatencyTable::Entry& entry : table.entries()) {
    if (entry.source_precision() == v1::PRECISION_UNSPECIFIED ||
        entry.layer() < 0 || entry.layer() >= space_.layers_size()) {
      continue;
    }
    const double alone = Us(entry.layer(), entry.precision(),
                            entry.in_channels(), entry.out_channels());
    Conversion& conversion = conversions_[{entry.layer(), entry.precision(),
                                           entry.source_precision()}];
    if (entry.in_channels() <= conversion.in) continue;
    conversion = {entry.in_channels(), entry.latency_us() - alone};
  }
}

double LatencyCurves::ConversionUs(int layer, v1::Precision precision,
                                   v1::Precision source, int64_t in) const {
  const auto found = conversions_.find({layer, precision, source});
  if (found == conversions_.end()) return 0;
  return found->second.us * static_cast<double>(in) / found->second.in;
}

double LatencyCurves::Us(int layer, v1::Precision precision, int64_t in,
                         int64_t out) const {
  const auto& of_layer = curves_[layer];
  const Curve* curve = &of_layer[PrecisionIndex(precision)];
  if (curve->points.empty()) curve = &of_layer[PrecisionIndex(v1::F32)];
  const auto exact = curve->measured.find({in, out});
  if (exact != curve->measured.end()) return exact->second;
  const auto& points = curve->points;
  const double share = WorkShare(space_.layers(layer), in, out);
  const auto above = std::lower_bound(
      points.begin(), points.end(), share,
      [](const auto& point, double value) { return point.first < value; });
  if (above == points.begin()) {
    return points[0].second * (0.5 + 0.5 * share / points[0].first);
  }
  const auto& low = *(above - 1);
  if (above == points.end()) return low.second * share / low.first;
  const double weight = (share - low.first) / (above->first - low.first);
  return low.second + weight * (above->second - low.second);
}

}  // namespace lathe
