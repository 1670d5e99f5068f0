#include "compressor/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/limits.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

// Every part of a plain path names something below where it starts.
bool IsPlainPath(absl::string_view path) {
  if (path.empty() || path.find('\0') != absl::string_view::npos ||
      path.find('\\') != absl::string_view::npos) {
    return false;
  }
  const std::vector<absl::string_view> names = absl::StrSplit(path, '/');
  return std::none_of(names.begin(), names.end(), [](absl::string_view name) {
    return name.empty() || name == "..";
  });
}

absl::StatusOr<int64_t> ReadCount(const onnx::StringStringEntryProto& entry) {
  int64_t count = 0;
  if (absl::SimpleAtoi(entry.value(), &count) && count >= 0) return count;
  return absl::InvalidArgumentError(absl::StrCat(
      "external ", entry.key(), " = \"", entry.value(), "\", not a count"));
}

absl::StatusOr<ExternalPart> ReadPart(const onnx::TensorProto& tensor) {
  ExternalPart part;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      part.location = entry.value();
    } else if (entry.key() == "offset") {
      LATHE_ASSIGN_OR_RETURN(part.offset, ReadCount(entry));
    } else if (entry.key() == "length") {
      LATHE_ASSIGN_OR_RETURN(part.length, ReadCount(entry));
    }
  }
  if (IsPlainPath(part.location)) return part;
  return absl::InvalidArgumentError(
      absl::StrCat("external location \"", part.location,
                   "\" does not lie in the model's folder"));
}

std::vector<onnx::TensorProto*> TensorsOf(onnx::GraphProto* graph) {
  std::vector<onnx::TensorProto*> tensors;
  for (auto& tensor : *graph->mutable_initializer()) tensors.push_back(&tensor);
  for (auto& node : *graph->mutable_node()) {
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_t()) tensors.push_back(attribute.mutable_t());
    }
  }
  return tensors;
}

// A descriptor that closes itself.
class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Opens `path` below `folder` name by name, following no link: nothing outside
// the folder can be reached, whatever is put there meanwhile.
absl::StatusOr<int> OpenBelow(const std::string& folder,
                              const std::string& path) {
  int at = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return ErrnoToStatus(errno, folder);
  const std::vector<std::string> names = absl::StrSplit(path, '/');
  for (size_t i = 0; i < names.size(); ++i) {
    const int kind = i + 1 < names.size() ? O_DIRECTORY : O_NONBLOCK;
    const OpenFile parent(at);
    at = openat(parent.fd(), names[i].c_str(),
                O_RDONLY | O_CLOEXEC | O_NOFOLLOW | kind);
    if (at >= 0) continue;
    if (errno == ELOOP) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, " is a link; external data lie in files of their own"));
    }
    return ErrnoToStatus(errno, absl::StrCat(folder, "/", path));
  }
  return at;
}

absl::StatusOr<std::string> ReadPartOf(const std::string& folder,
                                       const ExternalPart& part) {
  LATHE_ASSIGN_OR_RETURN(const int fd, OpenBelow(folder, part.location));
  const OpenFile file(fd);
  struct stat info = {};
  if (fstat(fd, &info) != 0) return ErrnoToStatus(errno, part.location);
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(part.location, " is not a regular file"));
  }
  const int64_t there = std::max<int64_t>(0, info.st_size - part.offset);
  const int64_t length = part.length.value_or(there);
  if (length > there) {
    return absl::InvalidArgumentError(
        absl::StrCat(part.location, " has ", static_cast<int64_t>(info.st_size),
                     " bytes, not ", length, " from ", part.offset, " on"));
  }
  if (length > part.most_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the model with its external data has more than ",
                     kMostModelBytes, " bytes"));
  }
  std::string bytes(length, '\0');
  for (int64_t done = 0; done < length;) {
    const ssize_t got =
        pread(fd, &bytes[done], length - done, part.offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoToStatus(errno, part.location);
    if (got == 0) {
      return absl::UnavailableError(
          absl::StrCat(part.location, " became shorter while it was read"));
    }
    done += got;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> InlineExternalData(absl::string_view bytes,
                                               const ExternalReader& read) {
  // Most models have none: they are not parsed for it.
  if (bytes.find("location") == absl::string_view::npos) {
    return std::string(bytes);
  }
  onnx::ModelProto model;
  if (bytes.size() > static_cast<size_t>(kMostModelBytes) ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::string(bytes);  // ParseModel will say what is wrong.
  }
  int64_t left = kMostModelBytes - static_cast<int64_t>(bytes.size());
  bool is_inlined = false;
  for (onnx::TensorProto* tensor : TensorsOf(model.mutable_graph())) {
    if (tensor->data_location() != onnx::TensorProto::EXTERNAL) continue;
    const std::string where = absl::StrCat("tensor \"", tensor->name(), "\"");
    auto part = ReadPart(*tensor);
    if (!part.ok()) return Annotate(part.status(), where);
    part->most_bytes = left;
    auto data = read(*part);
    if (!data.ok()) return Annotate(data.status(), where);
    left -= static_cast<int64_t>(data->size());
    tensor->set_raw_data(*std::move(data));
    tensor->clear_external_data();
    tensor->clear_data_location();
    is_inlined = true;
  }
  return is_inlined ? model.SerializeAsString() : std::string(bytes);
}

absl::StatusOr<std::string> ReadModelFile(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return InlineExternalData(bytes, [&folder](const ExternalPart& part) {
    return ReadPartOf(folder, part);
  });
}

}  // namespace lathe
