#!/usr/bin/python3
"""Writes ResNet-50, ResNet-56, MobileNet-V1 and -V2 with random weights.

    experiments/engine/make_networks.py FOLDER

Convolutions without bias and BatchNormalizations behind them, as training
frameworks export them; He's initialisation, so that activations keep their size.
The same bytes at every run. ResNet-56 is CIFAR-10's (He et al. 2015, section 4.2,
option B), the others are ImageNet's at 224 x 224.
"""
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
SEED = 20160117
# Of residual branches: 27 additions then make a value some three times larger,
# and not ten thousand times.
BRANCH_GAIN = 0.3


class Network:
    """Nodes so far; every method returns the name of what it added."""

    def __init__(self, name):
        self.name = name
        self.random = np.random.default_rng(SEED)
        self.nodes = []
        self.weights = []
        self.channels = {"input": 3}

    def weight(self, name, values):
        array = np.asarray(values, np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, channels, **attributes):
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.channels[name] = channels
        return name

    def conv(self, x, out, kernel=1, stride=1, group=1, gain=1.0):
        """Convolution and batch normalisation, whose scales are about `gain`."""
        fan_in = self.channels[x] // group * kernel * kernel
        shape = (out, self.channels[x] // group, kernel, kernel)
        name = f"conv{len(self.nodes)}"
        values = self.random.normal(0, np.sqrt(2 / fan_in), shape)
        pad = kernel // 2
        y = self.node("Conv", [x, self.weight(f"{name}.weight", values)], out,
                      kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[pad] * 4, group=group)
        return self.batch_norm(y, name, gain)

    def batch_norm(self, x, name, gain):
        count = self.channels[x]
        uniform = self.random.uniform
        parameters = {"scale": gain * uniform(.8, 1.2, count), "bias": uniform(-.1, .1, count),
                      "mean": uniform(-.1, .1, count), "var": uniform(.8, 1.2, count)}
        names = [self.weight(f"{name}.{key}", value) for key, value in parameters.items()]
        return self.node("BatchNormalization", [x, *names], count)

    def relu(self, x):
        return self.node("Relu", [x], self.channels[x])

    def relu6(self, x):
        bounds = [self.weight(f"{bound}{len(self.nodes)}", bound) for bound in (0, 6)]
        return self.node("Clip", [x, *bounds], self.channels[x])

    def add(self, x, y):
        return self.node("Add", [x, y], self.channels[x])

    def classifier(self, x, classes):
        count = self.channels[x]
        pooled = self.node("GlobalAveragePool", [x], count)
        flat = self.node("Flatten", [pooled], count)
        values = self.random.normal(0, np.sqrt(1 / count), (classes, count))
        return self.node("Gemm", [flat, self.weight("fc.weight", values),
                                  self.weight("fc.bias", np.zeros(classes))], classes,
                         transB=1)

    def write(self, folder, output, size):
        def info(name, shape):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(
            self.nodes, self.name, [info("input", ["N", 3, size, size])],
            [info(output, ["N", self.channels[output]])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  producer_name="make_networks")
        model.ir_version = 8
        onnx.checker.check_model(model)
        (folder / f"{self.name}.onnx").write_bytes(model.SerializeToString())


def bottleneck(net, x, width, stride):
    y = net.relu(net.conv(x, width))
    y = net.relu(net.conv(y, width, 3, stride))
    y = net.conv(y, 4 * width, gain=BRANCH_GAIN)
    if net.channels[x] != 4 * width:
        x = net.conv(x, 4 * width, 1, stride)
    return net.relu(net.add(y, x))


def resnet50(folder):
    net = Network("resnet50")
    x = net.relu(net.conv("input", 64, 7, 2))
    x = net.node("MaxPool", [x], 64, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, blocks in enumerate([3, 4, 6, 3]):
        for block in range(blocks):
            x = bottleneck(net, x, 64 << stage, 2 if stage and not block else 1)
    net.write(folder, net.classifier(x, 1000), 224)


def resnet56(folder):
    net = Network("resnet56")
    x = net.relu(net.conv("input", 16, 3))
    for stage in range(3):
        for block in range(9):
            width, stride = 16 << stage, 2 if stage and not block else 1
            y = net.relu(net.conv(x, width, 3, stride))
            y = net.conv(y, width, 3, gain=BRANCH_GAIN)
            if stride == 2:
                x = net.conv(x, width, 1, stride)
            x = net.relu(net.add(y, x))
    net.write(folder, net.classifier(x, 10), 32)


def mobilenet_v1(folder):
    net = Network("mobilenet_v1")
    x = net.relu(net.conv("input", 32, 3, 2))
    widths = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    for width, stride in zip(widths, strides):
        x = net.relu(net.conv(x, net.channels[x], 3, stride, group=net.channels[x]))
        x = net.relu(net.conv(x, width))
    net.write(folder, net.classifier(x, 1000), 224)


def inverted_residual(net, x, out, stride, expansion):
    hidden = expansion * net.channels[x]
    y = net.relu6(net.conv(x, hidden)) if expansion > 1 else x
    y = net.relu6(net.conv(y, hidden, 3, stride, group=hidden))
    y = net.conv(y, out, gain=BRANCH_GAIN)
    return net.add(x, y) if stride == 1 and net.channels[x] == out else y


def mobilenet_v2(folder):
    net = Network("mobilenet_v2")
    x = net.relu6(net.conv("input", 32, 3, 2))
    for expansion, out, count, stride in [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1)]:
        for block in range(count):
            x = inverted_residual(net, x, out, stride if block == 0 else 1, expansion)
    x = net.relu6(net.conv(x, 1280))
    net.write(folder, net.classifier(x, 1000), 224)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (resnet50, resnet56, mobilenet_v1, mobilenet_v2):
        make(folder)


if __name__ == "__main__":
    main()
