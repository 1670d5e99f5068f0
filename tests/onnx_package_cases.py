#!/usr/bin/python3
"""ONNX's node cases from the programs in the Debian package python3-onnx that make
them, for operators of which the data folder has no case.

    tests/onnx_package_cases.py FOLDER [OPERATOR...]
"""
import pathlib
import sys
import warnings

import numpy as np
from onnx import numpy_helper

OPERATORS = ["TopK", "OneHot", "GatherND", "GatherElements", "ScatterND", "ScatterElements",
             "Scatter", "ReverseSequence", "EyeLike", "CumSum", "Trilu", "Tan", "Asin", "Acos",
             "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Shrink"]


def make_cases(operators):
    """onnx.backend's TestCase objects that use these operators only; all without."""
    warnings.simplefilter("ignore")
    for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(np):  # NumPy dropped them; the package's programs use them.
            setattr(np, name, kind)
    from onnx.backend.test.case import node  # noqa: E402: wants the names above.
    wanted = set(operators)
    return [case for case in node.collect_testcases(None)
            if not wanted or wanted.issuperset(n.op_type for n in case.model.graph.node)]


def write_case(case, folder):
    """As the data folder has them: model.onnx, test_data_set_0/input_0.pb, ..."""
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    for kind, arrays in zip(("input", "output"), case.data_sets[0]):
        for i, array in enumerate(arrays):
            tensor = numpy_helper.from_array(np.asarray(array))
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())


def main():
    folder = pathlib.Path(sys.argv[1])
    for case in make_cases(sys.argv[2:] or OPERATORS):
        write_case(case, folder / case.name)


if __name__ == "__main__":
    main()
