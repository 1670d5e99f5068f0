// MakeInput: how stored samples become the model's input.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "data/dataset.h"

namespace lathe {
namespace {

// A sample as [outer, channels, inner] on the model's side, and how to step
// through the stored one: element (o, c, i) of the input is stored at
// o * outer_stride + c * channel_stride + i * inner_stride.
struct Geometry {
  int64_t outer = 1;
  int64_t channels = 1;
  int64_t inner = 1;
  int64_t outer_stride = 0;
  int64_t channel_stride = 0;
  int64_t inner_stride = 0;
};

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::vector<int64_t> WithoutOnes(absl::Span<const int64_t> shape) {
  std::vector<int64_t> kept;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(kept),
               [](int64_t size) { return size != 1; });
  return kept;
}

// Stored as the model wants it; `channel_axis` counts without the samples.
Geometry InPlace(absl::Span<const int64_t> model, size_t channel_axis) {
  Geometry geometry;
  for (size_t d = 0; d < model.size(); ++d) {
    int64_t& size = d < channel_axis    ? geometry.outer
                    : d == channel_axis ? geometry.channels
                                        : geometry.inner;
    size *= model[d];
  }
  geometry.inner_stride = 1;
  geometry.channel_stride = geometry.inner;
  geometry.outer_stride = geometry.inner * geometry.channels;
  return geometry;
}

// Stored [pixels, channels], wanted [channels, pixels], or the other way.
Geometry Turned(int64_t channels, int64_t pixels, bool is_stored_last) {
  if (is_stored_last) return {1, channels, pixels, 0, 1, channels};
  return {pixels, channels, 1, 1, pixels, 0};
}

// The geometry of images of three dimensions; the model wants [C, H, W] where
// that fits, else [H, W, C].
absl::StatusOr<Geometry> ImageGeometry(absl::Span<const int64_t> stored,
                                       absl::Span<const int64_t> model,
                                       bool is_stored_last) {
  const int64_t channels = stored[is_stored_last ? 2 : 0];
  const int64_t height = stored[is_stored_last ? 0 : 1];
  const int64_t width = stored[is_stored_last ? 1 : 2];
  const std::array<int64_t, 3> first = {channels, height, width};
  const std::array<int64_t, 3> last = {height, width, channels};
  if (std::equal(first.begin(), first.end(), model.begin())) {
    return is_stored_last ? Turned(channels, height * width, true)
                          : InPlace(model, 0);
  }
  if (std::equal(last.begin(), last.end(), model.begin())) {
    return is_stored_last ? InPlace(model, 2)
                          : Turned(channels, height * width, false);
  }
  return absl::InvalidArgumentError("");
}

absl::StatusOr<Geometry> FindGeometry(const Array& array,
                                      absl::Span<const int64_t> model_shape,
                                      const v1::DatasetSpec& spec) {
  if (!spec.layout().empty() && spec.layout() != "nchw" &&
      spec.layout() != "nhwc") {
    return absl::InvalidArgumentError(
        absl::StrCat("layout \"", spec.layout(), "\", neither nchw nor nhwc"));
  }
  const auto stored = absl::MakeSpan(array.shape).subspan(1);
  const auto model =
      model_shape.subspan(std::min<size_t>(1, model_shape.size()));
  if (stored.size() == 3 && model.size() == 3) {
    auto geometry = ImageGeometry(stored, model, spec.layout() == "nhwc");
    if (geometry.ok()) return geometry;
  } else if (stored == model || WithoutOnes(stored) == WithoutOnes(model)) {
    const size_t last = model.empty() ? 0 : model.size() - 1;
    return InPlace(model, model.size() == 3 ? 0 : last);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "samples of shape ", ShapeText(stored), " do not fit the model's input ",
      ShapeText(model), " (", ShapeText(array.shape), " and ",
      ShapeText(model_shape), " with the samples counted)"));
}

