#include "server/token_table.h"

#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "server/errors.h"

namespace lathe {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);
constexpr size_t kTokenBytes = 32;
constexpr size_t kMostNameBytes = 64;

bool IsName(absl::string_view name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '@' ||
                  c == '-';
         });
}

absl::Status BadLine(int number, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(
      "line ", number, ": ", rule, "; a line is NAME ROLE EXPIRES SHA256"));
}

absl::Status ParseLine(absl::string_view line, int number,
                       TokensByDigest* tokens) {
  const std::vector<std::string> parts =
      absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  if (parts.size() != 4) {
    return BadLine(number, absl::StrCat(parts.size(), " words, not 4"));
  }
  TokenEntry entry;
  entry.name = parts[0];
  if (!IsName(entry.name)) {
    return BadLine(number, "the name is not 1-64 of letters, digits and ._@-");
  }
  const std::optional<Role> role = ParseRole(parts[1]);
  if (!role.has_value()) {
    return BadLine(number, absl::StrCat("role \"", absl::CHexEscape(parts[1]),
                                        "\", not viewer, user, worker, admin"));
  }
  entry.role = *role;
  if (!absl::ParseTime(absl::RFC3339_full, parts[2], &entry.expires_at,
                       nullptr)) {
    return BadLine(number, "EXPIRES is not a time as 2027-03-01T00:00:00Z");
  }
  if (!IsSha256Hex(parts[3])) {
    return BadLine(number, "SHA256 is not 64 lower-case hexadecimal digits");
  }
  if (!tokens->emplace(parts[3], std::move(entry)).second) {
    return BadLine(number, "the same digest stands twice");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> NewToken() {
  unsigned char bytes[kTokenBytes];
  if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
    return absl::InternalError("no random bytes");
  }
  return absl::StrCat(
      "lathe-", absl::WebSafeBase64Escape(absl::string_view(
                    reinterpret_cast<const char*>(bytes), sizeof(bytes))));
}

}  // namespace

absl::StatusOr<TokensByDigest> ParseTokens(absl::string_view text) {
  TokensByDigest tokens;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const absl::string_view trimmed =
        absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (trimmed.empty()) continue;
    LATHE_RETURN_IF_ERROR(ParseLine(trimmed, number, &tokens));
  }
  return tokens;
}

absl::StatusOr<std::string> AddToken(const std::string& path,
                                     const TokenEntry& entry) {
  if (!IsName(entry.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name \"", absl::CHexEscape(entry.name),
                     "\" is not 1-64 of letters, digits and ._@-"));
  }
  std::string text;
  if (FileExists(path)) {
    LATHE_ASSIGN_OR_RETURN(text, ReadFile(path));
    LATHE_RETURN_IF_ERROR(Annotate(ParseTokens(text).status(), path));
    if (!text.empty() && text.back() != '\n') text += '\n';
  }
  LATHE_ASSIGN_OR_RETURN(std::string token, NewToken());
  absl::StrAppend(&text, entry.name, " ", RoleName(entry.role), " ",
                  absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", entry.expires_at,
                                   absl::UTCTimeZone()),
                  " ", Sha256Hex(token), "\n");
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(path, text));
  // Only hashes stand there, and names.
  if (chmod(path.c_str(), 0600) != 0) return ErrnoToStatus(errno, path);
  return token;
}

absl::StatusOr<std::unique_ptr<TokenTable>> TokenTable::Open(
    const std::string& path) {
  std::unique_ptr<TokenTable> table(new TokenTable(path));
  absl::MutexLock lock(&table->mu_);
  LATHE_RETURN_IF_ERROR(table->Load());
  return table;
}

std::string TokenTable::FileStamp() const {
  struct stat info;
  if (stat(path_.c_str(), &info) != 0) return "";
  return absl::StrCat(info.st_ino, ".", info.st_size, ".", info.st_mtim.tv_sec,
                      ".", info.st_mtim.tv_nsec);
}

absl::Status TokenTable::Load() {
  stamp_ = FileStamp();
  LATHE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path_));
  absl::StatusOr<TokensByDigest> tokens = ParseTokens(text);
  if (!tokens.ok()) return Annotate(tokens.status(), path_);
  tokens_ = *std::move(tokens);
  return absl::OkStatus();
}

void TokenTable::LookAgain(absl::Time steady_now) {
  if (steady_now < next_look_) return;
  next_look_ = steady_now + kLookInterval;
  if (FileStamp() == stamp_) return;
  const absl::Status loaded = Load();
  if (loaded.ok()) {
    LATHE_LOG(kInfo) << path_ << ": " << tokens_.size() << " tokens";
  } else {
    LATHE_LOG(kError) << "tokens stay as they were: " << loaded;
  }
}

absl::StatusOr<TokenEntry> TokenTable::Find(absl::string_view token,
                                            absl::Time now,
                                            absl::Time steady_now) {
  const std::string digest = Sha256Hex(token);
  absl::MutexLock lock(&mu_);
  LookAgain(steady_now);
  const auto found = tokens_.find(digest);
  if (found == tokens_.end()) {
    return MakeError(absl::StatusCode::kUnauthenticated, "TOKEN_UNKNOWN",
                     "the server does not know this token; ask its "
                     "administrator for one");
  }
  if (found->second.expires_at <= now) {
    return MakeError(
        absl::StatusCode::kUnauthenticated, "TOKEN_EXPIRED",
        absl::StrCat(
            "the token of ", found->second.name, " expired on ",
            absl::FormatTime(absl::RFC3339_sec, found->second.expires_at,
                             absl::UTCTimeZone()),
            "; ask the server's administrator for a new one"));
  }
  return found->second;
}

}  // namespace lathe
