#include "experiments/sample/glyphs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/numeric.h"

namespace lathe {
namespace {

constexpr double kPi = 3.14159265358979323846;

struct Point {
  double x = 0;
  double y = 0;
};
using Stroke = std::vector<Point>;

// Uniform and normal numbers that are the same with every standard library.
class Chance {
 public:
  explicit Chance(uint64_t seed) : bits_(seed) {}
  double Uniform(double low, double high) {
    return low + (high - low) * (static_cast<double>(bits_() >> 11) * 0x1p-53);
  }
  // Box and Muller 1958.
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform(0, 1)));
    return radius * std::cos(2 * kPi * Uniform(0, 1));
  }

 private:
  std::mt19937_64 bits_;
};

// An arc of the ellipse around (0.5, 0.5); angles in turns, 0 is right, a
// quarter is down.
Stroke Arc(double radius_x, double radius_y, double from, double to,
           Point centre = {0.5, 0.5}) {
  constexpr int kPieces = 14;
  Stroke stroke;
  for (int i = 0; i <= kPieces; ++i) {
    const double angle = 2 * kPi * (from + (to - from) * i / kPieces);
    stroke.push_back({centre.x + radius_x * std::cos(angle),
                      centre.y + radius_y * std::sin(angle)});
  }
  return stroke;
}

// The strokes of a class in the unit square, y downwards.
std::vector<Stroke> GlyphStrokes(int label) {
  switch (label) {
    case 0:  // O
      return {Arc(0.36, 0.45, 0, 1)};
    case 1:  // C
      return {Arc(0.36, 0.45, 0.13, 0.87)};
    case 2:  // G
      return {Arc(0.36, 0.45, 0.08, 0.87), {{0.55, 0.58}, {0.84, 0.58}}};
    case 3:  // Q
      return {Arc(0.36, 0.45, 0, 1), {{0.58, 0.66}, {0.88, 0.98}}};
    case 4:  // S
      return {Arc(0.3, 0.22, 0.95, 0.25, {0.5, 0.27}),
              Arc(0.3, 0.23, 0.75, 1.45, {0.5, 0.72})};
    case 5:  // Z
      return {{{0.16, 0.06}, {0.84, 0.06}, {0.16, 0.94}, {0.84, 0.94}}};
    case 6:  // N
      return {{{0.16, 0.95}, {0.16, 0.05}, {0.84, 0.95}, {0.84, 0.05}}};
    case 7:  // H
      return {{{0.16, 0.05}, {0.16, 0.95}},
              {{0.84, 0.05}, {0.84, 0.95}},
              {{0.16, 0.5}, {0.84, 0.5}}};
    case 8:  // E
      return {{{0.84, 0.05}, {0.18, 0.05}, {0.18, 0.95}, {0.84, 0.95}},
              {{0.18, 0.5}, {0.7, 0.5}}};
    default:  // F
      return {{{0.84, 0.05}, {0.18, 0.05}, {0.18, 0.95}},
              {{0.18, 0.5}, {0.7, 0.5}}};
  }
}