// Whether `sizes` are those of `model`, apart from its open ones.
bool FitsDeclared(absl::Span<const int64_t> sizes,
                  absl::Span<const int64_t> model) {
  return std::equal(sizes.begin(), sizes.end(), model.begin(), model.end(),
                    [](int64_t size, int64_t wanted) {
                      return wanted < 0 || size == wanted;
                    });
}

// The ways in which the model may want a stored sample, the likeliest first.
std::vector<std::vector<int64_t>> Arrangements(absl::Span<const int64_t> stored,
                                               absl::Span<const int64_t> model,
                                               const v1::DatasetSpec& spec) {
  const std::vector<int64_t> as_stored(stored.begin(), stored.end());
  if (stored.size() != model.size()) {
    // Sizes of 1 come and go.
    std::vector<int64_t> wide = WithoutOnes(stored);
    std::vector<int64_t> sizes(model.begin(), model.end());
    for (int64_t& size : sizes) {
      if (size == 1 || wide.empty()) continue;
      size = wide[0];
      wide.erase(wide.begin());
    }
    if (wide.empty()) return {sizes};
    return {};
  }
  if (stored.size() != 3) return {as_stored};
  const bool is_last = spec.layout() == "nhwc";
  const std::vector<int64_t> first =
      is_last ? std::vector<int64_t>{stored[2], stored[0], stored[1]}
              : as_stored;
  const std::vector<int64_t> last =
      is_last ? as_stored
              : std::vector<int64_t>{stored[1], stored[2], stored[0]};
  return {first, last};
}

// One number for each of `channels`.
absl::StatusOr<std::vector<double>> PerChannel(
    const google::protobuf::RepeatedField<double>& numbers, double fallback,
    int64_t channels, absl::string_view what) {
  if (numbers.size() <= 1) {
    return std::vector<double>(channels,
                               numbers.empty() ? fallback : numbers[0]);
  }
  if (numbers.size() != channels) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has ", numbers.size(), " numbers for ", channels,
                     " channels; give one number or one per channel"));
  }
  return std::vector<double>(numbers.begin(), numbers.end());
}

// What becomes of a stored value, per channel of the model's input.
struct Transform {
  double scale = 1;
  std::vector<double> mean;
  std::vector<double> std;
  bool is_reversed = false;

  float Apply(double value, int64_t channel) const {
    return static_cast<float>((value * scale - mean[channel]) / std[channel]);
  }
};

absl::StatusOr<Transform> MakeTransform(const v1::DatasetSpec& spec,
                                        int64_t channels) {
  Transform transform;
  transform.scale = spec.scale() == 0 ? 1 : spec.scale();
  LATHE_ASSIGN_OR_RETURN(transform.mean,
                         PerChannel(spec.mean(), 0, channels, "mean"));
  LATHE_ASSIGN_OR_RETURN(transform.std,
                         PerChannel(spec.std(), 1, channels, "std"));
  for (const double std : transform.std) {
    if (std == 0) return absl::InvalidArgumentError("std is 0");
  }
  transform.is_reversed = spec.is_bgr();
  if (spec.is_bgr() && channels != 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "BGR is asked for, but samples have ", channels, " channels, not 3"));
  }
  return transform;
}

// Copies one sample; `value_of(index, channel)` is the transformed value.
template <typename ValueOf>
void CopySample(const Geometry& geometry, bool is_reversed,
                const ValueOf& value_of, float* out) {
  for (int64_t o = 0; o < geometry.outer; ++o) {
    for (int64_t c = 0; c < geometry.channels; ++c) {
      const int64_t stored = is_reversed ? geometry.channels - 1 - c : c;
      const int64_t base =
          o * geometry.outer_stride + stored * geometry.channel_stride;
      for (int64_t i = 0; i < geometry.inner; ++i) {
        *out++ = value_of(base + i * geometry.inner_stride, c);
      }
    }
  }
}

// Wide types are transformed value by value.
template <typename T>
void CopyWide(const Array& array, absl::Span<const int64_t> samples,
              const Geometry& geometry, const Transform& transform,
              float* out) {
  const int64_t elements = array.SampleElements();
  const T* values = reinterpret_cast<const T*>(array.bytes.data());
  for (const int64_t sample : samples) {
    const T* first = values + sample * elements;
    CopySample(
        geometry, transform.is_reversed,
        [&](int64_t index, int64_t channel) {
          return transform.Apply(static_cast<double>(first[index]), channel);
        },
        out);
    out += elements;
  }
}

