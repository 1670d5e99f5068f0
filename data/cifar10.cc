#include "data/cifar10.h"

#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

constexpr size_t kPixelBytes = 3 * 32 * 32;
constexpr size_t kRecordBytes = 1 + kPixelBytes;
constexpr int kClasses = 10;

}  // namespace

absl::Status AppendCifar10(absl::string_view bytes, Dataset* dataset) {
  if (bytes.empty() || bytes.size() % kRecordBytes != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a CIFAR-10 batch: ", bytes.size(),
                     " bytes, no multiple of ", kRecordBytes));
  }
  Array& images = dataset->inputs["x"];
  if (images.shape.empty()) {
    images.type = Array::Type::kUint8;
    images.shape = {0, 3, 32, 32};
  }
  for (size_t at = 0; at < bytes.size(); at += kRecordBytes) {
    const int label = static_cast<unsigned char>(bytes[at]);
    if (label >= kClasses) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a CIFAR-10 batch: label ", label, " of record ",
                       at / kRecordBytes, ", not in [0, 9]"));
    }
    dataset->labels.push_back(label);
    images.bytes.append(bytes.data() + at + 1, kPixelBytes);
    ++images.shape[0];
  }
  return absl::OkStatus();
}

}  // namespace lathe
