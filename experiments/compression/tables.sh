# What the scripts of tables share; sourced. Needs `data` (the folder with the
# sample networks and data) and `samples` (scored for each cell).
# shellcheck shell=bash disable=SC2034,SC2054,SC2154

bin=${LATHE_BIN:-build/bin}

cifar=(--data "$data/cifar10/test_x.npy,$data/cifar10/test_y.npy"
  --calibration "$data/cifar10/train_x.npy,$data/cifar10/train_y.npy"
  --search "$samples" --report 100)
resnet20=("$data/cifar10/resnet20.onnx" "${cifar[@]}"
  --scale 0.00392156862745098
  --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225)
resnet8_wide=("$data/cifar10/resnet8_wide.onnx" "${cifar[@]}")
resnet8=("$data/cifar10/resnet8.onnx" "${cifar[@]}")
cct=("$data/cifar10/cct4_3x1.onnx" "${cifar[@]}"
  --scale 0.00392156862745098
  --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616)
dscnn=("$data/kws/dscnn_tiny.onnx"
  --data "$data/kws/mfcc_f32_tiny_test_x.npy,$data/kws/tiny_test_y.npy"
  --calibration "$data/kws/mfcc_f32_tiny_calib_x.npy,$data/kws/tiny_calib_y.npy"
  --search 498 --confirmation 1 --report 1)
mnist_cnn=("$data/mnist/mnist_cnn.onnx"
  --data "$data/mnist/t10k-images-idx3-ubyte.gz"
  --calibration "$data/mnist/train-images-idx3-ubyte.gz"
  --search "$samples" --report 100)
squeezenet=("$data/imagenet/squeezenet1_1.onnx"
  --data "$data/imagenet/test_x.npy,$data/imagenet/test_y.npy"
  --calibration "$data/imagenet/calib_x.npy,$data/imagenet/calib_y.npy"
  --mean 104,117,123 --channel-order bgr
  --search 158 --confirmation 1 --report 1)
lstm=("$data/kws/lstm_arm_s.onnx"
  --data "$data/kws/mfcc49_arm_test_x.npy,$data/kws/arm_test_y.npy"
  --calibration "$data/kws/mfcc49_arm_calib_x.npy,$data/kws/arm_calib_y.npy"
  --search 400 --report 100)

# as_table COLUMNS: one Markdown table of these columns of the tab-separated
# lines on standard input.
as_table() {
  cut -f "$1" | awk -F'\t' '{ line = "|"; rule = "|"
      for (i = 1; i <= NF; ++i) { line = line " " $i " |"; rule = rule "---|" }
      print line; if (NR == 1) print rule }'
}

title() { printf '\n## %s\n\n' "$1"; }

machine() {
  echo "CPU: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)."
}
