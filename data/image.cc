#include "data/image.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

constexpr int64_t kChannels = 3;

// Which source positions one output position is made of.
struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Taps> MakeTaps(int64_t from, int64_t to) {
  const double scale = static_cast<double>(from) / to;
  const double support = std::max(scale, 1.0);
  std::vector<Taps> all(to);
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    Taps& taps = all[i];
    taps.first = std::max<int64_t>(
        0, static_cast<int64_t>(std::floor(centre - support)));
    const int64_t last =
        std::min(from - 1, static_cast<int64_t>(std::ceil(centre + support)));
    double sum = 0;
    for (int64_t j = taps.first; j <= last; ++j) {
      const double distance = std::abs(j + 0.5 - centre) / support;
      taps.weights.push_back(std::max(0.0, 1 - distance));
      sum += taps.weights.back();
    }
    for (double& weight : taps.weights) weight /= sum;
  }
  return all;
}

// [height, width, 3] to [height, to, 3].
std::vector<double> ResizeRows(const std::vector<double>& pixels,
                               int64_t height, int64_t width, int64_t to) {
  const std::vector<Taps> taps = MakeTaps(width, to);
  std::vector<double> resized(height * to * kChannels, 0);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < to; ++x) {
      double* out = &resized[(y * to + x) * kChannels];
      const double* in = &pixels[(y * width + taps[x].first) * kChannels];
      for (const double weight : taps[x].weights) {
        for (int64_t c = 0; c < kChannels; ++c) out[c] += weight * *in++;
      }
    }
  }
  return resized;
}

// [height, width, 3] to [to, width, 3].
std::vector<double> ResizeColumns(const std::vector<double>& pixels,
                                  int64_t height, int64_t width, int64_t to) {
  const std::vector<Taps> taps = MakeTaps(height, to);
  const int64_t row = width * kChannels;
  std::vector<double> resized(to * row, 0);
  for (int64_t y = 0; y < to; ++y) {
    for (size_t t = 0; t < taps[y].weights.size(); ++t) {
      const double* in = &pixels[(taps[y].first + t) * row];
      for (int64_t i = 0; i < row; ++i) {
        resized[y * row + i] += taps[y].weights[t] * in[i];
      }
    }
  }
  return resized;
}

}  // namespace

Image ResizeShorterSide(const Image& image, int64_t shorter) {
  const int64_t side = std::min(image.height, image.width);
  Image resized;
  resized.height = image.height * shorter / side;
  resized.width = image.width * shorter / side;
  const std::vector<double> pixels(image.pixels.begin(), image.pixels.end());
  const std::vector<double> values = ResizeColumns(
      ResizeRows(pixels, image.height, image.width, resized.width),
      image.height, resized.width, resized.height);
  resized.pixels.reserve(values.size());
  for (const double value : values) {
    resized.pixels.push_back(
        static_cast<uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0)));
  }
  return resized;
}

absl::StatusOr<Image> CropCentre(const Image& image, int64_t side) {
  if (image.height < side || image.width < side) {
    return absl::InvalidArgumentError(
        absl::StrCat("an image of ", image.width, " x ", image.height,
                     " pixels is smaller than the crop of ", side));
  }
  const int64_t top = (image.height - side) / 2;
  const int64_t left = (image.width - side) / 2;
  Image cropped;
  cropped.height = side;
  cropped.width = side;
  cropped.pixels.reserve(side * side * kChannels);
  for (int64_t y = 0; y < side; ++y) {
    const uint8_t* row =
        &image.pixels[((top + y) * image.width + left) * kChannels];
    cropped.pixels.insert(cropped.pixels.end(), row, row + side * kChannels);
  }
  return cropped;
}

}  // namespace lathe
