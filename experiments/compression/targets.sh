#!/usr/bin/env bash
# Whether compression without training loses no more than it may:
# targets.sh DATA_DIR [NETWORK...] (default: all); exit 1 where something misses.
#
#   8-bit weights and activations: 0.2 points, or one answer where that is more,
#     on every convolutional network;
#   4-bit weights, 8-bit activations: 1.5 points on resnet20 and resnet8_wide;
#   half of ResNet-20's multiplications pruned: clearly above 78 % top-1, which
#     is the published figure before fine-tuning; 2 points count as clearly.
#
# DATA_DIR and LATHE_BIN as in quantize.sh; SAMPLES as there, default 5000, or as many
# as a network has: of 1,000 one standard error is more than may be lost. The
# defaults of every job (`--repairs all`) are what is checked.
set -euo pipefail
data=${1:?usage: targets.sh DATA_DIR [NETWORK...]}
samples=${SAMPLES:-5000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"
shift

missed=0
# verdict WHAT FOUND LEAST: one line of the table, all as shares of 1.
verdict() {
  local word=met
  if awk "BEGIN { exit !($2 < $3 - 1e-9) }"; then
    word=MISSED
    missed=1
  fi
  printf '| %s | %.2f | %.2f | %s |\n' "$1" "$(awk "BEGIN { print 100 * $2 }")" \
    "$(awk "BEGIN { print 100 * $3 }")" "$word"
}

machine
printf '\n| what | top-1 | least | |\n|---|---|---|---|\n'
for network in "${@:-resnet20 resnet8_wide resnet8 dscnn mnist_cnn squeezenet}"; do
  for name in $network; do
    declare -n arguments=$name
    bits=8
    [[ $name == resnet20 || $name == resnet8_wide ]] && bits=8,4
    lines=$("$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits "$bits")
    original=$(awk -F'\t' 'NR == 2 { print $10 }' <<<"$lines")
    while IFS=$'\t' read -r width top1 count; do
      may=0.002
      [[ $width == 4 ]] && may=0.015
      least=$(awk "BEGIN { one = 1 / $count; may = $may
                           print $original - (may > one ? may : one) }")
      verdict "$name, $width-bit weights, f32 $(awk "BEGIN { print 100 * $original }")" \
        "$top1" "$least"
    done < <(awk -F'\t' 'NR > 2 { print $8 "\t" $10 "\t" $11 }' <<<"$lines")
    if [[ $name == resnet20 ]]; then
      pruned=$("$bin/lathe-prune-study" "${arguments[@]}" --criteria redundancy \
        --rebuilds ridge --pruned 0.5 | awk -F'\t' 'NR == 2 { print $5 "\t" $6 }')
      verdict "resnet20, $(cut -f 1 <<<"$pruned") of the multiplications left" \
        "$(cut -f 2 <<<"$pruned")" 0.80
    fi
  done
done
exit $missed
