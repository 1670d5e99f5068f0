"""lathe search, from a model and data to a frontier and a deployable model."""
import json
import pathlib
import shutil
import subprocess
import unittest

import numpy as np

import lathe_system as lathe

POINT_FIELDS = {
    "trial", "accuracy", "accuracy_low", "accuracy_high", "samples", "report_accuracy",
    "report_samples", "latency_us", "latency_us_p95", "latency_ratio", "latency_ratio_low",
    "latency_ratio_high", "size_bytes", "packed_bytes", "entropy_bytes", "macs", "profile",
    "plan"}


def search_arguments(folder, data, trials, out="out"):
    return ["search", "--model", lathe.SAMPLE_MODEL, "--data", data, "--scale",
            lathe.GLYPH_SCALE, "--trials", trials, "--workers", 2, "--seed", 3,
            "--state", folder / "state", "--out", folder / out]


class SearchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = lathe.scratch_folder()
        cls.folder = cls.scratch.__enter__()
        cls.data = lathe.make_glyphs(cls.folder)
        cls.found = lathe.run_json("lathe", *search_arguments(cls.folder, cls.data, 24))

    @classmethod
    def tearDownClass(cls):
        cls.scratch.__exit__(None, None, None)

    def test_every_trial_counts_the_baseline_included(self):
        self.assertEqual(self.found["trials"], 24)
        self.assertEqual(self.found["baseline"]["trial"], 0)
        self.assertEqual(self.found["baseline"]["latency_ratio"], 1)

    def test_points_have_the_fields_of_the_contract(self):
        for point in [self.found["baseline"], *self.found["frontier"]]:
            self.assertLessEqual(POINT_FIELDS, point.keys())
            self.assertEqual(set(point["profile"]), {"cpu", "isa", "threads", "onednn"})
            for layer in point["plan"]["layers"]:
                self.assertLessEqual(
                    {"name", "precision", "weight_bits", "keep_ratio", "channels"},
                    layer.keys())

    def test_nothing_on_the_frontier_is_dominated(self):
        frontier = self.found["frontier"]
        self.assertTrue(frontier)
        for a in frontier:
            for b in frontier:
                if a["trial"] != b["trial"]:
                    self.assertFalse(b["accuracy"] >= a["accuracy"]
                                     and b["latency_ratio"] < a["latency_ratio"])

    def test_something_is_faster_than_the_original(self):
        self.assertLess(min(p["latency_ratio"] for p in self.found["frontier"]), 0.8)
        self.assertGreater(self.found["hypervolume"], 0)

    def test_it_leaves_frontier_report_and_model(self):
        out = self.folder / "out"
        frontier = json.loads((out / "frontier.json").read_text())
        self.assertEqual([p["trial"] for p in frontier["frontier"]],
                         [p["trial"] for p in self.found["frontier"]])
        report = (out / "report.html").read_text()
        self.assertTrue("stage1.conv1" in report, "no layer of the model in the report")
        self.assertFalse("src=\"http" in report, "the report loads from the network")
        self.assertTrue((out / "best.onnx").stat().st_size)

    def test_repeating_it_on_the_same_state_measures_nothing_anew(self):
        again = lathe.run_json(
            "lathe", *search_arguments(self.folder, self.data, 24, out="again"))
        self.assertEqual(again["job"], self.found["job"])
        self.assertEqual(again["frontier"], self.found["frontier"])

    def test_the_model_measured_is_the_model_exported(self):
        """The exported file, evaluated by itself, gives the recorded answers."""
        with lathe.Service(self.folder) as service:
            job = self.found["job"]
            point = max((p for p in self.found["frontier"] if p["latency_ratio"] < 0.9),
                        key=lambda p: p["accuracy"])
            exported = self.folder / "exported.onnx"
            done = service.lathe("export", job, "--trial", point["trial"], "--to", exported)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(exported.stat().st_size, point["size_bytes"])
        checked = lathe.run_json("lathe-worker", "eval", exported, "--data", self.data,
                                 "--scale", lathe.GLYPH_SCALE)
        self.assertAlmostEqual(checked["value"], point["accuracy"], delta=0.03)

    def test_the_packed_form_is_smaller_and_answers_alike(self):
        with lathe.Service(self.folder) as service:
            job = self.found["job"]
            point = min(self.found["frontier"], key=lambda p: p["latency_ratio"])
            files = {}
            for form in ("qdq", "lathe"):
                files[form] = self.folder / f"model.{form}"
                service.lathe_json("export", job, "--trial", point["trial"], "--format", form,
                                   "--to", files[form])
        self.assertEqual(files["lathe"].stat().st_size, point["entropy_bytes"])
        self.assertLess(files["lathe"].stat().st_size, files["qdq"].stat().st_size)
        answers = [lathe.run_json("lathe-worker", "eval", file, "--data", self.data, "--scale",
                                  lathe.GLYPH_SCALE) for file in files.values()]
        self.assertEqual(*answers)

    def test_equal_plans_give_equal_models_whatever_the_number_of_workers(self):
        """By two searches: what is no time is equal, and so is the file."""
        found, models = [], []
        for workers in (1, 3):
            folder = self.folder / f"workers{workers}"
            folder.mkdir()
            job = lathe.run_json(
                "lathe", "search", "--model", lathe.SAMPLE_MODEL, "--data", self.data,
                "--scale", lathe.GLYPH_SCALE, "--agent", "uniform", "--trials", 8,
                "--search", 200, "--report", 50, "--workers", workers, "--state",
                folder / "state", "--out", folder / "out")["job"]
            with lathe.Service(folder) as service:
                trials = service.lathe_lines("trials", job)
                frontier = service.lathe_json("frontier", job)["frontier"]
                for point in frontier:
                    service.lathe_json("export", job, "--trial", point["trial"], "--to",
                                       folder / f"{point['trial']}.onnx")
            found.append({json.dumps(t["plan"]): t for t in trials if t["trial"] > 0})
            models.append({json.dumps(p["plan"]): (folder / f"{p['trial']}.onnx").read_bytes()
                           for p in frontier if p["trial"] > 0})
        plans = found[0].keys() & found[1].keys()
        self.assertGreaterEqual(len(plans), 4)
        for plan in plans:
            for field in ("accuracy", "report_accuracy", "size_bytes", "packed_bytes",
                          "entropy_bytes", "macs"):
                self.assertEqual(found[0][plan][field], found[1][plan][field])
        for plan in models[0].keys() & models[1].keys():
            # Not assertEqual, which would print the files.
            self.assertTrue(models[0][plan] == models[1][plan], plan)

    def test_a_ladder_looks_at_trials_and_measures_its_frontier_whole(self):
        folder = self.folder / "ladder"
        folder.mkdir()
        found = lathe.run_json(
            "lathe", "search", "--model", lathe.SAMPLE_MODEL, "--data", self.data, "--scale",
            lathe.GLYPH_SCALE, "--agent", "random", "--seed", 5, "--trials", 20, "--fidelity",
            "ladder", "--workers", 1, "--state", folder / "state", "--out", folder / "out")
        self.assertEqual(found["trials"], 20)
        with lathe.Service(folder) as service:
            trials = service.lathe_lines("trials", found["job"])
        whole = {t["trial"] for t in trials if "early_stop" not in t}
        looked = [t for t in trials if "early_stop" in t]
        self.assertTrue(looked)
        for trial in looked:
            self.assertEqual((trial["state"], trial["report_samples"]), ("MEASURED", 0))
            if "beaten_by" in trial["early_stop"]:
                self.assertIn(trial["early_stop"]["beaten_by"], whole)
                self.assertGreaterEqual(trial["early_stop"]["confidence"], 0.95)
        # What was measured whole had been looked at before, but for the original.
        sources = {json.dumps(t["plan"]): t["source"] for t in looked}
        finalists = [t for t in trials if t["trial"] in whole - {0}]
        self.assertTrue(finalists)
        for trial in finalists:
            self.assertEqual(trial["source"], "whole/" + sources[json.dumps(trial["plan"])])
        self.assertLessEqual({p["trial"] for p in found["frontier"]}, whole)
        for point in found["frontier"]:
            self.assertGreater(point["report_samples"], 0)

    def test_best_answers_within_the_bound_or_says_what_is_nearest(self):
        with lathe.Service(self.folder) as service:
            job = self.found["job"]
            best = service.lathe_json("best", job, "--max-latency", "0.8x")
            self.assertLessEqual(best["latency_ratio"], 0.8)
            none = service.lathe("best", job, "--max-latency", "0.001x")
            self.assertEqual(none.returncode, 7)
            self.assertIn("latency", none.stderr)

    def test_best_measures_what_the_agent_answers_for_a_budget_nobody_asked_for(self):
        with lathe.Service(self.folder) as service:
            service.start_worker()
            job = self.found["job"]
            bound = ("--max-latency", "0.77x", "--max-size", "0.9x")
            untried = service.lathe_json("best", job, *bound, "--propose")["answer"]
            self.assertGreater(untried["predicted_latency_us"], 0)
            first = service.lathe_json("best", job, *bound, "--measure")
            measured = first["answer"]
            self.assertEqual([layer["precision"] for layer in measured["plan"]["layers"]],
                             [layer["precision"] for layer in untried["plan"]["layers"]])
            self.assertGreater(measured["latency_us"], 0)
            # Asked again it is not measured again.
            again = service.lathe_json("best", job, *bound, "--measure")
            self.assertEqual(again["answer"]["name"], measured["name"])

    def test_onnx_runtime_gives_the_same_answers(self):
        if not shutil.which("npm"):
            self.skipTest("npm is not installed: no ONNX Runtime to compare with")
        npm_folder = self.folder / "npm"
        npm_folder.mkdir()
        subprocess.run(["npm", "install", "--ignore-scripts", "--silent", "--prefix",
                        npm_folder, "onnxruntime-node@1"], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=300)
        images = np.load(self.data)["x"].astype(np.float32) / np.float32(255)
        np.save(self.folder / "x.npy", images)
        images.tofile(self.folder / "x.bin")
        model = self.folder / "out" / "best.onnx"
        answers = subprocess.run(
            ["node", pathlib.Path(__file__).parent / "onnxruntime_predict.cjs", npm_folder,
             model, self.folder / "x.bin", ",".join(map(str, images.shape))],
            check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        theirs = np.array(json.loads(answers.stdout)).reshape(len(images), -1).argmax(1)
        done = lathe.run("lathe-worker", "run", model, "--input",
                         f"x={self.folder / 'x.npy'}", "--output", self.folder / "ours")
        self.assertEqual(done.returncode, 0, done.stderr)
        output = next((self.folder / "ours").glob("*.npy"))
        ours = np.load(output).reshape(len(images), -1).argmax(1)
        # Rounding ties of a grid may fall differently: a few in a thousand.
        self.assertGreaterEqual((ours == theirs).mean(), 0.995)
        labels = np.load(self.data)["y"]
        self.assertGreaterEqual(len(labels), 1000)
        self.assertLessEqual(abs((ours == labels).mean() - (theirs == labels).mean()), 0.003)


if __name__ == "__main__":
    unittest.main()
