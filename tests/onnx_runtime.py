"""ONNX Runtime (the npm package onnxruntime-node) in a process of its own."""
import json
import pathlib
import shutil
import subprocess
import unittest

import numpy as np

import lathe_system as lathe

IS_MISSING = shutil.which("npm") is None
WHY_SKIPPED = "npm is missing: no ONNX Runtime to compare with"


class OnnxRuntime:
    """One process that runs models; `answer` returns outputs by name."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        subprocess.run(["npm", "install", "--ignore-scripts", "--silent", "--prefix", folder,
                        "onnxruntime-node@1"], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=300)
        script = pathlib.Path(__file__).parent / "onnxruntime_run.cjs"
        self.process = subprocess.Popen(["node", script, folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def answer(self, model, arrays, optimize=False):
        """`optimize`: with its rewriting of graphs, as people run it."""
        inputs = {}
        for name, array in arrays.items():
            path = self.folder / f"{name}.bin"
            np.ascontiguousarray(array).tofile(path)
            inputs[name] = {"type": str(array.dtype), "shape": array.shape, "file": str(path)}
        prefix = self.folder / "output_"
        self.process.stdin.write(json.dumps(
            {"model": str(model), "inputs": inputs, "outputs": str(prefix),
             "optimize": optimize}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return {out["name"]: np.fromfile(f"{prefix}{i}.bin", out["type"]).reshape(out["shape"])
                for i, out in enumerate(answer["outputs"])}


@unittest.skipIf(IS_MISSING, WHY_SKIPPED)
class RuntimeTest(unittest.TestCase):
    """Tests that share a folder and a process of ONNX Runtime."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = lathe.scratch_folder()
        cls.folder = cls.scratch.__enter__()
        cls.runtime = OnnxRuntime(cls.folder / "npm")

    @classmethod
    def tearDownClass(cls):
        cls.runtime.close()
        cls.scratch.__exit__(None, None, None)
