#include "server/lease_table.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lathe {

using v1::RenewLeasesResponse;

void LeaseTable::Add(int64_t fence, absl::string_view session,
                     absl::string_view trial, absl::Time expires_at) {
  absl::MutexLock lock(&mu_);
  Entry& entry = entries_[fence];
  entry = Entry();
  entry.session = std::string(session);
  entry.trial = std::string(trial);
  entry.expires_at = expires_at;
}

RenewLeasesResponse::Verdict LeaseTable::Renew(int64_t fence,
                                               absl::string_view session,
                                               absl::Time expires_at) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(fence);
  if (it == entries_.end() || it->second.session != session) {
    return RenewLeasesResponse::LOST;
  }
  if (!it->second.is_wanted) return RenewLeasesResponse::STOP;
  it->second.expires_at = expires_at;
  return RenewLeasesResponse::GO_ON;
}

void LeaseTable::NoteProgress(int64_t fence, absl::string_view session,
                              const v1::TrialProgress& progress) {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(fence);
  if (it == entries_.end() || it->second.session != session) return;
  it->second.progress = progress;
}

std::optional<v1::TrialProgress> LeaseTable::ProgressOf(
    absl::string_view trial) const {
  absl::MutexLock lock(&mu_);
  for (const auto& [fence, entry] : entries_) {
    if (entry.is_wanted && entry.trial == trial) return entry.progress;
  }
  return std::nullopt;
}

std::map<std::string, int> LeaseTable::CountStages(
    absl::string_view job) const {
  const std::string prefix = absl::StrCat(job, "/");
  absl::MutexLock lock(&mu_);
  std::map<std::string, int> counts;
  for (const auto& [fence, entry] : entries_) {
    if (!entry.is_wanted || !absl::StartsWith(entry.trial, prefix)) continue;
    ++counts[entry.progress.has_value() ? entry.progress->stage() : ""];
  }
  return counts;
}

std::optional<HeldLease> LeaseTable::Find(int64_t fence) const {
  absl::MutexLock lock(&mu_);
  const auto it = entries_.find(fence);
  if (it == entries_.end() || !it->second.is_wanted) return std::nullopt;
  return HeldLease{fence, it->second.session, it->second.trial};
}

std::vector<int64_t> LeaseTable::HeldBy(absl::string_view session) const {
  absl::MutexLock lock(&mu_);
  std::vector<int64_t> fences;
  for (const auto& [fence, entry] : entries_) {
    if (entry.is_wanted && entry.session == session) fences.push_back(fence);
  }
  return fences;
}

void LeaseTable::Remove(int64_t fence) {
  absl::MutexLock lock(&mu_);
  entries_.erase(fence);
}

std::vector<HeldLease> LeaseTable::TakeExpired(absl::Time now) {
  absl::MutexLock lock(&mu_);
  std::vector<HeldLease> expired;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.expires_at > now) {
      ++it;
      continue;
    }
    const Entry& entry = it->second;
    if (entry.is_wanted) {
      expired.push_back({it->first, entry.session, entry.trial});
    }
    it = entries_.erase(it);
  }
  return expired;
}

std::vector<int64_t> LeaseTable::Unwant(absl::string_view job) {
  const std::string prefix = absl::StrCat(job, "/");
  absl::MutexLock lock(&mu_);
  std::vector<int64_t> fences;
  for (auto& [fence, entry] : entries_) {
    if (!entry.is_wanted || !absl::StartsWith(entry.trial, prefix)) continue;
    entry.is_wanted = false;
    fences.push_back(fence);
  }
  return fences;
}

std::map<std::string, int> LeaseTable::CountBySession() const {
  absl::MutexLock lock(&mu_);
  std::map<std::string, int> counts;
  for (const auto& [fence, entry] : entries_) {
    if (entry.is_wanted) ++counts[entry.session];
  }
  return counts;
}

}  // namespace lathe
