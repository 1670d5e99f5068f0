#include "client/cli/report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/cli/html.h"
#include "client/cli/layer_reasons.h"
#include "client/cli/quantity.h"
#include "client/cli/report_data.h"
#include "client/cli/report_figures.h"
#include "client/cli/report_page.h"
#include "proto/names.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr char kShowAll[] =
    "<label><input type=\"checkbox\" id=\"show-all\"> also those below 80 % "
    "of the original's accuracy</label>\n";

const v1::Measurement& Baseline(const ReportInput& input) {
  return input.frontier.baseline().measurement();
}

std::string Title(const v1::Job& job) {
  return job.spec().display_name().empty() ? job.name()
                                           : job.spec().display_name();
}

std::string Section(absl::string_view title, absl::string_view note,
                    absl::string_view content) {
  return absl::StrCat("<h2>", EscapeHtml(title), "</h2>\n",
                      note.empty() ? ""
                                   : absl::StrCat("<p class=\"note\">",
                                                  EscapeHtml(note), "</p>\n"),
                      content);
}

std::string Canvas(absl::string_view id, bool is_wide) {
  return absl::StrCat("<div class=\"chart", is_wide ? " wide" : "",
                      "\"><canvas id=\"", id, "\"></canvas></div>\n");
}

std::string Figure(absl::string_view value, absl::string_view label) {
  return absl::StrCat("<div class=\"figure\"><b>", EscapeHtml(value),
                      "</b><span>", EscapeHtml(label), "</span></div>\n");
}

std::string Points(double share) {
  return absl::StrFormat("%+.2f points", 100 * share);
}

// "confirmed" accuracy: the report split's where there is one.
std::string ReportText(const v1::Measurement& m) {
  return m.report_samples() > 0 ? FormatPercent(m.report_accuracy()) : "none";
}

std::string Header(const ReportInput& input) {
  const v1::JobSpec& spec = input.job.spec();
  const std::string line =
      absl::StrCat(input.job.name(), ", ", JobStateName(input.job.state()),
                   "; agent ", spec.agent(), ", seed ", spec.seed(), ", ",
                   spec.trials(), " trials, ", std::max(1, spec.threads()),
                   " thread(s), batch ", std::max(1, spec.batch()));
  return absl::StrCat("<h1>", EscapeHtml(Title(input.job)), "</h1>\n",
                      "<p class=\"note\">", EscapeHtml(line), "</p>\n");
}

std::string Figures(const ReportInput& input) {
  const v1::Measurement& chosen = input.choice.trial.measurement();
  const v1::Measurement& baseline = Baseline(input);
  return absl::StrCat(
      "<div class=\"figures\">",
      Figure(FormatRatio(chosen.latency_ratio()),
             absl::StrCat("latency of the chosen one (",
                          FormatLatency(chosen.latency_us()), ")")),
      Figure(Points(chosen.accuracy() - baseline.accuracy()),
             absl::StrCat("its accuracy, ", FormatPercent(chosen.accuracy()))),
      Figure(FormatBytes(chosen.size_bytes()),
             absl::StrCat("its file; the original has ",
                          FormatBytes(baseline.size_bytes()))),
      Figure(absl::StrFormat("%.4f", input.frontier.hypervolume()),
             "hypervolume of the frontier"),
      Figure(absl::StrCat(input.frontier.trials_size()),
             "configurations on the frontier"),
      "</div>\n");
}

std::string Charts(const ReportInput& input) {
  const double optimism = Optimism(input.frontier);
  const std::string splits_note = absl::StrCat(
      "The search chose by the search split; the report split was kept from "
      "it. Optimism: ",
      Points(optimism),
      ", the frontier's mean loss from the search split to the report split, "
      "less the original's own.");
  return absl::StrCat(
      Section(
          "Accuracy and latency",
          "Every measured trial; the line is the frontier, which nothing "
          "measured dominates.",
          absl::StrCat(kShowAll, Canvas("chart-frontier", /*is_wide=*/true))),
      Section("What holds on samples that the search never saw", splits_note,
              Canvas("chart-splits", /*is_wide=*/false)),
      Section("Progress", "",
              absl::StrCat("<div class=\"charts\">",
                           Canvas("chart-progress", /*is_wide=*/false),
                           Canvas("chart-rewards", /*is_wide=*/false),
                           "</div>\n")));
}

std::vector<std::string> FrontierRow(const std::string& name,
                                     const v1::Trial& trial,
                                     const v1::Measurement& baseline) {
  const v1::Measurement& m = trial.measurement();
  return {name,
          FormatPercent(m.accuracy()),
          absl::StrFormat("%.2f - %.2f", 100 * m.accuracy_low(),
                          100 * m.accuracy_high()),
          ReportText(m),
          FormatLatency(m.latency_us()),
          FormatRatio(m.latency_ratio()),
          absl::StrFormat("%.3f - %.3f", m.latency_ratio_low(),
                          m.latency_ratio_high()),
          FormatBytes(m.size_bytes()),
          FormatBytes(m.packed_bytes()),
          FormatBytes(m.entropy_bytes()),
          absl::StrFormat("%.2f M", static_cast<double>(m.macs()) / 1e6),
          trial.proposal().source()};
}

