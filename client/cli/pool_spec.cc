#include "client/cli/pool_spec.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace lathe {
namespace {

// The longest that fits into a Kubernetes name beside the prefix.
constexpr size_t kMostNameBytes = 40;

absl::Status Refuse(absl::string_view flag, absl::string_view value,
                    absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " = \"", value.substr(0, 80), "\": ", rule));
}

// The values stand in the lines of a script that a scheduler reads.
absl::Status CheckWord(absl::string_view flag, absl::string_view value) {
  const bool is_word = std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '\'' && c != '`' &&
           c != '$' && c != '\\' && c != ';' && c != '#';
  });
  if (is_word) return absl::OkStatus();
  return Refuse(flag, value, "has a blank, a quote or a sign of the shell");
}

}  // namespace

std::string ScheduledName(const std::string& pool) {
  return absl::StrCat("lathe-pool-", pool);
}

absl::Status CheckPoolName(const std::string& name) {
  const bool is_legal =
      !name.empty() && name.size() <= kMostNameBytes && name.front() != '-' &&
      name.back() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
        return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
      });
  if (is_legal) return absl::OkStatus();
  return Refuse("--name", name,
                "not 1-40 lower-case letters, digits and inner hyphens");
}

absl::Status CheckPoolSpec(const PoolSpec& spec) {
  LATHE_RETURN_IF_ERROR(CheckPoolName(spec.name));
  if (spec.server.empty()) {
    return absl::InvalidArgumentError(
        "no server named: give --server HOST:PORT, as the workers reach it");
  }
  const struct {
    const char* flag;
    const std::string& value;
  } words[] = {
      {"--partition", spec.partition}, {"--constraint", spec.constraint},
      {"--time", spec.time_limit},     {"--logs", spec.logs},
      {"--image", spec.image},         {"--namespace", spec.name_space}};
  for (const auto& word : words) {
    LATHE_RETURN_IF_ERROR(CheckWord(word.flag, word.value));
  }
  return absl::OkStatus();
}

std::vector<std::string> WorkerArguments(const PoolSpec& spec) {
  std::vector<std::string> arguments = {"--server", spec.server, "--threads",
                                        absl::StrCat(spec.threads)};
  const struct {
    const char* flag;
    const std::string& file;
  } files[] = {{"--cache", spec.cache},
               {"--tls-ca", spec.credentials.ca_file},
               {"--tls-cert", spec.credentials.certificate_file},
               {"--tls-key", spec.credentials.key_file},
               {"--token-file", spec.credentials.token_file}};
  for (const auto& [flag, file] : files) {
    if (!file.empty()) arguments.insert(arguments.end(), {flag, file});
  }
  arguments.insert(arguments.end(), spec.worker_arguments.begin(),
                   spec.worker_arguments.end());
  return arguments;
}

}  // namespace lathe
