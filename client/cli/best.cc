// `lathe best`: the most accurate configuration within bounds, and what the
// job's agent would try there.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/numeric.h"
#include "base/status.h"
#include "client/cli/bound_flags.h"
#include "client/cli/command.h"
#include "client/cli/measured_answer.h"
#include "client/cli/quantity.h"
#include "client/cli/text_table.h"
#include "client/cli/trial_table.h"
#include "client/point_json.h"
#include "client/search_client.h"
#include "proto/confirmation.h"

namespace lathe {
namespace {

struct BestFlags {
  std::string job;
  BoundFlags bounds;
  bool proposes = false;
  bool measures = false;
};

// Which trial it is, who proposed it, and why it and no other.
void AddReason(const v1::BestConfiguration& best, nlohmann::json& object) {
  object["name"] = best.trial().name();
  object["source"] = best.trial().proposal().source();
  object["reason"] = best.reason();
  if (best.has_solvers_answer()) {
    object["solvers_answer"] = best.solvers_answer().number();
  }
  if (best.has_challenger()) object["challenger"] = best.challenger().number();
  if (!best.has_lead()) return;
  const v1::PairedDifference& lead = best.lead();
  object["challengers_lead"] = {{"mean", lead.mean()},
                                {"low", lead.low()},
                                {"high", lead.high()},
                                {"samples", lead.samples()}};
}

// What the answer is on samples that did not choose it.
std::string DescribeReason(const v1::BestConfiguration& best) {
  const v1::Measurement& m = best.trial().measurement();
  std::string text = absl::StrCat("by ", best.trial().proposal().source(), "; ",
                                  best.reason(), "\n");
  if (m.confirmation_samples() == 0) return text;
  const Interval interval =
      WilsonInterval(m.confirmation_correct(), m.confirmation_samples());
  absl::StrAppendFormat(&text,
                        "on %d confirmation samples: %.2f %% (%.2f to %.2f)\n",
                        m.confirmation_samples(),
                        100.0 * static_cast<double>(m.confirmation_correct()) /
                            static_cast<double>(m.confirmation_samples()),
                        100 * interval.low, 100 * interval.high);
  return text;
}

nlohmann::json MissesToJson(const v1::BestConfiguration& best) {
  nlohmann::json misses = nlohmann::json::array();
  for (const v1::NearMiss& miss : best.near_misses()) {
    nlohmann::json point = PointToJson(miss.trial());
    point["why_not"] = miss.why_not();
    misses.push_back(std::move(point));
  }
  return misses;
}

// What the agent would try, and, where it was tried, the trial.
struct Answer {
  v1::Proposal proposal;
  std::optional<v1::Trial> trial;
};

nlohmann::json AnswerToJson(const Answer& answer, const v1::Job& job) {
  v1::Trial untried;
  *untried.mutable_proposal() = answer.proposal;
  nlohmann::json object =
      PointToJson(answer.trial.value_or(untried), &job.baseline().space());
  if (!answer.trial) object.erase("trial");
  if (answer.trial) object["name"] = answer.trial->name();
  object["source"] = answer.proposal.source();
  object["explanation"] = answer.proposal.explanation();
  if (answer.proposal.has_predicted_latency_us()) {
    object["predicted_latency_us"] = answer.proposal.predicted_latency_us();
  }
  return object;
}

std::string DescribeAnswer(const Answer& answer,
                           const v1::Measurement& baseline) {
  const std::string by =
      absl::StrCat("answer of ", Printable(answer.proposal.source()), ": ");
  if (answer.trial && answer.trial->has_measurement()) {
    return absl::StrCat(by, answer.trial->name(), ", ",
                        DescribePoint(*answer.trial, baseline), "\n");
  }
  if (answer.trial) {
    return absl::StrCat(by, answer.trial->name(), " could not be measured: ",
                        Printable(answer.trial->state_reason()), "\n");
  }
  return absl::StrCat(
      by, "a plan of ",
      answer.proposal.has_predicted_latency_us()
          ? FormatLatency(answer.proposal.predicted_latency_us())
          : "unknown latency",
      " as predicted, not measured; --measure measures it\n");
}

// The job's best trial, or its agent's answer where that is surely better on
// the confirmation split (without one, on the search split).
absl::StatusOr<v1::BestConfiguration> BetterOf(
    const SearchClient& client, const v1::BestConfiguration& best,
    v1::GetBestConfigurationRequest request, const v1::Trial& answer) {
  const std::string job = answer.name().substr(0, answer.name().find("/tr"));
  request.set_name(job);
  LATHE_ASSIGN_OR_RETURN(v1::BestConfiguration with_answer,
                         client.GetBestConfiguration(request));
  if (!best.has_trial()) return with_answer;
  if (!with_answer.has_trial()) return best;
  const v1::Measurement& known = best.trial().measurement();
  const v1::Measurement& answered = with_answer.trial().measurement();
  const std::optional<v1::PairedDifference> lead = LeadOf(answered, known);
  const bool is_better = lead.has_value()
                             ? lead->low() > 0
                             : answered.accuracy() > known.accuracy();
  return is_better ? with_answer : best;
}

absl::StatusOr<std::optional<Answer>> AskAgent(
    const SearchClient& client, const v1::Job& job,
    const v1::GetBestConfigurationRequest& request, const BestFlags& flags) {
  absl::StatusOr<v1::Proposal> proposal =
      client.AnswerBudget(job.name(), BudgetOfRequest(request));
  if (!proposal.ok()) {
    if (flags.proposes || flags.measures) return proposal.status();
    // Nobody asked for it.
    std::fprintf(stderr, "no answer of the job's agent: %s\n",
                 Printable(std::string(proposal.status().message())).c_str());
    return std::nullopt;
  }
  Answer answer;
  answer.proposal = *std::move(proposal);
  if (flags.measures) {
    LATHE_ASSIGN_OR_RETURN(answer.trial,
                           MeasurePlan(client, job, answer.proposal.plan()));
  }
  return answer;
}

void PrintBest(const Cli& cli, const v1::BestConfiguration& best,
               const std::optional<Answer>& answer, const v1::Job& job,
               const v1::Measurement& baseline) {
  if (cli.is_json()) {
    nlohmann::json object =
        best.has_trial() ? PointToJson(best.trial())
                         : nlohmann::json{{"near_misses", MissesToJson(best)}};
    if (best.has_trial()) AddReason(best, object);
    if (answer) object["answer"] = AnswerToJson(*answer, job);
    PrintJson(object);
    return;
  }
  if (best.has_trial()) {
    PrintText(absl::StrCat(DescribePoint(best.trial(), baseline), "\n",
                           Printable(DescribeReason(best))));
  }
  if (answer) PrintText(DescribeAnswer(*answer, baseline));
}

absl::Status Best(const Cli& cli, const BestFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const v1::GetBestConfigurationRequest request,
                         MakeBestRequest(JobName(flags.job), flags.bounds));
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(v1::BestConfiguration best,
                         client.GetBestConfiguration(request));
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(request.name()));
  LATHE_ASSIGN_OR_RETURN(const v1::Trial baseline,
                         client.GetTrial(request.name(), /*number=*/0));
  std::optional<Answer> answer;
  if (flags.proposes || flags.measures || !best.has_trial()) {
    LATHE_ASSIGN_OR_RETURN(answer, AskAgent(client, job, request, flags));
  }
  if (answer && answer->trial) {
    LATHE_ASSIGN_OR_RETURN(best,
                           BetterOf(client, best, request, *answer->trial));
  }
  PrintBest(cli, best, answer, job, baseline.measurement());
  return best.has_trial() ? absl::OkStatus() : NothingMeetsBounds(best);
}

}  // namespace

void AddBest(CLI::App& app, Cli& cli) {
  const auto flags = std::make_shared<BestFlags>();
  CLI::App* command =
      app.add_subcommand("best", "The most accurate trial within bounds");
  command->add_option("JOB", flags->job, "jobs/N or N")->required();
  AddBoundFlags(*command, flags->bounds);
  command->add_flag("--propose", flags->proposes,
                    "show the plan that the job's agent would try within the "
                    "bounds, too (always shown where no trial meets them)");
  command->add_flag("--measure", flags->measures,
                    "measure that plan: as a trial of the job while it runs, "
                    "else in a job of its own");
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Best(cli, *flags); };
  });
}

}  // namespace lathe
