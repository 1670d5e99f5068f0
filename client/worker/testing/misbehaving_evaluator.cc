// An evaluating child that does what the job's display_name says. See
// evaluator_process_test.cc.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/worker/evaluate_command.h"

namespace lathe {
namespace {

// Plans with 2 weight bits in the first layer trigger what `name` says; all
// others are measured, as "accuracy" the number of evaluations so far.
class MisbehavingEvaluator : public Evaluator {
 public:
  explicit MisbehavingEvaluator(std::string name) : name_(std::move(name)) {}

  absl::StatusOr<BaselineEvaluation> EvaluateBaseline() override {
    BaselineEvaluation baseline;
    baseline.evaluation = Measured();
    baseline.activation_stats = "stats";
    return baseline;
  }

  absl::StatusOr<Evaluation> Evaluate(
      const v1::CompressionPlan& plan) override {
    if (plan.layers_size() == 0 || plan.layers(0).weight_bits() != 2) {
      return Measured();
    }
    return Misbehave();
  }

 private:
  Evaluation Measured() {
    Evaluation evaluation;
    evaluation.measurement.set_accuracy(++evaluations_);
    evaluation.measurement.set_samples(getpid());
    evaluation.artifact = "artifact";
    return evaluation;
  }

  absl::StatusOr<Evaluation> Misbehave() {
    std::fprintf(stderr, "first line\nabout to %s\n", name_.c_str());
    if (name_ == "abort") abort();
    if (name_ == "segfault") raise(SIGSEGV);
    if (name_ == "exit") _exit(3);
    if (name_ == "hang") pause();
    if (name_ == "killed") raise(SIGKILL);
    if (name_ == "terminated") raise(SIGTERM);
    if (name_ == "bad_alloc") throw std::bad_alloc();
    if (name_ == "take 8 GiB") {
      // Not written to, so that no machine needs to have it.
      const std::unique_ptr<char[]> large(new char[size_t{8} << 30]);
      large[0] = 'x';
      Use(std::string(large.get(), 1));
      return Measured();
    }
    if (name_ == "allocate") Use(std::string(size_t{1} << 46, 'x'));
    if (name_ == "throw") throw std::runtime_error("kernel failed");
    if (name_ == "print") std::printf("noise on standard output\n");
    if (name_ == "print") return Measured();
    if (name_ == "infeasible") {
      return absl::FailedPreconditionError("no such kernel");
    }
    if (name_ == "exhausted") return absl::ResourceExhaustedError("memory");
    return absl::InternalError("unknown");
  }

  static void Use(const std::string& text) { (void)!write(2, text.data(), 1); }

  const std::string name_;
  int evaluations_ = 0;
};

absl::StatusOr<std::unique_ptr<Evaluator>> Open(const v1::EvaluationJob& job) {
  if (job.spec().display_name() == "bad model") {
    return absl::InvalidArgumentError("node 3: unknown operator");
  }
  if (job.spec().display_name() == "unreadable") {
    return absl::UnavailableError("cannot read");
  }
  return std::make_unique<MisbehavingEvaluator>(job.spec().display_name());
}

// Answers whatever arrives with bytes that are no message.
int AnswerGarbage() {
  char buffer[4096];
  while (read(STDIN_FILENO, buffer, sizeof(buffer)) > 0) {
    if (write(STDIN_FILENO, "HTTP/1.1 200 OK\r\n", 17) < 0) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "garbage") {
    return lathe::AnswerGarbage();
  }
  if (argc == 2 && std::string(argv[1]) == "at-once") return 7;
  const bool has_limit = argc == 3 && std::string(argv[1]) == "--memory-bytes";
  return lathe::RunEvaluateChild(lathe::Open, has_limit ? atoll(argv[2]) : 0);
}
