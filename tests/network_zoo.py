"""Networks with random weights in the forms that exporters write: the nodes of
torchvision, timm, Keras (tf2onnx) and PyTorch models, small enough to run in
milliseconds. `ZOO` maps a name to a function that makes an onnx.ModelProto."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Net:
    """A graph in the making. Values are names; weights come from the seed."""

    def __init__(self, opset, seed=1, ir_version=8):
        self.opset, self.ir_version = opset, ir_version
        self.random = np.random.RandomState(seed)
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.channels = {}
        self.count = 0
        self.initialisers_are_inputs = False

    def fresh(self, stem):
        self.count += 1
        return f"{stem}_{self.count}"

    def input(self, name, shape, kind=FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if len(shape) > 1:
            self.channels[name] = shape[1]
        return name

    def output(self, *values):
        for value in values:
            self.outputs.append(helper.make_tensor_value_info(value, FLOAT, None))

    def const(self, array, kind=np.float32):
        name = self.fresh("c")
        self.constants.append(numpy_helper.from_array(np.asarray(array, kind), name))
        return name

    def ints(self, *values):
        return self.const(values, np.int64)

    def weight(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.const(self.random.randn(*shape) * np.sqrt(1.5 / fan_in))

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(
            kind, list(inputs), names, name=self.fresh(f"/{kind}"), **attributes))
        if inputs and inputs[0] in self.channels:
            self.channels[names[0]] = self.channels[inputs[0]]
        return names[0] if outputs == 1 else names

    def conv(self, x, out, kernel=3, group=1, bias=True, dims=2, **attributes):
        kernel = [kernel] * dims if isinstance(kernel, int) else kernel
        pads = [k // 2 * d for k, d in zip(kernel, attributes.get("dilations", [1] * dims))]
        if "auto_pad" not in attributes:
            attributes.setdefault("pads", pads + pads)
        inputs = [x, self.weight(out, self.channels[x] // group, *kernel)]
        if bias:
            inputs.append(self.const(self.random.randn(out) * 0.1))
        y = self.op("Conv", *inputs, kernel_shape=kernel, group=group, **attributes)
        self.channels[y] = out
        return y

    def transposed(self, x, out, kernel=2, stride=2, **attributes):
        y = self.op("ConvTranspose", x, self.weight(self.channels[x], out, kernel, kernel),
                    strides=[stride] * 2, **attributes)
        self.channels[y] = out
        return y

    def norm(self, x):
        c = self.channels[x]
        vectors = [self.random.rand(c) + 0.5, self.random.randn(c) * 0.1,
                   self.random.randn(c) * 0.1, self.random.rand(c) + 0.5]
        return self.op("BatchNormalization", x, *map(self.const, vectors))

    def conv_norm(self, x, out, kernel=3, act="Relu", **attributes):
        y = self.norm(self.conv(x, out, kernel, bias=False, **attributes))
        return self.act(y, act)

    def act(self, x, kind):
        if kind is None:
            return x
        if kind == "silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if kind == "hard_swish":  # As PyTorch writes it before opset 14.
            gate = self.clip(self.op("Add", x, self.const(3.0)), 0.0, 6.0)
            return self.op("Div", self.op("Mul", x, gate), self.const(6.0))
        if kind == "gelu":  # With Erf.
            erf = self.op("Erf", self.op("Div", x, self.const(np.sqrt(2))))
            half = self.op("Mul", x, self.op("Add", erf, self.const(1.0)))
            return self.op("Mul", half, self.const(0.5))
        if kind == "gelu_tanh":
            cube = self.op("Mul", self.op("Pow", x, self.const(3.0)), self.const(0.044715))
            inner = self.op("Mul", self.op("Add", x, cube), self.const(np.sqrt(2 / np.pi)))
            one = self.op("Add", self.op("Tanh", inner), self.const(1.0))
            return self.op("Mul", self.op("Mul", self.const(0.5), x), one)
        if kind == "relu6":
            return self.clip(x, 0.0, 6.0)
        return self.op(kind, x)

    def clip(self, x, low, high):
        if self.opset < 11:
            return self.op("Clip", x, min=low, max=high)
        return self.op("Clip", x, self.const(low), self.const(high))

    def axes_op(self, kind, x, axes, since, **attributes):
        """Reductions, Squeeze and Unsqueeze: axes as attribute or as input."""
        if self.opset < since:
            return self.op(kind, x, axes=axes, **attributes)
        return self.op(kind, x, self.ints(*axes), **attributes)

    def mean(self, x, axes, keepdims=1):
        return self.axes_op("ReduceMean", x, axes, 18, keepdims=keepdims)

    def unsqueeze(self, x, *axes):
        return self.axes_op("Unsqueeze", x, list(axes), 13)

    def squeeze(self, x, *axes):
        return self.axes_op("Squeeze", x, list(axes), 13)

    def slice(self, x, start, end, axis, step=1):
        if self.opset < 10:
            return self.op("Slice", x, starts=[start], ends=[end], axes=[axis])
        return self.op("Slice", x, *map(self.ints, (start, end, axis, step)))

    def split(self, x, sizes, axis):
        if self.opset < 13:
            parts = self.op("Split", x, outputs=len(sizes), split=sizes, axis=axis)
        else:
            parts = self.op("Split", x, self.ints(*sizes), outputs=len(sizes), axis=axis)
        for part, size in zip(parts, sizes):
            self.channels[part] = size
        return parts

    def size(self, x, axis):
        """One dimension of a shape as [1], as exporters write it."""
        gathered = self.op("Gather", self.op("Shape", x), self.const(axis, np.int64), axis=0)
        return self.unsqueeze(gathered, 0)

    def reshape(self, x, *sizes):
        return self.op("Reshape", x, self.ints(*sizes))

    def concat(self, *xs, axis=1):
        y = self.op("Concat", *xs, axis=axis)
        self.channels[y] = sum(self.channels.get(x, 0) for x in xs)
        return y

    def linear(self, x, fan_in, out, bias=True):
        """MatMul and Add, as for tensors of more than two dimensions."""
        y = self.op("MatMul", x, self.const(
            self.random.randn(fan_in, out) / np.sqrt(fan_in)))
        return self.op("Add", y, self.const(self.random.randn(out) * 0.1)) if bias else y

    def gemm(self, x, fan_in, out):
        y = self.op("Gemm", x, self.weight(out, fan_in),
                    self.const(self.random.randn(out) * 0.1), transB=1)
        self.channels[y] = out
        return y

    def layer_norm(self, x, width):
        scale, shift = (self.const(self.random.rand(width) + 0.5),
                        self.const(self.random.randn(width) * 0.1))
        if self.opset >= 17:
            return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)
        centred = self.op("Sub", x, self.mean(x, [-1]))
        variance = self.mean(self.op("Pow", centred, self.const(2.0)), [-1])
        root = self.op("Sqrt", self.op("Add", variance, self.const(1e-5)))
        scaled = self.op("Mul", self.op("Div", centred, root), scale)
        return self.op("Add", scaled, shift)

    def pool(self, x, kind="MaxPool", kernel=2, stride=2, **attributes):
        return self.op(kind, x, kernel_shape=[kernel] * 2, strides=[stride] * 2, **attributes)

    def classifier(self, x, classes=10):
        y = self.op("Flatten", self.op("GlobalAveragePool", x))
        return self.gemm(y, self.channels[x], classes)

    def squeeze_excite(self, x, reduced, gate="HardSigmoid", act="Relu"):
        y = self.act(self.conv(self.op("GlobalAveragePool", x), reduced, 1), act)
        y = self.op(gate, self.conv(y, self.channels[x], 1))
        return self.op("Mul", x, y)

    def model(self):
        inputs = list(self.inputs)
        if self.initialisers_are_inputs:
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims)
                       for c in self.constants]
        graph = helper.make_graph(self.nodes, "zoo", inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                 ir_version=self.ir_version)


def image(opset, size=32, batch="N", channels=3, **options):
    net = Net(opset, **options)
    return net, net.input("input", [batch, channels, size, size])


# ------------------------------------------------------------ convolutional

def mobilenet_v3(opset=14):
    net, x = image(opset)
    x = net.conv_norm(x, 16, act="HardSwish" if opset >= 14 else "hard_swish", strides=[2, 2])
    for out, wide, kernel, stride, act in [(16, 16, 3, 2, "Relu"), (24, 72, 3, 1, "Relu"),
                                           (24, 88, 5, 1, "HardSwish"), (40, 96, 5, 2, "HardSwish")]:
        if act == "HardSwish" and opset < 14:
            act = "hard_swish"
        y = net.conv_norm(x, wide, 1, act=act)
        y = net.conv_norm(y, wide, kernel, act=act, group=wide, strides=[stride] * 2)
        y = net.squeeze_excite(y, 8)
        y = net.conv_norm(y, out, 1, act=None)
        x = net.op("Add", x, y) if net.channels[x] == out and stride == 1 else y
        net.channels[x] = out
    net.output(net.classifier(net.conv_norm(x, 64, 1, act="hard_swish")))
    return net.model()


def efficientnet(opset=13):
    net, x = image(opset)
    x = net.conv_norm(x, 16, act="silu", strides=[2, 2])
    for out, stride in [(16, 1), (24, 2), (24, 1)]:
        wide = net.channels[x] * 4
        y = net.conv_norm(x, wide, 1, act="silu")
        y = net.conv_norm(y, wide, 5, act="silu", group=wide, strides=[stride] * 2)
        pooled = net.mean(y, [2, 3])
        net.channels[pooled] = wide
        gate = net.act(net.conv(pooled, 6, 1), "silu")
        y = net.op("Mul", net.op("Sigmoid", net.conv(gate, wide, 1)), y)
        net.channels[y] = wide
        y = net.conv_norm(y, out, 1, act=None)
        x = net.op("Add", y, x) if net.channels[x] == out and stride == 1 else y
    net.output(net.op("Softmax", net.classifier(net.op("Dropout", x)), axis=1))
    return net.model()


def densenet(opset=9):
    net, x = image(opset)
    x = net.pool(net.conv_norm(x, 16, 7, strides=[2, 2]), kernel=3, pads=[1, 1, 1, 1])
    for _ in range(2):
        for _ in range(3):
            y = net.conv(net.op("Relu", net.norm(x)), 16, 1, bias=False)
            y = net.conv(net.op("Relu", net.norm(y)), 8, 3, bias=False)
            x = net.concat(x, y)
        x = net.conv(net.op("Relu", net.norm(x)), net.channels[x] // 2, 1, bias=False)
        x = net.pool(x, "AveragePool")
    net.output(net.classifier(net.op("Relu", net.norm(x))))
    return net.model()


def inception(opset=11):
    net, x = image(opset)
    x = net.conv_norm(x, 16, 3, pads=[0, 0, 0, 0])
    a = net.conv_norm(x, 8, 1)
    b = net.conv_norm(net.conv_norm(net.conv_norm(x, 8, 1), 8, [1, 7]), 12, [7, 1])
    c = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1],
               count_include_pad=1)
    x = net.concat(a, b, net.conv_norm(c, 8, 1))
    d = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    e = net.conv_norm(x, 12, 3, pads=[0, 0, 1, 1], strides=[2, 2])
    x = net.concat(d, e)
    y = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
               count_include_pad=0)
    net.output(net.classifier(y))
    return net.model()


def shufflenet(opset=12):
    net, x = image(opset)
    x = net.conv_norm(x, 24, strides=[2, 2])
    for _ in range(2):
        left, right = net.split(x, [12, 12], axis=1)
        y = net.conv_norm(right, 12, 1)
        y = net.conv_norm(y, 12, 3, act=None, group=12)
        x = net.concat(left, net.conv_norm(y, 12, 1))
        shape = net.concat(net.size(x, 0), net.ints(2, 12, 16, 16), axis=0)
        x = net.op("Transpose", net.op("Reshape", x, shape), perm=[0, 2, 1, 3, 4])
        x = net.reshape(x, -1, 24, 16, 16)
        net.channels[x] = 24
    x = net.conv_norm(x, 32, 1, group=4)
    net.output(net.gemm(net.mean(x, [2, 3], keepdims=0), 32, 10))
    return net.model()


def unet(opset=13):
    net, x = image(opset, size=24)
    a = net.conv_norm(x, 8)
    b = net.conv_norm(net.pool(a), 16)
    c = net.conv_norm(net.pool(b), 24)
    up = net.concat(net.transposed(c, 16), b)
    up = net.conv_norm(up, 16)
    sizes = net.concat(net.op("Slice", net.op("Shape", up), net.ints(0), net.ints(2)),
                       net.op("Slice", net.op("Shape", a), net.ints(2), net.ints(4)), axis=0)
    up = net.op("Resize", up, "", "", sizes, mode="linear",
                coordinate_transformation_mode="pytorch_half_pixel")
    net.channels[up] = 16
    y = net.conv_norm(net.concat(up, a), 8)
    net.output(net.op("Sigmoid", net.conv(y, 1, 1)))
    return net.model()


def unet_align_corners(opset=11):
    net, x = image(opset, size=24)
    a = net.conv_norm(x, 8, act="LeakyRelu")
    b = net.conv_norm(a, 16, strides=[2, 2], act="LeakyRelu")
    up = net.op("Resize", b, net.const([]), net.const([1, 1, 2, 2]), mode="linear",
                coordinate_transformation_mode="align_corners")
    net.channels[up] = 16
    y = net.concat(a, net.transposed(b, 8, kernel=4, pads=[1, 1, 1, 1]), up)
    y = net.transposed(y, 4, kernel=3, stride=2, pads=[1, 1, 1, 1], output_padding=[1, 1])
    net.output(net.op("Tanh", y))
    return net.model()


def convnext(opset=17):
    net, x = image(opset)
    x = net.conv(x, 24, 4, strides=[4, 4], pads=[0, 0, 0, 0])
    for _ in range(2):
        y = net.conv(x, 24, 7, group=24)
        y = net.op("Transpose", y, perm=[0, 2, 3, 1])
        y = net.linear(net.layer_norm(y, 24), 24, 96)
        y = net.op("Gelu", y) if opset >= 20 else net.act(y, "gelu")
        y = net.linear(y, 96, 24)
        y = net.op("Mul", y, net.const(net.random.rand(24)))
        x = net.op("Add", net.op("Transpose", y, perm=[0, 3, 1, 2]), x)
        net.channels[x] = 24
    y = net.mean(x, [-2, -1], keepdims=0)
    net.output(net.gemm(net.layer_norm(y, 24), 24, 10))
    return net.model()


def resnext(opset=10):
    net, x = image(opset)
    x = net.conv_norm(x, 32, 3, strides=[2, 2])
    for stride in [1, 2]:
        y = net.conv_norm(x, 32, 1)
        y = net.conv_norm(y, 32, 3, group=8, strides=[stride] * 2)
        y = net.conv_norm(y, 48, 1, act=None)
        pooled = net.op("Flatten", net.op("GlobalAveragePool", y))
        gate = net.op("Relu", net.gemm(pooled, 48, 6))
        gate = net.op("Sigmoid", net.gemm(gate, 6, 48))
        gate = net.reshape(gate, -1, 48, 1, 1)
        y = net.op("Mul", y, gate)
        shortcut = net.conv_norm(x, 48, 1, act=None, strides=[stride] * 2)
        x = net.op("Relu", net.op("Add", y, shortcut))
        net.channels[x] = 48
    net.output(net.classifier(x))
    return net.model()


def alexnet_lrn(opset=7):
    net, x = image(opset, batch=1, ir_version=3)
    net.initialisers_are_inputs = True
    x = net.act(net.conv(x, 16, 5, strides=[2, 2]), "Relu")
    x = net.op("LRN", x, size=5, alpha=1e-3, beta=0.75, bias=1.0)
    x = net.pool(x, kernel=3)
    x = net.act(net.conv(x, 32, 3, group=2), "Relu")
    x = net.op("Dropout", net.reshape(x, 1, 32 * 7 * 7), ratio=0.5)
    x = net.op("Relu", net.gemm(x, 32 * 7 * 7, 40))
    net.output(net.op("Softmax", net.gemm(x, 40, 10)))
    return net.model()


def keras_nhwc(opset=13):
    """As tf2onnx writes a Keras CNN: NHWC outside, SAME_UPPER, Min and Max."""
    net = Net(opset)
    x = net.input("input", ["unk__1", 30, 30, 3])
    x = net.op("Transpose", x, perm=[0, 3, 1, 2])
    net.channels[x] = 3
    x = net.op("Sub", net.op("Mul", x, net.const(1 / 127.5)), net.const(1.0))
    net.channels[x] = 3
    for out, stride in [(16, 2), (24, 1), (24, 2)]:
        x = net.conv(x, out, 3, bias=False, auto_pad="SAME_UPPER", strides=[stride] * 2)
        x = net.op("Add", x, net.const(net.random.randn(1, out, 1, 1) * 0.1))
        x = net.op("Min", net.op("Relu", x), net.const(6.0))
        depthwise = net.conv(x, out, 3, group=out, bias=False, auto_pad="SAME_LOWER")
        x = net.op("Clip", net.norm(depthwise), net.const(0.0), net.const(6.0))
        net.channels[x] = out
    x = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    x = net.op("Transpose", x, perm=[0, 2, 3, 1])
    x = net.reshape(net.mean(x, [1, 2]), -1, 24)
    x = net.linear(x, 24, 10)
    net.output(net.op("Softmax", x, axis=-1))
    return net.model()


def super_resolution(opset=12):
    net, x = image(opset, size=16)
    x = net.conv(x, 16, 5)
    first = x = net.op("PRelu", x, net.const(net.random.rand(16, 1, 1)))
    y = net.conv(net.op("PRelu", net.conv(x, 16), net.const(net.random.rand(16, 1, 1))), 16)
    x = net.op("Add", y, first)
    net.channels[x] = 16
    up = net.op("DepthToSpace", net.conv(x, 48), blocksize=2, mode="CRD")
    net.channels[up] = 12
    y = net.reshape(net.conv(up, 12), -1, 3, 2, 2, 32, 32)
    y = net.op("Transpose", y, perm=[0, 1, 4, 2, 5, 3])
    net.output(net.reshape(y, -1, 3, 64, 64))
    return net.model()


def style_transfer(opset=9):
    net, x = image(opset, size=20)
    if opset < 11:
        x = net.op("Pad", x, mode="reflect", pads=[0, 0, 2, 2, 0, 0, 2, 2])
    else:
        x = net.op("Pad", x, net.ints(0, 0, 2, 2, 0, 0, 2, 2), mode="reflect")
    net.channels[x] = 3
    x = net.conv(x, 12, 5, pads=[0, 0, 0, 0])
    x = net.op("InstanceNormalization", x, net.const(net.random.rand(12) + 0.5),
               net.const(net.random.randn(12)))
    x = net.conv(net.op("Relu", x), 12, 3, strides=[2, 2])
    x = net.op("Upsample", x, net.const([1, 1, 2, 2]), mode="nearest")
    net.channels[x] = 12
    net.output(net.op("Tanh", net.conv(x, 3, 9)))
    return net.model()


def yolo(opset=12):
    net, x = image(opset, size=32)
    x = net.conv_norm(x, 16, 6, act="silu", strides=[2, 2], pads=[2, 2, 2, 2])
    a, b = net.conv_norm(x, 8, 1, act="silu"), net.conv_norm(x, 8, 1, act="silu")
    y = net.op("Add", b, net.conv_norm(net.conv_norm(b, 8, 1, act="silu"), 8, act="silu"))
    net.channels[y] = 8
    fine = net.conv_norm(net.concat(y, a), 16, 1, act="silu")
    x = net.conv_norm(fine, 24, 3, act="silu", strides=[2, 2])
    pools = [net.conv_norm(x, 8, 1, act="silu")]
    for _ in range(3):
        pools.append(net.pool(pools[-1], kernel=5, stride=1, pads=[2, 2, 2, 2]))
    x = net.conv_norm(net.concat(*pools), 16, 1, act="silu")
    up = net.op("Resize", x, net.const([]), net.const([1, 1, 2, 2]), mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    net.channels[up] = 16
    heads = []
    for feature, cells, stride in [(net.concat(up, fine), 16, 2.0), (x, 8, 4.0)]:
        y = net.reshape(net.conv(feature, 3 * 7, 1), -1, 3, 7, cells, cells)
        y = net.op("Sigmoid", net.op("Transpose", y, perm=[0, 1, 3, 4, 2]))
        centre, size, rest = net.split(y, [2, 2, 3], axis=4)
        grid = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1)[None, None]
        centre = net.op("Mul", net.op("Add", net.op("Mul", centre, net.const(2.0)),
                                      net.const(grid - 0.5)), net.const(stride))
        size = net.op("Pow", net.op("Mul", size, net.const(2.0)), net.const(2.0))
        size = net.op("Mul", size, net.const(net.random.rand(1, 3, 1, 1, 2) * 8))
        y = net.op("Concat", centre, size, rest, axis=-1)
        heads.append(net.reshape(y, -1, 3 * cells * cells, 7))
    net.output(net.op("Concat", *heads, axis=1), *heads)
    return net.model()


def deeplab(opset=11):
    net, x = image(opset, size=32)
    x = net.conv_norm(net.conv_norm(x, 16, strides=[2, 2]), 24, strides=[2, 2])
    branches = [net.conv_norm(x, 8, 1)]
    for rate in [2, 3]:
        branches.append(net.conv_norm(x, 8, 3, dilations=[rate, rate]))
    pooled = net.conv_norm(net.op("GlobalAveragePool", x), 8, 1)
    sizes = net.concat(net.op("Slice", net.op("Shape", pooled), net.ints(0), net.ints(2)),
                       net.size(x, 2), net.size(x, 3), axis=0)
    up = net.op("Resize", pooled, net.const([]), net.const([]), sizes, mode="linear",
                coordinate_transformation_mode="half_pixel")
    net.channels[up] = 8
    y = net.conv_norm(net.concat(*branches, up), 16, 1)
    y = net.op("Resize", net.conv(y, 5, 1), net.const([]), net.const([1, 1, 4, 4]),
               mode="linear", coordinate_transformation_mode="half_pixel")
    net.output(y, net.op("ArgMax", y, axis=1, keepdims=0))
    net.outputs[1].type.tensor_type.elem_type = INT64
    return net.model()


def attention_gates(opset=13):
    """CBAM: pools over channels, a 7x7 convolution, a gate."""
    net, x = image(opset)
    x = net.conv_norm(x, 16, 3, strides=[2, 2])
    pools = [net.op("GlobalAveragePool", x), net.op("GlobalMaxPool", x)]
    hidden, back = net.weight(4, 16, 1, 1), net.weight(16, 4, 1, 1)
    gates = [net.op("Conv", net.op("Relu", net.op("Conv", p, hidden)), back) for p in pools]
    x = net.op("Mul", x, net.op("Sigmoid", net.op("Add", *gates)))
    net.channels[x] = 16
    both = net.op("Concat", net.mean(x, [1]),
                  net.axes_op("ReduceMax", x, [1], 18, keepdims=1), axis=1)
    net.channels[both] = 2
    x = net.op("Mul", net.op("Sigmoid", net.conv(both, 1, 7)), x)
    net.channels[x] = 16
    norm = net.axes_op("ReduceL2", net.op("Flatten", net.pool(x, "AveragePool", 4, 4)), [1], 18,
                       keepdims=1)
    net.output(net.classifier(x), norm)
    return net.model()


def preactivation_scaled(opset=13):
    """Arithmetic around convolutions that folds into them, on both sides."""
    net, x = image(opset)
    x = net.op("Div", net.op("Sub", x, net.const(net.random.rand(1, 3, 1, 1))),
               net.const(net.random.rand(1, 3, 1, 1) + 0.5))
    net.channels[x] = 3
    x = net.conv(x, 16, 3, bias=False, pads=[0, 0, 0, 0])
    x = net.op("Mul", x, net.const(net.random.rand(16, 1, 1) + 0.5))
    x = net.op("Add", net.const(net.random.randn(16, 1, 1)), x)
    net.channels[x] = 16
    y = net.op("Identity", net.act(x, "Relu"))
    y = net.conv(y, 16, 3)
    x = net.op("Sum", x, y, net.op("Mul", y, net.const(0.5)))
    net.channels[x] = 16
    for act in ["Elu", "Softplus", "Selu", "ThresholdedRelu", "HardSigmoid", "Softsign"]:
        x = net.op(act, net.conv(x, 16, 1))
    net.output(net.classifier(x))
    return net.model()


def feature_pyramid(opset=11):
    net, x = image(opset)
    a = net.conv_norm(x, 12, strides=[2, 2])
    b = net.conv_norm(a, 16, strides=[2, 2])
    c = net.conv_norm(b, 24, strides=[2, 2])
    top = net.conv(c, 8, 1)
    levels = [top]
    for lateral in [b, a]:
        up = net.op("Resize", levels[-1], net.const([]), net.const([1, 1, 2, 2]),
                    mode="nearest", coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor")
        y = net.op("Add", net.conv(lateral, 8, 1), up)
        net.channels[y] = 8
        levels.append(y)
    net.output(*[net.conv(level, 4) for level in levels])
    return net.model()


# ---------------------------------------------------------- other dimensions

def audio_cnn(opset=13):
    net = Net(opset)
    x = net.input("audio", ["N", 1, 400])
    for out, kernel, stride in [(8, 16, 4), (16, 3, 1)]:
        x = net.conv(x, out, kernel, dims=1, strides=[stride], bias=False)
        x = net.op("MaxPool", net.op("Relu", net.norm(x)), kernel_shape=[4], strides=[4])
        net.channels[x] = out
    x = net.mean(x, [2], keepdims=0)
    net.output(net.op("LogSoftmax", net.gemm(x, 16, 6), axis=1))
    return net.model()


def wavenet(opset=11):
    net = Net(opset)
    x = net.input("audio", ["N", 4, 64])
    x = net.conv(x, 12, 1, dims=1)
    skips = []
    for dilation in [1, 2, 4]:
        padded = net.op("Pad", x, net.ints(0, 0, dilation, 0, 0, 0))
        net.channels[padded] = 12
        pair = net.conv(padded, 24, 2, dims=1, dilations=[dilation], pads=[0, 0])
        left, right = net.split(pair, [12, 12], axis=1)
        gated = net.op("Mul", net.op("Tanh", left), net.op("Sigmoid", right))
        net.channels[gated] = 12
        skips.append(net.conv(gated, 8, 1, dims=1))
        x = net.op("Add", net.conv(gated, 12, 1, dims=1), x)
        net.channels[x] = 12
    y = net.op("Relu", net.op("Sum", *skips))
    net.channels[y] = 8
    net.output(net.conv(y, 5, 1, dims=1))
    return net.model()


def video_3d(opset=13):
    net = Net(opset)
    x = net.input("video", ["N", 3, 8, 16, 16])
    x = net.conv(x, 8, 3, dims=3, bias=False)
    x = net.op("MaxPool", net.op("Relu", net.norm(x)), kernel_shape=[1, 2, 2],
               strides=[1, 2, 2])
    net.channels[x] = 8
    x = net.op("Relu", net.conv(x, 16, 3, dims=3, strides=[2, 2, 2], group=2))
    x = net.op("AveragePool", x, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    x = net.op("ConvTranspose", x, net.weight(16, 6, 2, 2, 2), strides=[2, 2, 2])
    net.channels[x] = 6
    net.output(net.classifier(x, 5))
    return net.model()


def perceptron(opset=7):
    net = Net(opset, ir_version=3)
    x = net.input("features", ["N", 20])
    for out, act in [(32, "Relu"), (24, "LeakyRelu"), (16, "Elu")]:
        x = net.op(act, net.norm(net.gemm(x, net.channels[x], out)))
        net.channels[x] = out
    x = net.op("Add", net.op("MatMul", x, net.weight(16, 4)), net.const(np.ones(4)))
    net.output(net.op("Softmax", x, axis=1))
    return net.model()


def siamese(opset=13):
    """Two images of one batch, shared weights, a distance."""
    net = Net(opset)
    sides = []
    for name in ["left", "right"]:
        net.random = np.random.RandomState(5)
        x = net.input(name, ["N", 3, 16, 16])
        x = net.pool(net.conv_norm(x, 12))
        x = net.gemm(net.op("Flatten", x), 12 * 8 * 8, 16)
        length = net.axes_op("ReduceL2", x, [1], 18, keepdims=1)
        sides.append(net.op("Div", x, net.clip(length, 1e-12, 3e38)))
    cosine = net.axes_op("ReduceSum", net.op("Mul", *sides), [1], 13, keepdims=0)
    far = net.op("Abs", net.op("Sub", *sides))
    net.output(cosine, net.gemm(far, 16, 2))
    return net.model()


# ---------------------------------------------------------------- attention

def heads_of(net, x, width, heads, length):
    """[N, length, width] to [N, heads, length, width / heads]."""
    y = net.reshape(x, 0, 0, heads, width // heads) if length is None else net.reshape(
        x, -1, length, heads, width // heads)
    return net.op("Transpose", y, perm=[0, 2, 1, 3])


def attend(net, q, k, v, width, heads, mask=None):
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = net.op("Div", scores, net.const(np.sqrt(width // heads)))
    if mask is not None:
        scores = mask(scores)
    y = net.op("MatMul", net.op("Softmax", scores, axis=-1), v)
    y = net.op("Transpose", y, perm=[0, 2, 1, 3])
    return net.reshape(y, 0, 0, width)


def bert(opset=13, length=12, width=32, heads=4):
    net = Net(opset)
    ids = net.input("input_ids", ["batch", length], INT64)
    mask = net.input("attention_mask", ["batch", length], INT64)
    types = net.input("token_type_ids", ["batch", length], INT64)
    table = lambda n: net.const(net.random.randn(n, width) * 0.5)
    x = net.op("Add", net.op("Gather", table(30), ids), net.op("Gather", table(2), types))
    x = net.op("Add", x, net.op("Gather", table(length), net.const([list(range(length))],
                                                                   np.int64)))
    x = net.layer_norm(x, width)
    bias = net.op("Cast", net.unsqueeze(mask, 1, 2), to=FLOAT)
    bias = net.op("Mul", net.op("Sub", net.const(1.0), bias), net.const(-10000.0))
    for _ in range(2):
        q, k, v = (heads_of(net, net.linear(x, width, width), width, heads, None)
                   for _ in range(3))
        y = attend(net, q, k, v, width, heads, lambda s: net.op("Add", s, bias))
        x = net.layer_norm(net.op("Add", net.linear(y, width, width), x), width)
        y = net.linear(net.act(net.linear(x, width, 64), "gelu"), 64, width)
        x = net.layer_norm(net.op("Add", y, x), width)
    first = net.op("Gather", x, net.const(0, np.int64), axis=1)
    pooled = net.op("Tanh", net.gemm(first, width, width))
    net.output(net.gemm(pooled, width, 3), x)
    return net.model()


def gpt(opset=14, length=10, width=32, heads=4):
    net = Net(opset)
    ids = net.input("input_ids", ["batch", length], INT64)
    table = net.const(net.random.randn(25, width) * 0.5)
    x = net.op("Add", net.op("Gather", table, ids),
               net.const(net.random.randn(1, length, width) * 0.2))
    causal = np.tril(np.ones((1, 1, length, length), bool))
    for _ in range(2):
        packed = net.linear(net.layer_norm(x, width), width, 3 * width)
        q, k, v = (heads_of(net, part, width, heads, length)
                   for part in net.split(packed, [width] * 3, axis=2))
        y = attend(net, q, k, v, width, heads, lambda s: net.op(
            "Where", net.const(causal, bool), s, net.const(-3.4e38)))
        x = net.op("Add", x, net.linear(y, width, width))
        y = net.act(net.linear(net.layer_norm(x, width), width, 64), "gelu_tanh")
        x = net.op("Add", x, net.linear(y, 64, width))
    x = net.layer_norm(x, width)
    net.output(net.op("MatMul", x, net.op("Transpose", table, perm=[1, 0])))
    return net.model()


def llama(opset=17, length=8, width=32, heads=4):
    """Root-mean-square norms, rotary positions, gated linear units."""
    net = Net(opset)
    ids = net.input("input_ids", ["batch", length], INT64)
    half = width // heads // 2
    angles = np.outer(np.arange(length), 10000.0 ** (-np.arange(half) / half))
    angles = np.concatenate([angles, angles], -1)[None, None]
    cosines, sines = net.const(np.cos(angles)), net.const(np.sin(angles))

    def rms(x):
        square = net.mean(net.op("Pow", x, net.const(2.0)), [-1])
        root = net.op("Sqrt", net.op("Add", square, net.const(1e-6)))
        return net.op("Mul", net.const(net.random.rand(width) + 0.5),
                      net.op("Mul", x, net.op("Reciprocal", root)))

    def rotated(x):
        front, back = net.slice(x, 0, half, 3), net.slice(x, half, 2**31, 3)
        turned = net.op("Concat", net.op("Neg", back), front, axis=-1)
        return net.op("Add", net.op("Mul", x, cosines), net.op("Mul", turned, sines))

    x = net.op("Gather", net.const(net.random.randn(20, width)), ids)
    future = net.op("Trilu", net.op("ConstantOfShape", net.ints(length, length),
                                    value=helper.make_tensor("v", FLOAT, [1], [-np.inf])),
                    net.const(1, np.int64), upper=1)
    future = net.unsqueeze(future, 0, 1)
    for _ in range(2):
        y = rms(x)
        q, k, v = (heads_of(net, net.linear(y, width, width, bias=False), width, heads, length)
                   for _ in range(3))
        y = attend(net, rotated(q), rotated(k), v, width, heads,
                   lambda s: net.op("Add", s, future))
        x = net.op("Add", x, net.linear(y, width, width, bias=False))
        y = rms(x)
        gate = net.act(net.linear(y, width, 48, bias=False), "silu")
        y = net.op("Mul", gate, net.linear(y, width, 48, bias=False))
        x = net.op("Add", x, net.linear(y, 48, width, bias=False))
    net.output(net.linear(rms(x), width, 20, bias=False))
    return net.model()


def vision_transformer(opset=17, width=32, heads=4):
    net, x = image(opset)
    x = net.conv(x, width, 8, strides=[8, 8], pads=[0, 0, 0, 0])
    shape = net.concat(net.size(x, 0), net.ints(width, -1), axis=0)
    x = net.op("Transpose", net.op("Reshape", x, shape), perm=[0, 2, 1])
    token = net.op("Expand", net.const(net.random.randn(1, 1, width)),
                   net.concat(net.size(x, 0), net.ints(1, width), axis=0))
    x = net.op("Concat", token, x, axis=1)
    x = net.op("Add", x, net.const(net.random.randn(1, 17, width) * 0.2))
    for _ in range(2):
        packed = net.linear(net.layer_norm(x, width), width, 3 * width)
        packed = net.reshape(packed, -1, 17, 3, heads, width // heads)
        packed = net.op("Transpose", packed, perm=[2, 0, 3, 1, 4])
        q, k, v = (net.op("Gather", packed, net.const(i, np.int64), axis=0) for i in range(3))
        y = attend(net, q, k, v, width, heads)
        x = net.op("Add", x, net.linear(y, width, width))
        y = net.linear(net.layer_norm(x, width), width, 64)
        y = net.op("Gelu", y) if opset >= 20 else net.act(y, "gelu")
        x = net.op("Add", x, net.linear(y, 64, width))
    x = net.slice(net.layer_norm(x, width), 0, 1, 1)
    net.output(net.gemm(net.squeeze(x, 1), width, 10))
    return net.model()


def swin(opset=17, width=24, heads=3, window=4, side=8):
    net, x = image(opset)
    tokens = window * window
    x = net.conv(x, width, 4, strides=[4, 4], pads=[0, 0, 0, 0])
    x = net.op("Transpose", x, perm=[0, 2, 3, 1])
    for shift in [0, 2]:
        y = net.layer_norm(x, width)
        for axis in [1, 2] if shift else []:
            y = net.op("Concat", net.slice(y, shift, 2**31, axis), net.slice(y, 0, shift, axis),
                       axis=axis)
        y = net.reshape(y, -1, side // window, window, side // window, window, width)
        y = net.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5])
        y = net.linear(net.reshape(y, -1, tokens, width), width, 3 * width)
        y = net.reshape(y, -1, tokens, 3, heads, width // heads)
        q, k, v = net.op("Split", net.op("Transpose", y, perm=[2, 0, 3, 1, 4]),
                         net.ints(1, 1, 1), outputs=3, axis=0)
        q, k, v = (net.squeeze(part, 0) for part in (q, k, v))
        position = net.const(net.random.randn(1, heads, tokens, tokens) * 0.3)
        y = attend(net, q, k, v, width, heads, lambda s: net.op("Add", s, position))
        y = net.reshape(net.linear(y, width, width), -1, side // window, side // window,
                        window, window, width)
        y = net.reshape(net.op("Transpose", y, perm=[0, 1, 3, 2, 4, 5]), -1, side, side, width)
        for axis in [1, 2] if shift else []:
            y = net.op("Concat", net.slice(y, -shift, 2**31, axis),
                       net.slice(y, 0, -shift, axis), axis=axis)
        x = net.op("Add", x, y)
        y = net.linear(net.act(net.linear(net.layer_norm(x, width), width, 48), "gelu"), 48,
                       width)
        x = net.op("Add", x, y)
    net.output(net.gemm(net.mean(x, [1, 2], keepdims=0), width, 10))
    return net.model()


def attention_operator(opset=23, length=6, width=32, heads=4):
    net = Net(opset, ir_version=11)
    x = net.input("tokens", ["batch", length, width])
    y = net.op("RMSNormalization", x, net.const(net.random.rand(width) + 0.5), axis=-1)
    q, k, v = (net.linear(y, width, size) for size in (width, width // 2, width // 2))
    angles = np.outer(np.arange(length), 100.0 ** (-np.arange(4) / 4))
    caches = [net.const(np.cos(angles)), net.const(np.sin(angles))]
    where = net.op("Expand", net.ints(*range(length)),
                   net.concat(net.size(x, 0), net.ints(length), axis=0))
    q = net.op("RotaryEmbedding", q, *caches, where, num_heads=heads)
    k = net.op("RotaryEmbedding", k, *caches, where, num_heads=heads // 2)
    y = net.op("Attention", q, k, v, is_causal=1, q_num_heads=heads, kv_num_heads=heads // 2)
    x = net.op("Add", x, net.linear(y, width, width))
    net.output(net.linear(x, width, 5))
    return net.model()


# ---------------------------------------------------------------- recurrent

def recurrent(opset=11, hidden=12):
    """A bidirectional LSTM, then a GRU, as PyTorch writes them (batch first)."""
    net = Net(opset)
    x = net.input("sequence", ["N", 9, 6])
    x = net.op("Transpose", x, perm=[1, 0, 2])
    weights = lambda *shape: net.const(net.random.randn(*shape) * 0.3)
    zeros = net.op("ConstantOfShape", net.concat(
        net.ints(2), net.size(x, 1), net.ints(hidden), axis=0))
    y, _, _ = net.op("LSTM", x, weights(2, 4 * hidden, 6), weights(2, 4 * hidden, hidden),
                     weights(2, 8 * hidden), "", zeros, zeros, outputs=3, hidden_size=hidden,
                     direction="bidirectional")
    y = net.reshape(net.op("Transpose", y, perm=[0, 2, 1, 3]), 9, -1, 2 * hidden)
    y, last = net.op("GRU", y, weights(1, 3 * hidden, 2 * hidden),
                     weights(1, 3 * hidden, hidden), weights(1, 6 * hidden), outputs=2,
                     hidden_size=hidden, linear_before_reset=1)
    last = net.squeeze(last, 0)
    every = net.op("Transpose", net.squeeze(y, 1), perm=[1, 0, 2])
    net.output(net.gemm(last, hidden, 4), net.linear(every, hidden, 3))
    return net.model()


def conv_recurrent(opset=14, hidden=10):
    """A convolutional front end and recurrent layers over its columns (CRNN)."""
    net, x = image(opset, size=16, channels=1)
    x = net.pool(net.conv_norm(x, 8))
    x = net.pool(net.conv_norm(x, 12), kernel=2)
    x = net.op("Transpose", net.reshape(x, -1, 48, 4), perm=[2, 0, 1])
    weights = lambda *shape: net.const(net.random.randn(*shape) * 0.3)
    x, _ = net.op("GRU", x, weights(2, 3 * hidden, 48), weights(2, 3 * hidden, hidden),
                  weights(2, 6 * hidden), outputs=2, hidden_size=hidden,
                  direction="bidirectional", linear_before_reset=0)
    x = net.op("Transpose", x, perm=[0, 2, 1, 3])
    x = net.linear(net.reshape(x, 0, 0, 2 * hidden), 2 * hidden, 7)
    net.output(net.op("LogSoftmax", x, axis=2))
    return net.model()


def lstm_options(opset=14, hidden=8):
    net = Net(opset)
    x = net.input("sequence", [5, "N", 4])
    weights = lambda *shape: net.const(net.random.randn(*shape) * 0.4)
    y, h, c = net.op("LSTM", x, weights(1, 4 * hidden, 4), weights(1, 4 * hidden, hidden),
                     weights(1, 8 * hidden), "", "", "", weights(1, 3 * hidden), outputs=3,
                     hidden_size=hidden, direction="reverse", clip=1.5,
                     activations=["HardSigmoid", "Tanh", "Softsign"])
    z = net.op("RNN", x, weights(1, hidden, 4), weights(1, hidden, hidden), outputs=2,
               hidden_size=hidden, activations=["Relu"])[0]
    net.output(net.squeeze(y, 1), h, c, z)
    return net.model()


def transformer_decoder(opset=12, length=6, width=16):
    """Einsum, CumSum positions, GatherND and Tile, as less common exports."""
    net = Net(opset)
    x = net.input("tokens", ["N", length, width])
    memory = net.input("memory", ["N", 4, width])
    q, k, v = (net.linear(s, width, width) for s in (x, memory, memory))
    scores = net.op("Softmax", net.op("Einsum", q, k, equation="bqd,bkd->bqk"), axis=-1)
    y = net.op("Einsum", scores, v, equation="bqk,bkd->bqd")
    steps = net.op("CumSum", net.op("ConstantOfShape", net.op("Shape", y), value=helper.make_tensor(
        "v", FLOAT, [1], [0.1])), net.const(1, np.int64))
    y = net.op("Add", y, steps)
    shifted = net.op("Tile", net.slice(y, 0, 1, 1), net.ints(1, length, 1))
    net.output(net.linear(net.op("Max", y, shifted), width, 3))
    return net.model()


ZOO = {f.__name__: f for f in [
    mobilenet_v3, efficientnet, densenet, inception, shufflenet, unet, unet_align_corners,
    convnext, resnext, alexnet_lrn, keras_nhwc, super_resolution, style_transfer, yolo, deeplab,
    attention_gates, preactivation_scaled, feature_pyramid, audio_cnn, wavenet, video_3d,
    perceptron, siamese, bert, gpt, llama, vision_transformer, swin, attention_operator,
    recurrent, conv_recurrent, lstm_options, transformer_decoder]}
ZOO["mobilenet_v3_opset_11"] = lambda: mobilenet_v3(11)
ZOO["convnext_opset_20"] = lambda: convnext(20)
ZOO["vision_transformer_opset_21"] = lambda: vision_transformer(21)
ZOO["bert_opset_18"] = lambda: bert(18)
ZOO["densenet_opset_22"] = lambda: densenet(22)


# ---------------------------------------------------------------- quantised

def grid(net, scale, zero_point, kind):
    return net.const(scale), net.const(zero_point, kind)


def rounded(net, x, scale, zero_point=0, kind=np.uint8):
    """QuantizeLinear and DequantizeLinear."""
    inputs = grid(net, scale, zero_point, kind)
    y = net.op("DequantizeLinear", net.op("QuantizeLinear", x, *inputs), *inputs)
    net.channels[y] = net.channels.get(x)
    return y


def levels(net, shape, axis=0, kind=np.int8, zero_point=0):
    """Random integer weights: their levels, scales and zero points."""
    low, high = (-127, 128) if kind == np.int8 else (0, 256)
    fan_in = np.prod(shape) / shape[axis]
    scales = (net.random.rand(shape[axis]) + 0.5) / 100 / np.sqrt(fan_in)
    return (net.const(net.random.randint(low, high, shape), kind), net.const(scales),
            net.const(np.full(shape[axis], zero_point), kind))


def qdq_conv(net, x, out, kernel=3, act="Relu", group=1, **attributes):
    weights = net.op("DequantizeLinear", *levels(
        net, [out, net.channels[x] // group, kernel, kernel]), axis=0)
    bias = net.op("DequantizeLinear", net.const(net.random.randint(-3000, 3000, out), np.int32),
                  net.const(np.full(out, 1e-4)), axis=0)
    y = net.op("Conv", x, weights, bias, kernel_shape=[kernel] * 2, group=group,
               pads=[kernel // 2] * 4, **attributes)
    net.channels[y] = out
    return net.act(y, act)


def qdq_residual(opset=13):
    """As ONNX Runtime's quantiser writes a CNN: u8 activations, s8 weights."""
    net, x = image(opset)
    x = rounded(net, x, 8 / 255, 128)
    x = rounded(net, qdq_conv(net, x, 16, strides=[2, 2]), 4 / 255)
    for _ in range(2):
        y = rounded(net, qdq_conv(net, x, 16, group=16), 4 / 255)
        y = rounded(net, qdq_conv(net, y, 16, 1, act=None), 6 / 255, 120)
        total = net.op("Relu", net.op("Add", x, y))
        net.channels[total] = 16
        x = rounded(net, total, 6 / 255)
    x = rounded(net, net.pool(x), 6 / 255)
    pooled = net.op("Flatten", rounded(net, net.op("GlobalAveragePool", x), 3 / 255))
    table, scales, zeros = levels(net, [10, 16], 0)
    weights = net.op("DequantizeLinear", table, scales, zeros, axis=0)
    y = net.op("Gemm", pooled, weights, net.const(net.random.randn(10)), transB=1)
    net.output(rounded(net, y, 8 / 255, 128))
    return net.model()


