#include "client/worker/lease_keeper.h"

#include <random>

#include "base/log.h"

namespace lathe {
namespace {

// So that workers that started together do not renew together.
double Jitter() {
  thread_local std::mt19937 generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0.75, 1.25)(generator);
}

}  // namespace

LeaseKeeper::LeaseKeeper(ServerLink* link, WorkerControl* control,
                         StopSignal* work)
    : link_(link),
      control_(control),
      work_(work),
      last_renewal_(std::chrono::steady_clock::now()),
      thread_([this] { Loop(); }) {}

LeaseKeeper::~LeaseKeeper() {
  ending_.Set();
  thread_.join();
}

void LeaseKeeper::Loop() {
  for (;;) {
    if (ending_.WaitFor(link_->renew_times().interval * Jitter())) return;
    RenewOnce();
  }
}

void LeaseKeeper::RenewOnce() {
  const absl::StatusOr<v1::RenewLeasesResponse> response = link_->Renew();
  const auto now = std::chrono::steady_clock::now();
  if (response.ok()) {
    last_renewal_ = now;
    Obey(*response);
    return;
  }
  LATHE_LOG(kWarning) << "renewal: " << response.status();
  if (absl::IsNotFound(response.status())) {
    const absl::Status registered = link_->Register();
    if (registered.ok()) {
      last_renewal_ = now;
      return;
    }
  }
  if (absl::FromChrono(now - last_renewal_) >= link_->renew_times().give_up &&
      !work_->is_stopped()) {
    LATHE_LOG(kWarning) << "no renewal got through; giving the trial up";
    work_->Stop(StopSignal::Reason::kLost);
  }
}

void LeaseKeeper::Obey(const v1::RenewLeasesResponse& response) {
  if (response.is_draining()) control_->Drain();
  if (response.verdicts().empty()) return;
  switch (response.verdicts(0)) {
    case v1::RenewLeasesResponse::STOP:
      work_->Stop(StopSignal::Reason::kNotWanted);
      break;
    case v1::RenewLeasesResponse::LOST:
      work_->Stop(StopSignal::Reason::kLost);
      break;
    default:
      break;
  }
}

}  // namespace lathe
