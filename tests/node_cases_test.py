"""ONNX's own backend node cases through `lathe-worker run`: what the executor
computes must be what ONNX says. Run by itself it prints every case that is not
supported; `node_cases_test.py CASE...` runs only those."""
import collections
import concurrent.futures
import csv
import os
import pathlib
import sys
import unittest

import numpy as np
import onnx
from onnx import numpy_helper

import lathe_system as lathe
import onnx_package_cases

CASES = lathe.DATA / "onnx_node_tests"
HALVES = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
# What an error about an operator must say: its name or node, and what to do.
ADVICE = ("export", "convert", "use ", "only ")

Outcome = collections.namedtuple("Outcome", "case verdict detail")


def case_names():
    if not CASES.is_dir():
        return []
    with open(CASES / "cases.tsv", newline="", encoding="utf-8") as file:
        return [row["case"] for row in csv.DictReader(file, delimiter="\t")]


def read_tensor(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    array = numpy_helper.to_array(tensor)
    is_half = tensor.data_type in HALVES
    return array.astype(np.float32) if is_half else array, is_half


def difference(actual, expected, is_half):
    """Empty where `actual` is right, else what is wrong with it."""
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return f"{actual.dtype} {actual.shape}, not {expected.dtype} {expected.shape}"
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    tolerance = 1e-5 + (2e-3 if is_half else 1e-3) * np.abs(e)
    with np.errstate(invalid="ignore"):
        is_right = (a == e) | (np.isnan(a) & np.isnan(e)) | (np.abs(a - e) <= tolerance)
    if is_right.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~is_right)[0])
    return f"element {list(at)} is {a[at]}, not {e[at]} ({(~is_right).sum()} differ)"


def run_data_set(model_path, data, folder):
    """The outcome's verdict and detail for one data set of a case."""
    graph = onnx.load(str(model_path)).graph
    arguments = []
    for i, value in enumerate(graph.input):
        path = data / f"input_{i}.pb"
        if path.exists():
            arguments += ["--input", f"{value.name}={path}"]
    done = lathe.run("lathe-worker", "run", model_path, *arguments, "--output", folder)
    if done.returncode < 0 or done.returncode > 7:
        return "failed", f"exit {done.returncode}: {done.stderr[-300:]}"
    if done.returncode != 0:
        return "unsupported", done.stderr.strip()
    for i, value in enumerate(graph.output):
        expected, is_half = read_tensor(data / f"output_{i}.pb")
        actual = np.load(folder / (value.name.replace("/", "_") + ".npy"))
        wrong = difference(actual, expected, is_half)
        if wrong:
            return "failed", f"output {value.name}: {wrong}"
    return "passed", ""


def run_case(path):
    with lathe.scratch_folder() as folder:
        for data in sorted(path.glob("test_data_set_*")):
            verdict, detail = run_data_set(path / "model.onnx", data, folder)
            if verdict != "passed":
                return Outcome(path.name, verdict, detail)
    return Outcome(path.name, "passed", "")


def run_cases(paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(run_case, paths))


def run_stored_cases(names):
    return run_cases([CASES / "node" / name for name in names])


def report(outcomes):
    for outcome in outcomes:
        if outcome.verdict != "passed":
            print(f"{outcome.verdict}: {outcome.case}: {outcome.detail}")
    counts = collections.Counter(outcome.verdict for outcome in outcomes)
    print(f"{counts['passed']} passed, {counts['failed']} failed, "
          f"{counts['unsupported']} unsupported of {len(outcomes)} cases")


@unittest.skipUnless(case_names(), "ONNX's node cases are missing; set LATHE_DATA_DIR")
class NodeCasesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.outcomes = run_stored_cases(case_names())
        report(cls.outcomes)

    def test_no_case_crashes_or_comes_out_wrong(self):
        self.assertEqual([o for o in self.outcomes if o.verdict == "failed"], [])

    def test_at_least_nine_in_ten_pass(self):
        passed = sum(o.verdict == "passed" for o in self.outcomes)
        self.assertGreaterEqual(passed, 0.9 * len(self.outcomes))

    def test_what_is_not_supported_is_named_with_what_to_do(self):
        for outcome in self.outcomes:
            if outcome.verdict == "unsupported":
                with self.subTest(case=outcome.case):
                    self.assertRegex(outcome.detail, "node|operator")
                    self.assertTrue(any(word in outcome.detail for word in ADVICE),
                                    outcome.detail)


class PackageCasesTest(unittest.TestCase):
    def test_operators_of_which_none_is_stored_compute_what_onnx_says(self):
        with lathe.scratch_folder() as folder:
            cases = onnx_package_cases.make_cases(onnx_package_cases.OPERATORS)
            for case in cases:
                onnx_package_cases.write_case(case, folder / case.name)
            outcomes = run_cases([folder / case.name for case in cases])
        report(outcomes)
        self.assertGreater(len(outcomes), 50)
        self.assertEqual([o for o in outcomes if o.verdict == "failed"], [])
        passed = sum(o.verdict == "passed" for o in outcomes)
        self.assertGreaterEqual(passed, 0.9 * len(outcomes))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        report(run_stored_cases(sys.argv[1:]))
    else:
        unittest.main()
