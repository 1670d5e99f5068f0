// jpeglib.h needs the first two before it.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <png.h>
#include <setjmp.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/image.h"

namespace lathe {
namespace {

// 8192 x 8192: any camera's picture, 200 MB decoded.
constexpr int64_t kMostPixels = int64_t{1} << 26;

absl::Status CheckSize(int64_t height, int64_t width) {
  if (height > 0 && width > 0 && height <= kMostPixels / width) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "image of ", width, " x ", height, " pixels, not 1 to ", kMostPixels));
}

// libjpeg calls error_exit, which must not return: it jumps to `escape`.
struct JpegErrors {
  jpeg_error_mgr manager;  // First, so that the library's pointer is ours.
  jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

void EscapeFromError(j_common_ptr info) {
  JpegErrors* errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->manager.format_message(info, errors->message);
  longjmp(errors->escape, 1);
}

// Warnings (level -1) are damage that the decoder papers over.
void EscapeFromWarning(j_common_ptr info, int level) {
  if (level < 0) EscapeFromError(info);
}

// The part of decoding that longjmp may leave: it owns nothing, all that needs
// destruction is the caller's. False: see errors->message.
bool RunJpegDecoder(jpeg_decompress_struct* decoder, JpegErrors* errors,
                    absl::string_view bytes, Image* image,
                    absl::Status* size_status) {
  if (setjmp(errors->escape) != 0) return false;
  jpeg_create_decompress(decoder);
  jpeg_mem_src(decoder, reinterpret_cast<const unsigned char*>(bytes.data()),
               bytes.size());
  jpeg_read_header(decoder, TRUE);
  *size_status = CheckSize(decoder->image_height, decoder->image_width);
  if (!size_status->ok()) return true;
  decoder->out_color_space = JCS_RGB;
  jpeg_start_decompress(decoder);
  image->height = decoder->output_height;
  image->width = decoder->output_width;
  image->pixels.resize(image->height * image->width * 3);
  while (decoder->output_scanline < decoder->output_height) {
    JSAMPROW row =
        image->pixels.data() + decoder->output_scanline * image->width * 3;
    jpeg_read_scanlines(decoder, &row, 1);
  }
  jpeg_finish_decompress(decoder);
  return true;
}

absl::StatusOr<Image> DecodeJpeg(absl::string_view bytes) {
  jpeg_decompress_struct decoder = {};
  JpegErrors errors = {};
  decoder.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = EscapeFromError;
  errors.manager.emit_message = EscapeFromWarning;
  Image image;
  absl::Status size_status;
  const bool is_done =
      RunJpegDecoder(&decoder, &errors, bytes, &image, &size_status);
  jpeg_destroy_decompress(&decoder);
  if (!is_done) {
    return absl::InvalidArgumentError(
        absl::StrCat("damaged JPEG: ", errors.message));
  }
  if (!size_status.ok()) return size_status;
  return image;
}

absl::StatusOr<Image> DecodePng(absl::string_view bytes) {
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  const auto damaged = [&png] {
    absl::Status status =
        absl::InvalidArgumentError(absl::StrCat("damaged PNG: ", png.message));
    png_image_free(&png);
    return status;
  };
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) {
    return damaged();
  }
  const absl::Status size_status = CheckSize(png.height, png.width);
  if (!size_status.ok()) {
    png_image_free(&png);
    return size_status;
  }
  Image image;
  image.height = png.height;
  image.width = png.width;
  // RGBA first: libpng would otherwise want a background for alpha.
  png.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, rgba.data(), 0, nullptr) == 0) {
    return damaged();
  }
  image.pixels.reserve(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size(); i += 4) {
    image.pixels.insert(image.pixels.end(), &rgba[i], &rgba[i] + 3);
  }
  return image;
}

}  // namespace

absl::StatusOr<Image> DecodeImage(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "\xff\xd8")) return DecodeJpeg(bytes);
  if (absl::StartsWith(bytes, "\x89PNG")) return DecodePng(bytes);
  return absl::InvalidArgumentError("neither JPEG nor PNG");
}

}  // namespace lathe