// Bytes have 256 values: they are looked up.
template <typename T>
void CopyBytes(const Array& array, absl::Span<const int64_t> samples,
               const Geometry& geometry, const Transform& transform,
               float* out) {
  std::vector<std::array<float, 256>> table(geometry.channels);
  for (int64_t channel = 0; channel < geometry.channels; ++channel) {
    for (int i = 0; i < 256; ++i) {
      table[channel][i] = transform.Apply(static_cast<T>(i), channel);
    }
  }
  const int64_t elements = array.SampleElements();
  for (const int64_t sample : samples) {
    const char* first = array.bytes.data() + sample * elements;
    CopySample(
        geometry, transform.is_reversed,
        [&](int64_t index, int64_t channel) {
          return table[channel][static_cast<uint8_t>(first[index])];
        },
        out);
    out += elements;
  }
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> FitShape(
    const Array& array, absl::Span<const int64_t> model_shape,
    const v1::DatasetSpec& spec) {
  const auto stored =
      absl::MakeConstSpan(array.shape).subspan(array.shape.empty() ? 0 : 1);
  const auto model =
      model_shape.subspan(std::min<size_t>(1, model_shape.size()));
  for (std::vector<int64_t>& sizes : Arrangements(stored, model, spec)) {
    if (!FitsDeclared(sizes, model)) continue;
    sizes.insert(sizes.begin(), 1);
    return sizes;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "samples of shape ", ShapeText(stored), " do not fit the model's input ",
      ShapeText(model), ", whose sizes of -1 may be any"));
}

absl::StatusOr<const Array*> FindArray(const Dataset& dataset,
                                       const std::string& input,
                                       bool is_sole_input) {
  const auto by_name = dataset.inputs.find(input);
  if (by_name != dataset.inputs.end()) return &by_name->second;
  if (is_sole_input && dataset.inputs.count("x") != 0) {
    return &dataset.inputs.at("x");
  }
  if (is_sole_input && dataset.inputs.size() == 1) {
    return &dataset.inputs.begin()->second;
  }
  std::vector<std::string> names;
  for (const auto& [array, unused] : dataset.inputs) names.push_back(array);
  return absl::InvalidArgumentError(absl::StrCat(
      "the data have no array for the model's input \"", input, "\", only \"",
      absl::StrJoin(names, "\", \""), "\"; give the array the input's name"));
}

absl::StatusOr<std::vector<float>> MakeInput(
    const Array& array, absl::Span<const int64_t> samples,
    absl::Span<const int64_t> model_shape, const v1::DatasetSpec& spec) {
  assert(!array.shape.empty());
  LATHE_ASSIGN_OR_RETURN(const Geometry geometry,
                         FindGeometry(array, model_shape, spec));
  LATHE_ASSIGN_OR_RETURN(const Transform transform,
                         MakeTransform(spec, geometry.channels));
  for (const int64_t sample : samples) {
    if (sample < 0 || sample >= array.SampleCount()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sample ", sample, ", not in [0, ", array.SampleCount(), ")"));
    }
  }
  std::vector<float> input(samples.size() * array.SampleElements());
  switch (array.type) {
    case Array::Type::kUint8:
      CopyBytes<uint8_t>(array, samples, geometry, transform, input.data());
      break;
    case Array::Type::kInt8:
      CopyBytes<int8_t>(array, samples, geometry, transform, input.data());
      break;
    case Array::Type::kFloat32:
      CopyWide<float>(array, samples, geometry, transform, input.data());
      break;
    case Array::Type::kInt32:
      CopyWide<int32_t>(array, samples, geometry, transform, input.data());
      break;
    case Array::Type::kInt64:
      CopyWide<int64_t>(array, samples, geometry, transform, input.data());
      break;
  }
  return input;
}

}  // namespace lathe
