#!/usr/bin/env bash
# The tables of quantisation: quantize.sh DATA_DIR > tables.md
#
# DATA_DIR holds the sample networks and data; bin/lathe-quantize-study is taken
# from LATHE_BIN (default: build/bin). SAMPLES test samples are scored for each
# cell (default 1000).
set -euo pipefail
data=${1:?usage: quantize.sh DATA_DIR}
study=${LATHE_BIN:-build/bin}/lathe-quantize-study
samples=${SAMPLES:-1000}

cifar=(--data "$data/cifar10/test_x.npy,$data/cifar10/test_y.npy"
  --calibration "$data/cifar10/train_x.npy,$data/cifar10/train_y.npy"
  --search "$samples" --report 100)
resnet20=("$data/cifar10/resnet20.onnx" "${cifar[@]}"
  --scale 0.00392156862745098
  --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225)
resnet8_wide=("$data/cifar10/resnet8_wide.onnx" "${cifar[@]}")
resnet8=("$data/cifar10/resnet8.onnx" "${cifar[@]}")

# One Markdown table of the tab-separated lines on standard input.
as_table() {
  awk -F'\t' '{ line = "|"; rule = "|"
      for (i = 1; i <= NF; ++i) { line = line " " $i " |"; rule = rule "---|" }
      print line; if (NR == 1) print rule }'
}

repairs=none,analytic,bias,refit+bias,rounding,rounding+bias,equalize,all
echo "CPU: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)."
for network in resnet20 resnet8_wide resnet8; do
  declare -n arguments=$network
  echo; echo "## $network: ranges, and a scale by channel or by tensor"; echo
  "$study" "${arguments[@]}" --repairs none --scopes channel,tensor \
    --ranges minmax,average,percentile,entropy,mse | as_table
  echo; echo "## $network: repairs, 8-bit activations"; echo
  "$study" "${arguments[@]}" --weight-bits 8,4,3,2 --repairs "$repairs" |
    as_table
  echo; echo "## $network: repairs, 4-bit activations (simulated)"; echo
  "$study" "${arguments[@]}" --weight-bits 4 --activation-bits 4 \
    --repairs "$repairs" | as_table
done
