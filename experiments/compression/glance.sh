#!/usr/bin/env bash
# Each sample network at 8 and 4-bit weights, with and without repairs:
# glance.sh DATA_DIR [cnn|cct|lstm...] > tables.md
#
# DATA_DIR, LATHE_BIN and SAMPLES as in quantize.sh.
set -euo pipefail
data=${1:?usage: glance.sh DATA_DIR [PART...]}
samples=${SAMPLES:-1000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"

shift
parts=" ${*:-cnn cct lstm} "
wants() { [[ $parts == *" $1 "* ]]; }

machine
if wants cnn; then
  for network in resnet20 resnet8_wide resnet8 dscnn; do
    declare -n arguments=$network
    title "$network"
    "$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits 8,4 \
      --repairs none,all | as_table 3,8-12
  done
fi
if wants cct; then
  title "cct: a transformer"
  "$bin/lathe-quantize-study" "${cct[@]}" --weight-bits 8 \
    --repairs none,all,refit+rounding+bias+smooth \
    --activations static,skewed,asymmetric --weight-samples 64 | as_table 3,8-12,17
fi
if wants lstm; then
  title "lstm: pruned hidden units"
  "$bin/lathe-quantize-study" "${lstm[@]}" --weight-bits f32 \
    --keep 1,0.8,0.6,0.4 | as_table 4,8,10-15
fi
