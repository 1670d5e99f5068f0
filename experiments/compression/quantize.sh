#!/usr/bin/env bash
# The tables of quantisation: quantize.sh DATA_DIR [NETWORK...] > tables.md
#
# DATA_DIR holds the sample networks and data; bin/lathe-quantize-study is taken
# from LATHE_BIN (default: build/bin). SAMPLES test samples are scored for each
# cell (default 1000). PARTS: some of "ranges repairs few grids" (default: all).
set -euo pipefail
data=${1:?usage: quantize.sh DATA_DIR [NETWORK...]}
samples=${SAMPLES:-1000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"
shift
study=$bin/lathe-quantize-study
columns=1-3,8-12
parts=" ${PARTS:-ranges repairs few grids} "
wants() { [[ $parts == *" $1 "* ]]; }

repairs=none,analytic,bias,refit+bias,rounding,rounding+bias
repairs+=,refit+rounding+bias,half-refit+rounding+bias,equalize,all
machine
for network in "${@:-resnet20}"; do
  declare -n arguments=$network
  if wants ranges; then
    title "$network: ranges, and a scale by channel or by tensor"
    "$study" "${arguments[@]}" --repairs none --scopes channel,tensor \
      --ranges minmax,average,percentile,entropy,mse,loss | as_table $columns
  fi
  if wants repairs; then
    title "$network: repairs, 8-bit activations"
    "$study" "${arguments[@]}" --weight-bits 8,4,3,2 --repairs "$repairs" |
      as_table $columns
    title "$network: repairs, 4-bit activations (simulated)"
    "$study" "${arguments[@]}" --weight-bits 4 --activation-bits 4 \
      --repairs "$repairs" | as_table $columns
  fi
  if wants few; then
    title "$network: ranges of 4-bit activations (simulated), weights repaired"
    "$study" "${arguments[@]}" --weight-bits 4 --activation-bits 4 \
      --ranges minmax,percentile,entropy,mse,loss | as_table $columns
  fi
  if wants grids; then
    title "$network: weights with zero points"
    "$study" "${arguments[@]}" --weight-bits 4,3,2 --repairs none,all \
      --grids symmetric,asymmetric | as_table 3,8-12,18
  fi
done