def qdq_signed(opset=17):
    """s8 activations, weights through a Transpose, and of one scale."""
    net = Net(opset)
    x = rounded(net, net.input("tokens", ["N", 7, 16]), 6 / 127, 0, np.int8)
    table, scales, zeros = levels(net, [24, 16], 0)
    weights = net.op("Transpose", net.op("DequantizeLinear", table, scales, zeros, axis=0),
                     perm=[1, 0])
    y = net.op("Add", net.op("MatMul", x, weights), net.const(net.random.randn(24)))
    y = rounded(net, net.act(y, "gelu"), 4 / 127, 0, np.int8)
    one = net.op("DequantizeLinear", net.const(net.random.randint(-127, 128, [24, 16]), np.int8),
                 net.const(0.003))
    y = net.op("Add", net.op("MatMul", y, one), x)
    net.output(rounded(net, y, 8 / 127, 0, np.int8))
    return net.model()


def qdq_unsigned_weights(opset=13):
    """u8 weights around 128, and float weights that the model itself rounds."""
    net, x = image(opset, size=12)
    x = rounded(net, x, 8 / 255, 128)
    weights = net.op("DequantizeLinear", *levels(net, [8, 3, 3, 3], 0, np.uint8, 128), axis=0)
    y = net.op("Relu", net.op("Conv", x, weights, kernel_shape=[3, 3], pads=[1] * 4))
    net.channels[y] = 8
    y = rounded(net, y, 4 / 255)
    fake = rounded(net, net.weight(6, 8, 1, 1), 0.01, 0, np.int8)
    net.output(net.op("Conv", y, fake), y)
    return net.model()


