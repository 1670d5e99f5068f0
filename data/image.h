// Decoded pictures and how they are brought to one size.
#ifndef LATHE_DATA_IMAGE_H_
#define LATHE_DATA_IMAGE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// 8-bit RGB, [height, width, 3], row-major.
struct Image {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<uint8_t> pixels;
};

// Decodes a JPEG or PNG, told by its first bytes; grey becomes RGB, alpha is
// dropped. Damaged JPEGs are refused even where the decoder could guess.
//
// Errors:
//   InvalidArgument - neither format, damaged, CMYK, more than 2^26 pixels.
absl::StatusOr<Image> DecodeImage(absl::string_view bytes);

// Resizes so that the shorter side has `shorter` pixels: bilinear, widened over
// the shrunk pixels when shrinking (a triangle filter, as torchvision and
// Pillow do), halves rounded up.
// REQUIRES: shorter > 0, image not empty.
Image ResizeShorterSide(const Image& image, int64_t shorter);

// The `side` x `side` pixels in the middle.
// Errors:
//   InvalidArgument - the image is smaller; both sizes are named.
absl::StatusOr<Image> CropCentre(const Image& image, int64_t side);

}  // namespace lathe

#endif  // LATHE_DATA_IMAGE_H_
