"""Random convolutional networks out of the building blocks that published ones
are made of, joined in ways that nobody chose. The same seed gives the same."""
import numpy as np

from network_zoo import Net

ACTIVATIONS = ["Relu", "Relu", "Relu", "relu6", "silu", "hard_swish", "gelu", "gelu_tanh",
               "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSigmoid", "Softplus", "Selu",
               "prelu", None]


class Maker:
    def __init__(self, seed):
        self.random = np.random.RandomState(seed)
        self.opset = int(self.random.choice([9, 11, 12, 13, 14, 17, 18, 20]))
        self.net = Net(self.opset, seed=seed + 1)
        self.size = int(self.random.choice([8, 12, 16, 17]))
        channels = int(self.random.choice([1, 3, 4]))
        self.x = self.net.input("input", ["N", channels, self.size, self.size])

    def pick(self, *choices):
        return choices[self.random.randint(len(choices))]

    def channels(self):
        return int(self.random.choice([4, 6, 8, 12, 16, 20, 24]))

    def act(self, x, kind="any"):
        kind = self.pick(*ACTIVATIONS) if kind == "any" else kind
        if kind == "prelu":
            c = self.net.channels[x]
            slope = self.net.const(self.random.rand(c, 1, 1) * 0.5)
            y = self.net.op("PRelu", x, slope)
        elif kind == "LeakyRelu":
            y = self.net.op(kind, x, alpha=float(self.random.rand() * 0.3))
        else:
            y = self.net.act(x, kind)
        self.net.channels[y] = self.net.channels[x]
        return y

    def conv(self, x, out, stride=1):
        c = self.net.channels[x]
        kernel = self.pick(1, 3, 3, 3, 5, (1, 3), (3, 1))
        group = 1
        if self.random.rand() < 0.25 and out % c == 0:
            group = c
        elif self.random.rand() < 0.2:
            common = [g for g in (2, 4) if c % g == 0 and out % g == 0]
            group = self.pick(*common) if common else 1
        options = {}
        if stride == 1 and isinstance(kernel, int) and kernel == 3 and self.random.rand() < 0.15:
            options["dilations"] = [2, 2]
        if stride > 1:
            options["strides"] = [stride, stride]
        if self.random.rand() < 0.1 and "dilations" not in options:
            options["auto_pad"] = self.pick("SAME_UPPER", "SAME_LOWER")
        kernel = [kernel, kernel] if isinstance(kernel, int) else list(kernel)
        return self.net.conv(x, out, kernel, group=group, bias=self.random.rand() < 0.6, **options)

    def unit(self, x, out, stride=1):
        order = self.random.rand()
        if order < 0.15:  # Preactivation.
            return self.conv(self.act(self.net.norm(x)), out, stride)
        y = self.conv(x, out, stride)
        if order < 0.7:
            y = self.net.norm(y)
        return self.act(y)

    # Blocks take a value to another. `size` is that of the one in hand.
    def plain(self, x):
        return self.unit(x, self.channels())

    def down(self, x):
        if self.size < 6:
            return self.plain(x)
        if self.random.rand() < 0.5:
            y = self.net.conv(x, self.channels(), 3, strides=[2, 2])
            self.size = (self.size + 1) // 2
            return self.act(self.net.norm(y) if self.random.rand() < 0.5 else y)
        kind = self.pick("MaxPool", "AveragePool")
        options = {}
        if kind == "AveragePool" and self.random.rand() < 0.5:
            options["count_include_pad"] = 1
        kernel, pad = self.pick((2, 0), (3, 1))
        if self.opset >= 10 and self.random.rand() < 0.3:
            options["ceil_mode"] = 1
            last = -(-(self.size + 2 * pad - kernel) // 2)
            if last * 2 >= self.size + pad:
                last -= 1
            self.size = last + 1
        else:
            self.size = (self.size + 2 * pad - kernel) // 2 + 1
        return self.net.pool(x, kind, kernel, 2, pads=[pad] * 4, **options)

    def residual(self, x):
        c = self.net.channels[x]
        out = c if self.random.rand() < 0.6 else self.channels()
        y = x
        for _ in range(self.random.randint(1, 4)):
            y = self.unit(y, self.channels())
        y = self.conv(y, out)
        if self.random.rand() < 0.5:
            y = self.net.norm(y)
        skip = x if out == c else self.conv(x, out)
        kind = self.pick("Add", "Add", "Add", "Sub", "Mul", "Max", "Sum")
        y = self.net.op(kind, *self.pick((y, skip), (skip, y)))
        self.net.channels[y] = out
        return self.act(y)

    def branches(self, x):
        parts = []
        for _ in range(self.random.randint(2, 4)):
            kind = self.random.rand()
            if kind < 0.6:
                parts.append(self.unit(x, self.channels()))
            elif kind < 0.8:
                parts.append(self.net.pool(x, self.pick("MaxPool", "AveragePool"), 3, 1,
                                           pads=[1] * 4))
            else:
                parts.append(x)
        return self.net.concat(*parts)

    def split(self, x):
        c = self.net.channels[x]
        if c < 4:
            return self.plain(x)
        first = int(self.random.randint(1, c))
        a, b = self.net.split(x, [first, c - first], 1)
        a = self.unit(a, self.channels())
        if self.random.rand() < 0.5:
            b = self.unit(b, self.channels())
        return self.net.concat(a, b)

    def shuffle(self, x):
        c = self.net.channels[x]
        if c % 2:
            return self.plain(x)
        y = self.net.reshape(x, -1, 2, c // 2, self.size, self.size)
        y = self.net.op("Transpose", y, perm=[0, 2, 1, 3, 4])
        y = self.net.reshape(y, -1, c, self.size, self.size)
        self.net.channels[y] = c
        return y

    def excite(self, x):
        c = self.net.channels[x]
        return self.net.squeeze_excite(x, max(1, c // 2),
                                       gate=self.pick("Sigmoid", "HardSigmoid"),
                                       act=self.pick("Relu", "silu"))

    def twice(self, x):
        """One weight, two layers."""
        c = self.net.channels[x]
        weight = self.net.weight(c, c, 3, 3)
        for _ in range(2):
            y = self.net.op("Conv", x, weight, kernel_shape=[3, 3], pads=[1] * 4)
            x = self.act(y)
        return x

    def up_down(self, x):
        """A U: smaller and back, joined with what was there."""
        if self.size % 2:
            return self.plain(x)
        c = self.channels()
        low = self.net.conv(x, c, 3, strides=[2, 2])
        low = self.act(low)
        up = self.net.transposed(low, c)
        y = self.net.concat(x, up) if self.random.rand() < 0.5 else None
        if y is None:
            y = self.net.op("Add", self.conv(x, c), up)
            self.net.channels[y] = c
        return y

    def scale(self, x):
        c = self.net.channels[x]
        y = self.net.op(self.pick("Mul", "Add", "Sub", "Div"), x,
                        self.net.const(self.random.rand(*self.pick((1, c, 1, 1), (c, 1, 1),
                                                                   (1, 1, 1, 1), ())) + 0.5))
        self.net.channels[y] = c
        return y

    def pad(self, x):
        c = self.net.channels[x]
        if self.opset < 11:
            return self.plain(x)
        mode = self.pick("constant", "reflect", "edge")
        y = self.net.op("Pad", x, self.net.ints(0, 0, 1, 1, 0, 0, 1, 1), mode=mode)
        self.net.channels[y] = c
        out = self.channels()
        y = self.net.conv(y, out, 3, pads=[0, 0, 0, 0])
        return self.act(y)

    def head(self, x):
        c = self.net.channels[x]
        kind = self.random.rand()
        if kind < 0.5:
            return self.net.classifier(x)
        if kind < 0.7:
            y = self.net.mean(x, [2, 3], keepdims=0)
            return self.net.op("Add", self.net.op("MatMul", y, self.net.weight(c, 10)),
                               self.net.const(self.random.randn(10)))
        if kind < 0.85:
            y = self.net.op("Flatten", x)
            y = self.net.gemm(y, c * self.size * self.size, 12)
            return self.net.gemm(self.act(y, "Relu"), 12, 10)
        y = self.net.conv(x, 10, 1)
        y = self.net.op("GlobalAveragePool", y)
        y = self.net.op("Flatten", y)
        return self.net.op("Softmax", y, axis=1) if self.random.rand() < 0.5 else y

    def model(self):
        blocks = [self.plain, self.plain, self.down, self.residual, self.residual, self.branches,
                  self.split, self.shuffle, self.excite, self.twice, self.up_down, self.scale,
                  self.pad]
        x = self.unit(self.x, self.channels())
        for _ in range(self.random.randint(2, 8)):
            x = self.pick(*blocks)(x)
        self.net.output(self.head(x))
        return self.net.model()


def random_network(seed):
    return Maker(seed).model()
