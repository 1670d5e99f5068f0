#include "data/npz.h"

#include <zip.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "data/npy.h"

namespace lathe {
namespace {

// Bytes taken at a time, so that a false size costs no memory.
constexpr size_t kChunkBytes = 1 << 20;

struct CloseFile {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
struct DiscardArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, DiscardArchive>;
using Source = std::unique_ptr<zip_source_t, FreeSource>;

// An error of libzip as a status; owns the zip_error_t that calls fill.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  ~ZipError() { zip_error_fini(&error_); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;

  zip_error_t* get() { return &error_; }
  absl::Status ToStatus(absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", zip_error_strerror(&error_)));
  }

 private:
  zip_error_t error_;
};

absl::StatusOr<Archive> OpenForReading(absl::string_view bytes) {
  // libzip takes no bytes at all for an empty archive.
  if (!absl::StartsWith(bytes, "PK")) {
    return absl::InvalidArgumentError("not a zip archive: it begins otherwise");
  }
  ZipError error;
  Source source(
      zip_source_buffer_create(bytes.data(), bytes.size(), 0, error.get()));
  if (source == nullptr) return error.ToStatus("zip archive");
  Archive archive(zip_open_from_source(source.get(), ZIP_RDONLY, error.get()));
  if (archive == nullptr) return error.ToStatus("not a zip archive");
  static_cast<void>(source.release());  // The archive owns it now.
  return archive;
}

absl::StatusOr<std::string> ReadEntry(zip_t* archive, zip_uint64_t index,
                                      int64_t most_bytes) {
  std::unique_ptr<zip_file_t, CloseFile> file(
      zip_fopen_index(archive, index, 0));
  if (file == nullptr) {
    return absl::InvalidArgumentError(zip_strerror(archive));
  }
  std::string bytes;
  while (true) {
    const size_t size = bytes.size();
    bytes.resize(size + kChunkBytes);
    const zip_int64_t got = zip_fread(file.get(), &bytes[size], kChunkBytes);
    if (got < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("damaged: ", zip_file_strerror(file.get())));
    }
    bytes.resize(size + got);
    if (got == 0) return bytes;
    if (static_cast<int64_t>(bytes.size()) > most_bytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "more than ", kMostDatasetBytes, " bytes; keep fewer samples"));
    }
  }
}

// Adds one entry; `npy` must live until the archive is written.
absl::Status AddEntry(zip_t* archive, const std::string& name,
                      const std::string& npy) {
  zip_source_t* source =
      zip_source_buffer(archive, npy.data(), npy.size(), /*freep=*/0);
  const zip_int64_t index =
      source == nullptr
          ? -1
          : zip_file_add(archive, absl::StrCat(name, ".npy").c_str(), source,
                         ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return absl::InternalError(absl::StrCat(name, ": ", zip_strerror(archive)));
  }
  // A fixed time, given as DOS fields so that the time zone does not matter.
  constexpr zip_uint16_t kFirstDay = (1 << 5) | 1;  // 1980-01-01.
  if (zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, index, 0, kFirstDay, 0) != 0) {
    return absl::InternalError(absl::StrCat(name, ": ", zip_strerror(archive)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSource(zip_source_t* source) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  if (zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0) {
    return absl::InternalError("the archive in memory cannot be read");
  }
  std::string bytes(stat.size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const zip_int64_t got =
        zip_source_read(source, &bytes[done], bytes.size() - done);
    if (got <= 0) break;
    done += got;
  }
  zip_source_close(source);
  if (done != bytes.size()) {
    return absl::InternalError("the archive in memory cannot be read");
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::map<std::string, Array>> ParseNpz(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(const Archive archive, OpenForReading(bytes));
  std::map<std::string, Array> arrays;
  int64_t room = kMostDatasetBytes;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* entry = zip_get_name(archive.get(), i, 0);
    absl::string_view name = entry == nullptr ? "" : entry;
    if (!absl::ConsumeSuffix(&name, ".npy") || name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("entry \"", name, "\" is no .npy"));
    }
    if (arrays.count(std::string(name)) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("two arrays \"", name, "\""));
    }
    const std::string where = absl::StrCat("array \"", name, "\"");
    auto npy = ReadEntry(archive.get(), i, room);
    if (!npy.ok()) return Annotate(npy.status(), where);
    room -= npy->size();
    auto array = ParseNpy(*npy);
    if (!array.ok()) return Annotate(array.status(), where);
    arrays.emplace(std::string(name), *std::move(array));
  }
  return arrays;
}

absl::StatusOr<std::string> SerializeNpz(
    const std::map<std::string, Array>& arrays) {
  ZipError error;
  Source target(zip_source_buffer_create(nullptr, 0, 0, error.get()));
  if (target == nullptr) return error.ToStatus("zip archive");
  Archive archive(
      zip_open_from_source(target.get(), ZIP_TRUNCATE, error.get()));
  if (archive == nullptr) return error.ToStatus("zip archive");
  // The archive took the reference; one more keeps the bytes after closing.
  zip_source_keep(target.get());
  std::vector<std::string> files;
  files.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    files.push_back(SerializeNpy(array));
    LATHE_RETURN_IF_ERROR(AddEntry(archive.get(), name, files.back()));
  }
  if (zip_close(archive.get()) != 0) {
    return absl::InternalError(
        absl::StrCat("zip archive: ", zip_strerror(archive.get())));
  }
  static_cast<void>(archive.release());  // zip_close freed it.
  return ReadSource(target.get());
}

}  // namespace lathe
