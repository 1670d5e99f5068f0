"""What users get wrong: a one-line error with the reason and the next step, the
right exit code, nothing half-done."""
import pathlib
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper

import lathe_system as lathe

USAGE, NOT_FOUND, UNAVAILABLE, FAILED, NO_CONFIGURATION = 2, 3, 5, 6, 7


def save_model(path, op_type, name="odd", domain=""):
    """A model with a single node."""
    node = helper.make_node(op_type, ["x"], ["y"], name=name, domain=domain)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 24, 24])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), str(path))
    return path


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = lathe.scratch_folder()
        cls.folder = cls.scratch.__enter__()
        cls.data = lathe.make_glyphs(cls.folder, count=200)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.__exit__(None, None, None)

    def search(self, *arguments, model=lathe.SAMPLE_MODEL, data=None, trials=4):
        out = self.folder / "bad-out"
        done = lathe.run("lathe", "search", "--model", model, "--data", data or self.data,
                         "--scale", lathe.GLYPH_SCALE, "--trials", trials, "--out", out,
                         *arguments)
        self.assertFalse((out / "best.onnx").exists())
        self.assertFalse((out / "frontier.json").exists())
        return done

    def assert_error(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        message = done.stderr.strip().splitlines()[-1]
        for word in words:
            self.assertIn(word, message)

    def test_a_missing_model(self):
        self.assert_error(self.search(model="nowhere.onnx"), NOT_FOUND, "nowhere.onnx")

    def test_missing_data(self):
        self.assert_error(self.search(data="nowhere.npz"), NOT_FOUND, "nowhere.npz")

    def test_a_truncated_model(self):
        path = self.folder / "truncated.onnx"
        path.write_bytes(pathlib.Path(lathe.SAMPLE_MODEL).read_bytes()[:-1000])
        self.assert_error(self.search(model=path), FAILED, "truncated.onnx")

    def test_bytes_that_are_no_model(self):
        path = self.folder / "text.onnx"
        path.write_text("this is not a model")
        self.assert_error(self.search(model=path), FAILED, "text.onnx")

    def test_an_operator_that_nobody_knows_is_named_with_its_node(self):
        path = save_model(self.folder / "odd.onnx", "Frobnicate", name="strange_node")
        self.assert_error(self.search(model=path), FAILED, "Frobnicate", "strange_node")

    def test_data_of_another_shape(self):
        path = self.folder / "shape.npz"
        np.savez(path, x=np.zeros((100, 3, 32, 32), np.uint8), y=np.zeros(100, np.int64))
        self.assert_error(self.search(data=path), FAILED, "32", "24")

    def test_labels_out_of_range(self):
        path = self.folder / "labels.npz"
        np.savez(path, x=np.zeros((100, 1, 24, 24), np.uint8), y=np.full(100, 10))
        self.assert_error(self.search(data=path), FAILED, "10")

    def test_counts_that_differ(self):
        path = self.folder / "counts.npz"
        np.savez(path, x=np.zeros((100, 1, 24, 24), np.uint8), y=np.zeros(99, np.int64))
        self.assert_error(self.search(data=path), FAILED, "100", "99")

    def test_data_that_are_no_archive(self):
        path = self.folder / "text.npz"
        path.write_text("this is not an archive")
        self.assert_error(self.search(data=path), FAILED, "text.npz")

    def test_an_impossible_budget(self):
        self.assert_error(self.search("--max-latency", "0.0001x"), NO_CONFIGURATION, "latency")

    def test_flags_that_make_no_sense(self):
        for flags in (["--trials", "0"], ["--max-latency", "fast"], ["--agent", "oracle"],
                      ["--no-such-flag"], ["--objective", "beauty"], ["--max-size", "-1KB"]):
            with self.subTest(flags=flags):
                self.assertEqual(self.search(*flags).returncode, USAGE)

    def test_no_command(self):
        self.assertEqual(lathe.run("lathe").returncode, USAGE)

    def test_a_server_that_is_not_there(self):
        done = lathe.run("lathe", "--server", "127.0.0.1:1", "list")
        self.assert_error(done, UNAVAILABLE, "127.0.0.1:1")

    def test_a_second_server_on_the_same_state(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service:
            done = lathe.run("lathe-server", "--state", service.state, "--listen",
                             "127.0.0.1:0", timeout=60)
            self.assert_error(done, UNAVAILABLE, str(service.state))
            self.assertEqual(service.lathe("list").returncode, 0)

    def test_a_job_that_does_not_exist(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service:
            for command in (["show"], ["trials"], ["frontier"], ["cancel"],
                            ["best", "--max-latency", "1ms"]):
                with self.subTest(command=command):
                    done = service.lathe(command[0], "jobs/none", *command[1:])
                    self.assert_error(done, NOT_FOUND, "jobs/none")


if __name__ == "__main__":
    unittest.main()