double DistanceToSegment(Point p, Point a, Point b) {
  const double dx = b.x - a.x;
  const double dy = b.y - a.y;
  const double length2 = dx * dx + dy * dy;
  double along = 0;
  if (length2 > 0) {
    along = ((p.x - a.x) * dx + (p.y - a.y) * dy) / length2;
    along = std::clamp(along, 0.0, 1.0);
  }
  return std::hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

using Canvas = std::array<double, kGlyphSide * kGlyphSide>;

// Draws a stroke, in pixels, of half width `half_width` with a soft edge.
void Draw(const Stroke& stroke, double half_width, double ink, Canvas* canvas) {
  for (int y = 0; y < kGlyphSide; ++y) {
    for (int x = 0; x < kGlyphSide; ++x) {
      double distance = kGlyphSide;
      for (size_t i = 0; i + 1 < stroke.size(); ++i) {
        distance = std::min(
            distance,
            DistanceToSegment({x + 0.5, y + 0.5}, stroke[i], stroke[i + 1]));
      }
      const double cover = std::clamp(half_width + 0.5 - distance, 0.0, 1.0);
      double& pixel = (*canvas)[y * kGlyphSide + x];
      pixel = std::max(pixel, ink * cover);
    }
  }
}

// A random affine map from the unit square to pixels.
class Distortion {
 public:
  explicit Distortion(Chance* chance) {
    const double angle = chance->Uniform(-0.6, 0.6);
    const double shear = chance->Uniform(-0.35, 0.35);
    const double width = kGlyphSide * chance->Uniform(0.36, 0.75);
    const double height = kGlyphSide * chance->Uniform(0.36, 0.75);
    xx_ = width * std::cos(angle);
    xy_ = height * (shear * std::cos(angle) - std::sin(angle));
    yx_ = width * std::sin(angle);
    yy_ = height * (shear * std::sin(angle) + std::cos(angle));
    shift_ = {kGlyphSide / 2.0 + chance->Uniform(-3, 3),
              kGlyphSide / 2.0 + chance->Uniform(-3, 3)};
  }
  Point Map(Point p) const {
    const double x = p.x - 0.5;
    const double y = p.y - 0.5;
    return {shift_.x + xx_ * x + xy_ * y, shift_.y + yx_ * x + yy_ * y};
  }

 private:
  double xx_, xy_, yx_, yy_;
  Point shift_;
};

Canvas DrawGlyph(int label, Chance* chance) {
  Canvas canvas{};
  const Distortion distortion(chance);
  const double half_width = chance->Uniform(0.35, 1.0);
  const double ink = chance->Uniform(0.3, 0.9);
  for (Stroke stroke : GlyphStrokes(label)) {
    for (Point& point : stroke) {
      point = distortion.Map(point);
      point.x += 0.35 * chance->Normal();
      point.y += 0.35 * chance->Normal();
    }
    Draw(stroke, half_width, ink, &canvas);
  }
  const int clutter = static_cast<int>(chance->Uniform(0, 5));
  for (int i = 0; i < clutter; ++i) {
    const Point from = {chance->Uniform(0, kGlyphSide),
                        chance->Uniform(0, kGlyphSide)};
    const Point to = {from.x + chance->Uniform(-5, 5),
                      from.y + chance->Uniform(-5, 5)};
    Draw({from, to}, 0.5, ink * chance->Uniform(0.3, 0.9), &canvas);
  }
  return canvas;
}

// Background light, noise, and rounding to a byte.
void Develop(const Canvas& canvas, Chance* chance, std::string* bytes) {
  const double light = chance->Uniform(0.05, 0.3);
  const double slope_x = chance->Uniform(-0.2, 0.2);
  const double slope_y = chance->Uniform(-0.2, 0.2);
  const double noise = chance->Uniform(0.08, 0.24);
  for (int y = 0; y < kGlyphSide; ++y) {
    for (int x = 0; x < kGlyphSide; ++x) {
      const double ground =
          light + slope_x * x / kGlyphSide + slope_y * y / kGlyphSide;
      const double value =
          ground + 0.7 * canvas[y * kGlyphSide + x] + noise * chance->Normal();
      bytes->push_back(static_cast<char>(static_cast<uint8_t>(
          std::lround(255 * std::clamp(value, 0.0, 1.0)))));
    }
  }
}

}  // namespace

Dataset MakeGlyphs(int64_t count, uint64_t seed) {
  Dataset glyphs;
  Array& images = glyphs.inputs["x"];
  images.type = Array::Type::kUint8;
  images.shape = {count, 1, kGlyphSide, kGlyphSide};
  images.bytes.reserve(count * kGlyphSide * kGlyphSide);
  for (int64_t i = 0; i < count; ++i) {
    Chance chance(MixSeed(seed, i));
    const int label = static_cast<int>(i % kGlyphClasses);
    Develop(DrawGlyph(label, &chance), &chance, &images.bytes);
    glyphs.labels.push_back(label);
  }
  return glyphs;
}

}  // namespace lathe
