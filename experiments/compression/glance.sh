#!/usr/bin/env bash
# Each sample network at 8 and 4-bit weights, with and without repairs:
# glance.sh DATA_DIR > tables.md
#
# DATA_DIR, LATHE_BIN and SAMPLES as in quantize.sh.
set -euo pipefail
data=${1:?usage: glance.sh DATA_DIR}
samples=${SAMPLES:-1000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"

machine
for network in resnet20 resnet8_wide resnet8 dscnn; do
  declare -n arguments=$network
  title "$network"
  "$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits 8,4 \
    --repairs none,all | as_table 3,8-12
done
title "cct: a transformer"
"$bin/lathe-quantize-study" "${cct[@]}" --weight-bits 8,4,f32:4 \
  --repairs none,all,refit+rounding+bias+smooth --activations static,asymmetric |
  as_table 3,8-12,17
title "lstm: pruned hidden units"
"$bin/lathe-quantize-study" "${lstm[@]}" --weight-bits f32 \
  --keep 1,0.8,0.6,0.4 | as_table 4,8,10-15
