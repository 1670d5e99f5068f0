"""Quantises a float ONNX file the way ONNX Runtime's own tool does, with made-up
scales: what is timed does not depend on them.

Every float input and output of the operators below is quantised (uint8
activations, int8 weights per output channel, int32 biases), except between an
operator and the Relu behind it. So ONNX Runtime fuses each into its 8-bit kernel.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

OPERATORS = {"Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "MaxPool", "AveragePool",
             "GlobalAveragePool", "Reshape", "Flatten", "Transpose"}
SCALE = np.float32(0.02)


class Quantiser:
    def __init__(self, model):
        self.model = model
        self.constants = {i.name: i for i in model.graph.initializer}
        self.users = {}
        for node in model.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        infos = onnx.shape_inference.infer_shapes(model).graph
        self.floats = {v.name for v in [*infos.value_info, *infos.input, *infos.output]
                       if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
        self.outputs = {o.name for o in model.graph.output}
        self.added = []
        self.quantised = {}

    def constant(self, name, values):
        self.added.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, name, axis):
        """Nodes that give the int8 weights as floats."""
        values = numpy_helper.to_array(self.constants[name])
        if axis is None or values.ndim < 2:
            scale = np.float32(max(np.abs(values).max(), 1e-6) / 127)
            shaped, extra = scale, {}
        else:
            others = tuple(i for i in range(values.ndim) if i != axis)
            scale = np.maximum(np.abs(values).max(axis=others), 1e-6).astype(np.float32) / 127
            shaped = scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
            extra = {"axis": axis}
        levels = np.clip(np.rint(values / shaped), -127, 127).astype(np.int8)
        names = [self.constant(f"{name}_levels", levels),
                 self.constant(f"{name}_scale", scale.astype(np.float32)),
                 self.constant(f"{name}_zero", np.zeros(scale.shape, np.int8))]
        node = helper.make_node("DequantizeLinear", names, [f"{name}_dq"], **extra)
        return node, scale

    def bias(self, name, scale):
        values = numpy_helper.to_array(self.constants[name])
        scale = np.broadcast_to(scale * SCALE, values.shape).astype(np.float32)
        levels = np.clip(np.rint(values / scale), -2**30, 2**30).astype(np.int32)
        names = [self.constant(f"{name}_levels", levels),
                 self.constant(f"{name}_scale", scale),
                 self.constant(f"{name}_zero", np.zeros(values.shape, np.int32))]
        return helper.make_node("DequantizeLinear", names, [f"{name}_dq"], axis=0)

    def activation(self, name, is_positive):
        """Nodes that round a value to uint8 and back."""
        names = [self.constant(f"{name}_scale", SCALE),
                 self.constant(f"{name}_zero", np.uint8(0 if is_positive else 128))]
        self.quantised[name] = f"{name}_dq"
        return [helper.make_node("QuantizeLinear", [name, *names], [f"{name}_q"]),
                helper.make_node("DequantizeLinear", [f"{name}_q", *names], [f"{name}_dq"])]

    def inputs(self, node):
        """Quantises the constants of a node, and names its rounded inputs."""
        before, names, scale = [], [], None
        for index, name in enumerate(node.input):
            is_float = name in self.constants and self.constants[name].data_type == 1
            if not is_float:
                names.append(self.quantised.get(name, name))
            elif index == 2 and node.op_type in ("Conv", "Gemm") and scale is not None:
                before.append(self.bias(name, scale))
                names.append(before[-1].output[0])
            else:
                axis = 0 if node.op_type == "Conv" else None
                dequantise, scale = self.weights(name, axis)
                # A constant may be shared.
                if f"{name}_dq" not in self.quantised.values():
                    before.append(dequantise)
                self.quantised[name] = f"{name}_dq"
                names.append(f"{name}_dq")
        return before, names

    def is_rounded(self, node, name):
        """Whether an 8-bit kernel makes or takes `name`."""
        if name not in self.floats or name in self.outputs:
            return False
        users = self.users.get(name, [])
        if node is not None and node.op_type in OPERATORS | {"Relu"}:
            return not any(user.op_type == "Relu" for user in users)
        return any(user.op_type in OPERATORS for user in users)

    def run(self):
        nodes = []
        for value in self.model.graph.input:
            if self.is_rounded(None, value.name):
                nodes += self.activation(value.name, is_positive=False)
        for node in self.model.graph.node:
            if node.op_type in OPERATORS:
                before, names = self.inputs(node)
            else:
                before, names = [], [self.quantised.get(n, n) for n in node.input]
            node.input[:] = names
            nodes += [*before, node]
            for name in node.output:
                if self.is_rounded(node, name):
                    nodes += self.activation(name, node.op_type == "Relu")
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)
        self.set_constants()

    def set_constants(self):
        """Those that are used, once each."""
        used = {name for node in self.model.graph.node for name in node.input}
        constants = {i.name: i for i in [*self.model.graph.initializer, *self.added]}
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(
            constant for name, constant in constants.items() if name in used)


def write(source, destination):
    model = onnx.load(source)
    quantiser = Quantiser(model)
    quantiser.run()
    onnx.checker.check_model(model)
    onnx.save(model, destination)
