#include "evaluator/sensitivity.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "evaluator/accuracy.h"
#include "evaluator/suffix_runner.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// `count` of the indices below `all`, evenly spread.
std::vector<int64_t> Spread(int64_t all, int64_t count) {
  count = std::min(count, all);
  std::vector<int64_t> spread;
  for (int64_t i = 0; i < count; ++i) spread.push_back(i * all / count);
  return spread;
}

// One changed choice.
struct SingleChoice {
  int layer = 0;
  v1::LayerChoice choice;
  v1::CompressionPlan plan;
  // Those of a lower turn are measured first.
  int turn = 0;
};

// When each of `count` choices of a list has its turn: the middle one first,
// then those in the middle of what it leaves.
std::vector<int> Turns(int count) {
  std::vector<int> turns(count);
  std::vector<std::pair<int, int>> spans = {{0, count}};
  int turn = 0;
  for (size_t next = 0; next < spans.size(); ++next) {
    const auto [first, end] = spans[next];
    if (first == end) continue;
    const int middle = (first + end) / 2;
    turns[middle] = turn++;
    spans.emplace_back(first, middle);
    spans.emplace_back(middle + 1, end);
  }
  return turns;
}

std::vector<SingleChoice> SingleChoices(const v1::SearchSpace& space) {
  const v1::CompressionPlan baseline = BaselinePlan(space);
  std::vector<SingleChoice> choices;
  std::set<int> groups;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    const std::vector<int> turns = Turns(layer.precisions_size() - 1);
    for (int p = 1; p < layer.precisions_size(); ++p) {
      SingleChoice single{i, baseline.layers(i), baseline, turns[p - 1]};
      single.choice.set_precision(layer.precisions(p).precision());
      single.choice.set_weight_bits(layer.precisions(p).weight_bits());
      *single.plan.mutable_layers(i) = single.choice;
      choices.push_back(std::move(single));
    }
    if (!groups.insert(layer.group()).second) continue;
    const std::vector<int> keep_turns = Turns(layer.keep_ratios_size() - 1);
    for (int r = 1; r < layer.keep_ratios_size(); ++r) {
      SingleChoice single{i, baseline.layers(i), baseline, keep_turns[r - 1]};
      single.choice.set_keep_ratio(layer.keep_ratios(r));
      for (int k = 0; k < space.layers_size(); ++k) {
        if (space.layers(k).group() != layer.group()) continue;
        single.plan.mutable_layers(k)->set_keep_ratio(layer.keep_ratios(r));
      }
      choices.push_back(std::move(single));
    }
  }
  return choices;
}

// Indices of `choices` in the order in which they are measured.
std::vector<int> MeasuringOrder(const std::vector<SingleChoice>& choices) {
  std::vector<int> order(choices.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&choices](int a, int b) {
    return choices[a].turn < choices[b].turn;
  });
  return order;
}

}  // namespace

absl::StatusOr<v1::Sensitivity> MeasureSensitivity(
    const Graph& graph, const v1::SearchSpace& space, const JobData& data,
    const ActivationStats& stats, ActivationSource& source,
    const SensitivityOptions& options) {
  const DataPart& search = data.search;
  const std::vector<int64_t> picked =
      Spread(static_cast<int64_t>(search.samples.size()), options.samples);
  std::vector<int64_t> samples;
  for (const int64_t i : picked) samples.push_back(search.samples[i]);
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<SuffixRunner> runner,
      SuffixRunner::Create(graph, search.inputs, samples, options.most_bytes));
  LATHE_ASSIGN_OR_RETURN(const Answers reference,
                         Answer(graph, search.inputs, runner->samples()));
  std::vector<int64_t> labels;
  for (size_t i = 0; i < runner->samples().size(); ++i) {
    if (!search.labels.empty()) labels.push_back(search.labels[picked[i]]);
  }
  v1::Sensitivity sensitivity;
  sensitivity.set_samples(static_cast<int64_t>(runner->samples().size()));
  sensitivity.set_baseline_correct(Score(reference, reference, labels).correct);
  PruneCache cache;
  CompressOptions compress = options.compress;
  compress.prune_cache = &cache;
  // What changes every layer, whatever the plan, would hide the single one.
  compress.weights.sparsity = Sparsity();
  compress.weights.clusters = 0;
  compress.low_rank = 0;
  const std::vector<SingleChoice> choices = SingleChoices(space);
  std::vector<std::optional<v1::Sensitivity::Entry>> entries(choices.size());
  int64_t left = static_cast<int64_t>(choices.size());
  for (const int index : MeasuringOrder(choices)) {
    if (options.is_time_over && options.is_time_over()) break;
    --left;
    const SingleChoice& single = choices[index];
    const absl::StatusOr<Graph> changed =
        options.carry_out
            ? options.carry_out(single.plan)
            : Compress(graph, space, single.plan, stats, source, compress);
    if (!changed.ok()) continue;
    const absl::StatusOr<Answers> answers = runner->AnswerOf(*changed);
    if (!answers.ok()) continue;
    const Accuracy accuracy = Score(*answers, reference, labels);
    v1::Sensitivity::Entry& entry = entries[index].emplace();
    entry.set_layer(single.layer);
    *entry.mutable_choice() = single.choice;
    entry.set_correct(accuracy.correct);
    entry.set_kl_divergence(accuracy.kl_divergence);
  }
  for (std::optional<v1::Sensitivity::Entry>& entry : entries) {
    if (entry) *sensitivity.add_entries() = *std::move(entry);
  }
  sensitivity.set_choices_not_reached(left);
  return sensitivity;
}

}  // namespace lathe
