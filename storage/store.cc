#include "storage/store.h"

#include "base/status.h"

namespace lathe {

absl::StatusOr<std::vector<GrantedLease>> Store::GrantLeases(
    absl::string_view session, const v1::HardwareProfile& profile, int count,
    absl::Time now, const std::set<std::string>& held_back) {
  const LeaseWish wish{std::string(session), profile, count, held_back};
  LATHE_ASSIGN_OR_RETURN(std::vector<std::vector<GrantedLease>> granted,
                         GrantToAll({wish}, now));
  return std::move(granted[0]);
}

}  // namespace lathe
