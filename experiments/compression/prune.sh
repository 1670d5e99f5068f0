#!/usr/bin/env bash
# The tables of pruning: prune.sh DATA_DIR [NETWORK...] > tables.md
#
# DATA_DIR, LATHE_BIN and SAMPLES as in quantize.sh. CRITERIA: those to compare
# ("gamma" is for networks that came with batch normalisations).
set -euo pipefail
data=${1:?usage: prune.sh DATA_DIR [NETWORK...]}
samples=${SAMPLES:-1000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"
shift

machine
for network in "${@:-resnet20}"; do
  declare -n arguments=$network
  title "$network: criterion, share of the channels, rebuild"
  "$bin/lathe-prune-study" "${arguments[@]}" \
    --criteria "${CRITERIA:-l1,l2,fpgm,gamma,activation,redundancy,taylor}" \
    --rebuilds none,ridge --pruned 0.1,0.3,0.5,0.7 | as_table 2-8
  title "$network: prune then quantise, against quantise alone"
  "$bin/lathe-quantize-study" "${arguments[@]}" --keep 1,0.75,0.5 \
    --weight-bits f32,8,4,3 | as_table 4,8,10-15
done
