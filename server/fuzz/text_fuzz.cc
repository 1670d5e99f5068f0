// Everything that the server reads as text from strangers or operators: page
// tokens, resource names, addresses, token files, subjects of certificates.
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "server/listen_address.h"
#include "server/tls.h"
#include "server/token_table.h"
#include "storage/resource_names.h"

namespace lathe {
namespace {

void Require(bool is_true) {
  if (!is_true) abort();
}

void CheckPageTokens(absl::string_view text) {
  constexpr int64_t kFirst = std::numeric_limits<int64_t>::max();
  for (const char* kind : {"jobs", "trials"}) {
    const auto position = storage::ParsePageToken(kind, text, kFirst);
    if (!position.ok() || text.empty()) continue;
    // What is taken is what was given, by that list alone.
    Require(storage::MakePageToken(kind, *position) == text);
    const char* other = kind[0] == 'j' ? "trials" : "jobs";
    Require(!storage::ParsePageToken(other, text, kFirst).ok());
  }
}

void CheckNames(absl::string_view text) {
  const auto job = storage::ParseJobName(text);
  if (job.ok()) Require(storage::JobName(*job) == text);
  const auto trial = storage::ParseTrialName(text);
  if (trial.ok()) Require(storage::TrialName(*trial) == text);
  const auto worker = storage::ParseWorkerName(text);
  if (worker.ok()) Require(storage::WorkerName(*worker) == text);
}

}  // namespace
}  // namespace lathe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  lathe::CheckPageTokens(text);
  lathe::CheckNames(text);
  (void)lathe::ParseListenAddress(text);
  (void)lathe::ParseTokens(text);
  (void)lathe::RoleOfSubject(text);
  return 0;
}
