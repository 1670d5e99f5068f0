// JPEG and PNG bytes for tests.
#ifndef LATHE_DATA_TESTING_PICTURES_H_
#define LATHE_DATA_TESTING_PICTURES_H_

// jpeglib.h needs the first two before it.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <png.h>

#include <cstdlib>
#include <string>

#include "data/image.h"

namespace lathe {

inline std::string EncodePng(const Image& image) {
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = image.width;
  png.height = image.height;
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  png_image_write_to_memory(&png, &bytes[0], &size, 0, image.pixels.data(), 0,
                            nullptr);
  bytes.resize(size);
  return bytes;
}

inline std::string EncodeJpeg(const Image& image) {
  jpeg_compress_struct encoder = {};
  jpeg_error_mgr errors = {};
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT: libjpeg's type.
  jpeg_mem_dest(&encoder, &bytes, &size);
  encoder.image_width = image.width;
  encoder.image_height = image.height;
  encoder.input_components = 3;
  encoder.in_color_space = JCS_RGB;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 95, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  while (encoder.next_scanline < encoder.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(image.pixels.data()) +
                   encoder.next_scanline * image.width * 3;
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  jpeg_destroy_compress(&encoder);
  std::string text(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return text;
}

// Every pixel has the same colour.
inline Image PlainImage(int64_t height, int64_t width, uint8_t red,
                        uint8_t green, uint8_t blue) {
  Image image;
  image.height = height;
  image.width = width;
  for (int64_t i = 0; i < height * width; ++i) {
    image.pixels.insert(image.pixels.end(), {red, green, blue});
  }
  return image;
}

}  // namespace lathe

#endif  // LATHE_DATA_TESTING_PICTURES_H_