def integer_operators(opset=13):
    """QLinearConv, MaxPool and Reshape of levels, QLinearMatMul."""
    net, x = image(opset, size=12)
    first, second, third = ((8 / 255, 128), (4 / 255, 0), (6 / 255, 110))
    x = net.op("QuantizeLinear", x, *grid(net, *first, np.uint8))
    table, scales, zeros = levels(net, [8, 3, 3, 3])
    bias = net.const(net.random.randint(-500, 500, 8), np.int32)
    x = net.op("QLinearConv", x, *grid(net, *first, np.uint8), table, scales, zeros,
               *grid(net, *second, np.uint8), bias, kernel_shape=[3, 3], pads=[1] * 4)
    x = net.reshape(net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), -1, 8 * 36)
    table = net.const(net.random.randint(-127, 128, [8 * 36, 10]), np.int8)
    x = net.op("QLinearMatMul", x, *grid(net, *second, np.uint8), table, net.const(0.001),
               net.const(0, np.int8), *grid(net, *third, np.uint8))
    net.output(net.op("DequantizeLinear", x, *grid(net, *third, np.uint8)))
    return net.model()


def dynamic_quantised(opset=13):
    """Weights of 8 bits, activations rounded to what each batch spans."""
    net = Net(opset)
    x = net.input("features", ["N", 20])
    for fan_in, out in [(20, 16), (16, 5)]:
        level, scale, zero = net.op("DynamicQuantizeLinear", x, outputs=3)
        table = net.const(net.random.randint(-127, 128, [fan_in, out]), np.int8)
        y = net.op("MatMulInteger", level, table, zero, net.const(0, np.int8))
        y = net.op("Mul", net.op("Cast", y, to=FLOAT), net.op("Mul", scale, net.const(0.004)))
        x = net.op("Relu", net.op("Add", y, net.const(net.random.randn(out))))
    net.output(x)
    return net.model()


QUANTISED = {f.__name__: f for f in [
    qdq_residual, qdq_signed, qdq_unsigned_weights, integer_operators, dynamic_quantised]}
ZOO.update(QUANTISED)
