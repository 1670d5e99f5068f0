#include "client/compression_flags.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace lathe {
namespace {

// A flag whose text becomes a field of the settings.
void AddText(CLI::App& command, v1::CompressionSettings& settings,
             const char* flag,
             void (v1::CompressionSettings::*set)(const std::string&),
             const char* help) {
  command
      .add_option_function<std::string>(
          flag,
          [&settings, set](const std::string& text) { (settings.*set)(text); },
          help)
      ->group("Compression");
}

// A flag whose texts are added to a field of the settings.
void AddTexts(CLI::App& command, v1::CompressionSettings& settings,
              const char* flag,
              void (v1::CompressionSettings::*add)(const std::string&),
              const char* help) {
  command
      .add_option_function<std::vector<std::string>>(
          flag,
          [&settings, add](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) (settings.*add)(text);
          },
          help)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("PATTERN")
      ->group("Compression");
}

}  // namespace

void AddCompressionFlags(CLI::App& command, v1::CompressionSettings& settings) {
  using S = v1::CompressionSettings;
  AddText(command, settings, "--calibration-method",
          &S::set_calibration_method<const std::string&>,
          "of int8 ranges: mse (default), minmax, average, "
          "percentile[:SHARE], entropy, norm:EXPONENT, loss (LAPQ)");
  AddText(command, settings, "--repairs", &S::set_repairs<const std::string&>,
          "for coarse weights: all (default), none, or refit, half-refit, "
          "rounding, analytic, bias, equalize, smooth joined by +");
  AddText(command, settings, "--weight-scales",
          &S::set_weight_scales<const std::string&>,
          "channel (default) or tensor");
  AddText(command, settings, "--weight-grids",
          &S::set_weight_grids<const std::string&>,
          "of weights below 8 bits: narrow (asymmetric at 2 and 3 bits, "
          "default), symmetric or asymmetric");
  AddText(command, settings, "--activations",
          &S::set_activations<const std::string&>,
          "of int8 layers: skewed (asymmetric where a symmetric grid would "
          "leave a quarter unused; default), static (symmetric) or asymmetric");
  AddText(command, settings, "--dynamic", &S::set_dynamic<const std::string&>,
          "layers that may take int8 grids from each call's data: recurrent "
          "(LSTM, GRU; default), linear (and Gemm, MatMul), none");
  AddText(command, settings, "--prune-criterion",
          &S::set_prune_criterion<const std::string&>,
          "redundancy (default), l1, l2, fpgm, activation, taylor, gamma");
  AddText(command, settings, "--rebuild", &S::set_rebuild<const std::string&>,
          "after pruning: ridge (default), recentre, none");
  AddText(command, settings, "--sparsity", &S::set_sparsity<const std::string&>,
          "weights that become 0, smallest first: 0.5, or 2:4 (2 of every 4); "
          "not of LSTM and GRU");
  const char* group = "Compression";
  command
      .add_option_function<int32_t>(
          "--clusters",
          [&settings](int32_t count) { settings.set_clusters(count); },
          "values that the weights of a layer in f32 may take; not of LSTM "
          "and GRU")
      ->check(CLI::Range(0, 256))
      ->group(group);
  command
      .add_option_function<double>(
          "--low-rank",
          [&settings](double share) { settings.set_low_rank(share); },
          "linear layers in f32 become two that keep this share of the squared "
          "singular values")
      ->check(CLI::Range(0.0, 1.0))
      ->group(group);
  command
      .add_option_function<std::vector<int32_t>>(
          "--weight-only-bits",
          [&settings](const std::vector<int32_t>& widths) {
            for (const int32_t bits : widths) {
              settings.add_weight_only_bits(bits);
            }
          },
          "offer f32 layers with weights of these widths, as in 8,4")
      ->delimiter(',')
      ->group(group);
  AddTexts(command, settings, "--keep-f32", &S::add_keep_f32,
           "layers that stay in f32: names (* and ? stand for any text and any "
           "character) or kind:KIND, as in conv1,blocks.0.*,kind:linear");
  AddTexts(command, settings, "--keep-channels", &S::add_keep_channels,
           "layers that keep all their channels; named alike");
}

}  // namespace lathe