std::string FrontierSection(const ReportInput& input) {
  HtmlTable table({"trial", "accuracy", "95 % interval", "report accuracy",
                   "latency", "ratio", "95 % interval", "file", "packed",
                   "entropy coded", "MACs", "<proposer"});
  table.AddRow(
      FrontierRow("original", input.frontier.baseline(), Baseline(input)));
  for (const v1::Trial& trial : input.frontier.trials()) {
    if (trial.number() == 0) continue;
    table.AddRow(
        FrontierRow(absl::StrCat(trial.number()), trial, Baseline(input)));
  }
  return Section("Frontier",
                 "Packed: weights at their true bit-widths. Widths below 8 "
                 "bits save bytes, not time.",
                 table.Render());
}

// Channels of each layer of the original.
std::map<std::string, int64_t> OriginalChannels(const ReportInput& input) {
  std::map<std::string, int64_t> channels;
  for (const v1::Layer& layer : input.job.baseline().space().layers()) {
    channels[layer.name()] = layer.out_channels();
  }
  return channels;
}

std::string LayersSection(const ReportInput& input) {
  HtmlTable table({"<layer", "<precision", "weight bits", "channels",
                   "of the original's", "kept"});
  const std::map<std::string, int64_t> originals = OriginalChannels(input);
  for (const v1::MeasuredLayer& layer :
       input.choice.trial.measurement().layers()) {
    const auto it = originals.find(layer.name());
    table.AddRow({layer.name(),
                  std::string(PrecisionName(layer.choice().precision())),
                  absl::StrCat(layer.choice().weight_bits()),
                  absl::StrCat(layer.channels()),
                  it == originals.end() ? "" : absl::StrCat(it->second),
                  FormatPercent(layer.choice().keep_ratio())});
  }
  return Section(absl::StrCat("The chosen configuration: trial ",
                              input.choice.trial.number()),
                 absl::StrCat(input.choice.why, ". ",
                              input.choice.trial.proposal().explanation()),
                 table.Render());
}

std::string UsText(const std::optional<double>& us) {
  return us ? absl::StrFormat("%.1f us", *us) : "";
}

std::string LossesText(const v1::Sensitivity& sensitivity) {
  if (sensitivity.samples() == 0) {
    return "Losses of single layers were not measured; --sensitivity-samples "
           "measures them once a job.";
  }
  std::string text =
      absl::StrCat("Losses are those of ", sensitivity.samples(),
                   " search samples when the layer alone is changed.");
  if (sensitivity.choices_not_reached() > 0) {
    absl::StrAppend(
        &text, " The time for them was over before ",
        sensitivity.choices_not_reached(), " of ",
        sensitivity.choices_not_reached() + sensitivity.entries_size(),
        " choices; --sensitivity-samples measures all.");
  }
  return text;
}

// What trial 0 measured of each layer alone, and what that says of the choice.
std::string ReasonsSection(const ReportInput& input) {
  const v1::BaselineReport& baseline = input.job.baseline();
  const v1::CompressionPlan& chosen = input.choice.trial.proposal().plan();
  // The original's plan is empty.
  const v1::CompressionPlan plan =
      chosen.layers().empty() ? BaselinePlan(baseline.space()) : chosen;
  if (baseline.space().layers().empty() ||
      plan.layers_size() != baseline.space().layers_size()) {
    return "";
  }
  HtmlTable table({"<layer", "in f32", "as chosen", "points lost alone",
                   "divergence alone", "<why"});
  for (const LayerReason& reason : ExplainLayers(baseline, plan)) {
    table.AddRow(
        {reason.name, UsText(reason.f32_us), UsText(reason.chosen_us),
         reason.lost_ratio ? absl::StrFormat("%+.2f", 100 * *reason.lost_ratio)
                           : "",
         reason.divergence ? absl::StrFormat("%.3g", *reason.divergence) : "",
         reason.why});
  }
  return Section(
      "Why each layer is as it is",
      absl::StrCat(
          "Times are of single layers with all their channels, measured with "
          "the original. ",
          LossesText(baseline.sensitivity())),
      table.Render());
}

std::string ProposersSection(const ReportInput& input) {
  HtmlTable table({"<proposer", "trials", "on the frontier",
                   "share of the hypervolume gained", "mean reward"});
  for (const auto& [source, share] :
       ProposerShares(input.trials, input.frontier)) {
    table.AddRow({source, absl::StrCat(share.trials),
                  absl::StrCat(share.on_frontier),
                  FormatPercent(share.gain_ratio),
                  absl::StrFormat("%.4g", share.mean_reward)});
  }
  const std::string note = absl::StrFormat(
      "The agent thought %.1f %% of the time that the evaluations took.",
      100 * ThinkingRatio(input.trials));
  return Section("Who proposed what", note,
                 absl::StrCat("<div class=\"charts\">",
                              Canvas("chart-proposers", /*is_wide=*/false),
                              Canvas("chart-components", /*is_wide=*/false),
                              "</div>\n", table.Render()));
}

