#include "server/outcome_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "server/testing/simulated_network.h"

namespace lathe {
namespace {

v1::Outcome Baseline() { return testing::SimulatedOutcome(v1::Lease()); }

using Spoil = std::function<void(v1::Outcome&)>;

v1::Measurement& M(v1::Outcome& outcome) {
  return *outcome.mutable_measurement();
}
v1::SearchSpace& Space(v1::Outcome& outcome) {
  return *outcome.mutable_baseline()->mutable_space();
}
v1::LatencyTable& Table(v1::Outcome& outcome) {
  return *outcome.mutable_baseline()->mutable_latency_table();
}

TEST(OutcomeCheck, TakesWhatAWorkerMeasures) {
  EXPECT_TRUE(CheckOutcome(Baseline(), /*is_baseline=*/true).ok());
  v1::Outcome later = Baseline();
  later.clear_baseline();
  EXPECT_TRUE(CheckOutcome(later, /*is_baseline=*/false).ok());
  v1::Outcome failed;
  failed.set_kind(v1::CRASH);
  EXPECT_TRUE(CheckOutcome(failed, /*is_baseline=*/true).ok());
}

TEST(OutcomeCheck, RefusesWhatCannotBeTrue) {
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<Spoil> spoils = {
      [](auto& o) { o.clear_kind(); },
      // Trial 0 is measured whole.
      [](auto& o) {
        M(o).mutable_early_stop()->set_samples(64);
        M(o).mutable_early_stop()->set_confidence(1);
      },
      [](auto& o) { o.set_kind(static_cast<v1::OutcomeKind>(99)); },
      [](auto& o) { o.clear_measurement(); },
      // Nobody could list such a trial or job any more.
      [](auto& o) { M(o).set_metric(std::string(4 << 20, 'x')); },
      [](auto& o) {
        Space(o).mutable_layers(0)->set_name(std::string(17 << 20, 'x'));
      },
      [](auto& o) { o.clear_baseline(); },
      [](auto& o) { o.set_reason(std::string(65537, 'x')); },
      [&](auto& o) { M(o).set_accuracy(nan); },
      [](auto& o) { M(o).set_accuracy(1.0001); },
      [](auto& o) { M(o).set_accuracy(-0.1); },
      [&](auto& o) { M(o).set_report_accuracy(infinity); },
      [&](auto& o) { M(o).set_kl_divergence(infinity); },
      [](auto& o) { M(o).set_kl_divergence(-1); },
      [](auto& o) { M(o).set_latency_us(0); },
      [&](auto& o) { M(o).set_latency_us(infinity); },
      [&](auto& o) { M(o).set_latency_ratio(nan); },
      [](auto& o) { M(o).set_latency_ratio(0); },
      [](auto& o) { M(o).set_latency_us_p05(-1); },
      [](auto& o) { M(o).set_size_bytes(0); },
      [](auto& o) { M(o).set_packed_bytes(-1); },
      [](auto& o) { M(o).set_macs(-1); },
      [](auto& o) { M(o).set_correct(M(o).samples() + 1); },
      [](auto& o) { M(o).set_correct(-1); },
      [](auto& o) { M(o).set_report_correct(M(o).report_samples() + 1); },
      [](auto& o) { M(o).set_accuracy(M(o).accuracy() - 0.01); },
      [](auto& o) { M(o).set_correct(M(o).correct() - 1); },
      [](auto& o) { M(o).set_report_accuracy(1); },
      [](auto& o) { M(o).set_confirmation_samples(8); },
      [](auto& o) { M(o).set_confirmation_bits("1234"); },
      [](auto& o) { Space(o).mutable_layers(0)->clear_precisions(); },
      [](auto& o) {
        Space(o).mutable_layers(0)->mutable_precisions(0)->set_precision(
            v1::INT8);
      },
      [](auto& o) { Space(o).mutable_layers(1)->clear_keep_ratios(); },
      [](auto& o) { Space(o).mutable_layers(1)->set_keep_ratios(0, 0.5); },
      [&](auto& o) { Space(o).mutable_layers(1)->set_keep_ratios(1, nan); },
      [](auto& o) { Space(o).mutable_layers(1)->set_keep_ratios(1, 0); },
      [](auto& o) { Space(o).mutable_layers(2)->set_group(-1); },
      [](auto& o) { Space(o).mutable_layers(2)->set_out_channels(0); },
      [](auto& o) { Table(o).mutable_entries(0)->set_layer(3); },
      [](auto& o) { Table(o).mutable_entries(0)->set_layer(-1); },
      [&](auto& o) { Table(o).mutable_entries(0)->set_latency_us(nan); },
      [](auto& o) { Table(o).set_other_us(-1); },
      [](auto& o) {
        o.mutable_baseline()->mutable_sensitivity()->set_baseline_correct(1);
      },
      [](auto& o) {
        o.mutable_baseline()->mutable_sensitivity()->set_choices_not_reached(
            -1);
      },
      [](auto& o) {
        o.mutable_baseline()->mutable_sensitivity()->add_entries()->set_layer(
            99);
      },
      [&](auto& o) {
        o.mutable_baseline()
            ->mutable_sensitivity()
            ->add_entries()
            ->set_kl_divergence(nan);
      },
      [](auto& o) {
        o.mutable_baseline()->set_activation_stats_digest("../x");
      }};
  for (size_t i = 0; i < spoils.size(); ++i) {
    v1::Outcome outcome = Baseline();
    spoils[i](outcome);
    EXPECT_EQ(CheckOutcome(outcome, /*is_baseline=*/true).code(),
              absl::StatusCode::kInvalidArgument)
        << "case " << i;
  }
}

TEST(OutcomeCheck, TakesAFirstLookThatCanBe) {
  v1::Outcome looked = Baseline();
  looked.clear_baseline();
  v1::EarlyStop& stop = *M(looked).mutable_early_stop();
  stop.set_samples(64);
  stop.set_confidence(0.95);
  stop.set_loss_difference(0.1);
  // The whole split's is estimated.
  M(looked).set_accuracy(M(looked).accuracy() / 2);
  EXPECT_TRUE(CheckOutcome(looked, /*is_baseline=*/false).ok());
  stop.set_confidence(0);
  EXPECT_TRUE(CheckOutcome(looked, /*is_baseline=*/false).ok());
  stop.set_beaten_by(3);
  EXPECT_FALSE(CheckOutcome(looked, /*is_baseline=*/false).ok());
  stop.set_confidence(0.95);
  stop.set_confidence(1.1);
  EXPECT_FALSE(CheckOutcome(looked, /*is_baseline=*/false).ok());
  stop.set_confidence(0.95);
  stop.set_samples(0);
  EXPECT_FALSE(CheckOutcome(looked, /*is_baseline=*/false).ok());
  stop.set_samples(64);
  stop.set_loss_difference(-2);
  EXPECT_FALSE(CheckOutcome(looked, /*is_baseline=*/false).ok());
}

}  // namespace
}  // namespace lathe
