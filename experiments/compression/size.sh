#!/usr/bin/env bash
# The tables of size: size.sh DATA_DIR [NETWORK...] > tables.md
#
# packed_bytes are those of the file that `--format lathe` writes, entropy coded
# by the real encoder. DATA_DIR, LATHE_BIN and SAMPLES as in quantize.sh.
set -euo pipefail
data=${1:?usage: size.sh DATA_DIR [NETWORK...]}
samples=${SAMPLES:-1000}
# shellcheck source=experiments/compression/tables.sh
source "$(dirname "$0")/tables.sh"
shift
columns=4-8,10-15

machine
for network in "${@:-resnet20}"; do
  declare -n arguments=$network
  title "$network: zeros, then few values, then the entropy coder"
  "$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits f32 \
    --sparsity 0,0.5,0.7,2:4 --clusters 0,32,16,8 | as_table $columns
  title "$network: zeros and integers"
  "$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits 8,4,3,2 \
    --sparsity 0,0.5,0.7 | as_table $columns
  title "$network: weights alone, and low rank"
  "$bin/lathe-quantize-study" "${arguments[@]}" \
    --weight-bits f32:8,f32:4,f32:3,f32:2 | as_table $columns
  "$bin/lathe-quantize-study" "${arguments[@]}" --weight-bits f32 \
    --low-rank 0.99,0.95,0.9 | as_table $columns
done
