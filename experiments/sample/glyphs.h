// The sample data: a deterministic set of distorted, noisy glyphs.
//
// Ten stroke glyphs, several of which differ by one stroke (O C G Q, E F H),
// are drawn under random affine distortion, jittered strokes, a lit background,
// clutter and noise. A network must resolve small differences in strokes, so
// that coarse weights and missing channels cost accuracy.
#ifndef LATHE_EXPERIMENTS_SAMPLE_GLYPHS_H_
#define LATHE_EXPERIMENTS_SAMPLE_GLYPHS_H_

#include <cstdint>

#include "data/dataset.h"

namespace lathe {

constexpr int kGlyphSide = 24;  // Pixels.
constexpr int kGlyphClasses = 10;

// `count` images, uint8 [count, 1, kGlyphSide, kGlyphSide] under the name "x",
// with labels that go round the classes. Equal arguments give equal data on
// every platform whose sine and cosine agree to the last digit that a byte of
// grey shows.
Dataset MakeGlyphs(int64_t count, uint64_t seed);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_SAMPLE_GLYPHS_H_
