#include "experiments/load/load_session.h"

#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace lathe {
namespace {

constexpr double kLeaseWaitSeconds = 2;
constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr absl::Duration kRetryWait = absl::Milliseconds(100);

std::string RandomSession() {
  std::random_device device;
  std::string session = "load-";
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&session, "%08x", device());
  return session;
}

// Renewals of sessions that started together spread over the interval.
double Jitter() {
  thread_local std::mt19937 generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0.75, 1.25)(generator);
}

}  // namespace

LoadSession::LoadSession(const std::shared_ptr<grpc::Channel>& channel,
                         const LoadOptions& options, const LoadPhase* phase,
                         std::function<void()> ended)
    : stub_(v1::Workers::NewStub(channel)),
      options_(options),
      phase_(*phase),
      ended_(std::move(ended)),
      session_(RandomSession()) {
  const v1::Measurement measurement =
      evaluator_.EvaluateBaseline().value().evaluation.measurement;
  register_request_.set_session(session_);
  v1::Capabilities& capabilities = *register_request_.mutable_capabilities();
  *capabilities.mutable_profile() = measurement.profile();
  capabilities.set_evaluator_version(measurement.evaluator_version());
  lease_request_.set_session(session_);
  lease_request_.set_slots(1);
  lease_request_.set_wait_seconds(kLeaseWaitSeconds);
  complete_request_.set_session(session_);
  renew_request_.set_session(session_);
}

grpc::ClientContext* LoadSession::NewCall() {
  context_ = std::make_unique<grpc::ClientContext>();
  call_start_ = absl::Now();
  context_->set_deadline(absl::ToChronoTime(call_start_ + kCallTimeout));
  return context_.get();
}

// Of the call that was answered now.
void LoadSession::Note(LatencySample& sample) {
  if (phase_.is_measuring) sample.Add(absl::Now() - call_start_);
}

void LoadSession::Later(absl::Duration wait, std::function<void()> next) {
  if (phase_.is_stopping) {
    ended_();
    return;
  }
  if (wait == absl::ZeroDuration()) {
    next();
    return;
  }
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(absl::ToChronoTime(absl::Now() + wait),
              [next = std::move(next)](bool) { next(); });
}

void LoadSession::Retry(std::function<void()> next) {
  ++tally_.errors;
  Later(kRetryWait, std::move(next));
}

void LoadSession::Register() {
  stub_->async()->RegisterWorker(
      NewCall(), &register_request_, &register_response_,
      [this](const grpc::Status& status) {
        if (!status.ok()) return Retry([this] { Register(); });
        Later(absl::ZeroDuration(), [this] { Lease(); });
      });
}

void LoadSession::Lease() {
  stub_->async()->LeaseTrials(NewCall(), &lease_request_, &lease_response_,
                              [this](const grpc::Status& status) {
                                // A server that was restarted wants to know the
                                // session again.
                                if (!status.ok())
                                  return Retry([this] { Register(); });
                                TakeLease();
                              });
}

void LoadSession::TakeLease() {
  if (lease_response_.leases().empty()) {
    return Later(absl::ZeroDuration(), [this] { Lease(); });
  }
  Note(tally_.lease);
  // A lease that was left would hold its trial up until it expires.
  if (phase_.is_stopping) return Evaluate();
  if (!options_.renewal_interval.has_value()) {
    return Later(options_.evaluation, [this] { Evaluate(); });
  }
  renew_request_.clear_fences();
  renew_request_.add_fences(lease_response_.leases(0).fence());
  Later(Jitter() * *options_.renewal_interval, [this] { Renew(); });
}

void LoadSession::Evaluate() {
  if (phase_.is_measuring) tally_.busy += options_.evaluation;
  const v1::Lease& lease = lease_response_.leases(0);
  v1::Outcome& outcome = *complete_request_.mutable_outcome();
  outcome.Clear();
  complete_request_.set_fence(lease.fence());
  outcome.set_kind(v1::MEASURED);
  if (lease.trial_number() == 0) {
    BaselineEvaluation baseline = evaluator_.EvaluateBaseline().value();
    *outcome.mutable_measurement() = baseline.evaluation.measurement;
    *outcome.mutable_baseline() = baseline.report;
    outcome.mutable_baseline()->clear_activation_stats_digest();
  } else {
    const absl::StatusOr<Evaluation> evaluation =
        evaluator_.Evaluate(lease.plan());
    if (evaluation.ok()) {
      *outcome.mutable_measurement() = evaluation->measurement;
    } else {
      outcome.set_kind(v1::INFEASIBLE);
      outcome.set_reason(std::string(evaluation.status().message()));
    }
  }
  Complete();
}

void LoadSession::Complete() {
  stub_->async()->CompleteTrial(
      NewCall(), &complete_request_, &complete_response_,
      [this](const grpc::Status& status) {
        const bool is_fenced = status.error_code() == grpc::StatusCode::ABORTED;
        if (!status.ok() && !is_fenced) return Retry([this] { Complete(); });
        Note(tally_.completion);
        if (is_fenced) ++tally_.errors;
        if (!is_fenced && phase_.is_measuring) ++tally_.pairs;
        Later(absl::ZeroDuration(), [this] { Lease(); });
      });
}

void LoadSession::Renew() {
  stub_->async()->RenewLeases(
      NewCall(), &renew_request_, &renew_response_,
      [this](const grpc::Status& status) {
        const bool goes_on =
            status.ok() && renew_response_.verdicts_size() == 1 &&
            renew_response_.verdicts(0) == v1::RenewLeasesResponse::GO_ON;
        if (!goes_on) ++tally_.errors;
        Note(tally_.renewal);
        Later(Jitter() * *options_.renewal_interval, [this] { Renew(); });
      });
}

}  // namespace lathe