std::string MachineSection(const ReportInput& input) {
  const v1::Measurement& m = Baseline(input);
  HtmlTable table({"<", "<"});
  table.AddRow({"CPU", m.profile().cpu()});
  table.AddRow({"instruction sets", m.profile().isa()});
  table.AddRow({"threads", absl::StrCat(m.profile().threads())});
  table.AddRow({"oneDNN", m.profile().onednn()});
  table.AddRow({"original's latency",
                absl::StrCat(FormatLatency(m.latency_us()), " (p05 ",
                             FormatLatency(m.latency_us_p05()), ", p95 ",
                             FormatLatency(m.latency_us_p95()), ")")});
  table.AddRow({"original's accuracy",
                absl::StrCat(FormatPercent(m.accuracy()), " of ", m.samples(),
                             " samples; report split ", ReportText(m), " of ",
                             m.report_samples())});
  table.AddRow({"metric", m.metric()});
  table.AddRow({"model", input.job.spec().model_digest()});
  table.AddRow({"data", input.job.spec().dataset().digest()});
  table.AddRow({"evaluator", m.evaluator_version()});
  return Section("Machine and original",
                 "Latencies hold for this machine; others will differ.",
                 table.Render());
}

std::string ComponentsText(const v1::Reward& reward) {
  // A proto's map has no order.
  const std::map<std::string, double> components(reward.components().begin(),
                                                 reward.components().end());
  std::string text;
  for (const auto& [name, value] : components) {
    absl::StrAppendFormat(&text, "%s%s %.4g", text.empty() ? "" : ", ", name,
                          value);
  }
  return text;
}

// How every measured trial came about and what came of it.
std::string TrialsSection(const ReportInput& input) {
  HtmlTable table({"trial", "accuracy", "ratio", "reward", "<made of",
                   "hypervolume gained", "thinking", "<proposer", "<why"});
  const std::map<int64_t, double> gains =
      GainByTrial(input.trials, Baseline(input));
  for (const v1::Trial& trial : input.trials) {
    const auto gain = gains.find(trial.number());
    if (gain == gains.end()) continue;
    const v1::Measurement& m = trial.measurement();
    table.AddRow({absl::StrCat(trial.number()), FormatPercent(m.accuracy()),
                  FormatRatio(m.latency_ratio()),
                  absl::StrFormat("%.4g", trial.reward().value()),
                  ComponentsText(trial.reward()),
                  absl::StrFormat("%.4f", gain->second),
                  FormatLatency(1e6 * trial.proposal().thinking_seconds()),
                  trial.proposal().source(), trial.proposal().explanation()});
  }
  return Section("Trials", "",
                 absl::StrCat("<details><summary>every measured trial"
                              "</summary>\n",
                              table.Render(), "</details>\n"));
}

std::string UnmeasuredSection(const ReportInput& input) {
  HtmlTable table({"trial", "<state", "<proposer", "<why"});
  int rows = 0;
  for (const v1::Trial& trial : input.trials) {
    if (!IsFinal(trial.state()) || trial.state() == v1::TRIAL_MEASURED)
      continue;
    table.AddRow({absl::StrCat(trial.number()),
                  std::string(TrialStateName(trial.state())),
                  trial.proposal().source(), trial.state_reason()});
    ++rows;
  }
  return rows == 0
             ? ""
             : Section("Trials without a measurement", "", table.Render());
}

}  // namespace

absl::StatusOr<ReportInput> FetchReportInput(const SearchClient& client,
                                             const std::string& job_name) {
  ReportInput input;
  LATHE_ASSIGN_OR_RETURN(input.job, client.GetJob(job_name));
  LATHE_ASSIGN_OR_RETURN(input.frontier, client.GetFrontier(job_name));
  LATHE_ASSIGN_OR_RETURN(input.trials, client.ListTrials(job_name));
  LATHE_ASSIGN_OR_RETURN(
      input.choice, ChooseConfiguration(client, input.job, input.frontier));
  return input;
}

std::string RenderReport(const ReportInput& input,
                         absl::string_view chart_library) {
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
      EscapeHtml(Title(input.job)), "</title>\n<style>", kReportStyle,
      "</style></head>\n<body>\n", Header(input), Figures(input), Charts(input),
      FrontierSection(input), LayersSection(input), ReasonsSection(input),
      ProposersSection(input), MachineSection(input), TrialsSection(input),
      UnmeasuredSection(input),
      "<script type=\"application/json\" id=\"report-data\">",
      JsonForScript(ReportData(input)), "</script>\n<script>", chart_library,
      "</script>\n<script>", kReportScript, "</script>\n</body></html>\n");
}

}  // namespace lathe
