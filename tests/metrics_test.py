"""The metrics of a running server, its dashboard and its document name the same."""
import json
import re
import unittest
import urllib.request

import lathe_system as lathe

NAME = re.compile(r"\blathe_[a-z_]+[a-z]\b")
# What Prometheus appends to the name of a histogram.
SUFFIX = re.compile(r"_(bucket|sum|count)$")


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with lathe.scratch_folder() as folder:
            with lathe.Service(folder, worker_program="lathe-simulated-worker",
                               server_arguments=[
                                   "--http", "127.0.0.1:0", "--log-json", "--most-jobs-per-user",
                                   "3", "--most-running-per-user", "4",
                                   "--most-blobs-gib-per-user", "0.5"]) as service:
                data = lathe.make_glyphs(folder, count=60)
                job = service.lathe_json(
                    "submit", "--model", lathe.SAMPLE_MODEL, "--data", data, "--scale",
                    lathe.GLYPH_SCALE, "--trials", 5, "--agent", "random", "--calibration", 15,
                    "--search", 15, "--confirmation", 15, "--report", 15)["job"]
                cls.lonely = service.lathe_json("explain", job)
                cls.doctor = service.lathe("doctor")
                service.start_worker()
                lathe.wait_until(lambda: service.lathe_json("show", job)["state"] == "DONE", 60,
                                 "job done")
                cls.ended = service.lathe_json("explain", job)
                cls.log = [json.loads(line) for line in
                           (folder / "server.log").read_text().splitlines()]
                port = next(re.search(r"metrics on port (\d+)", line["message"]).group(1)
                            for line in cls.log if "metrics on port" in line["message"])
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                    cls.page = page.read().decode()
        cls.served = set(re.findall(r"^# TYPE (\S+)", cls.page, re.M))

    def test_the_page_tells_of_the_job(self):
        self.assertIn('lathe_jobs{state="DONE"} 1', self.page)
        self.assertRegex(self.page, r'lathe_outcomes_total\{kind="MEASURED"\} \d')

    def test_the_page_tells_what_callers_use_of_which_quota(self):
        self.assertRegex(self.page, r'lathe_caller_blob_bytes\{caller=""\} [1-9]')
        self.assertIn("\nlathe_quota_active_jobs 3\n", self.page)
        self.assertIn("\nlathe_quota_running_trials 4\n", self.page)
        self.assertIn(f"\nlathe_quota_blob_bytes {1 << 29}\n", self.page)

    def test_the_document_lists_what_is_served(self):
        text = (lathe.SOURCE / "docs" / "metrics.md").read_text()
        self.assertLessEqual(self.served, set(NAME.findall(text)))

    def test_the_dashboard_shows_all_that_is_documented(self):
        documented = set(NAME.findall((lathe.SOURCE / "docs" / "metrics.md").read_text()))
        board = json.loads((lathe.SOURCE / "deploy" / "grafana" / "lathe.json").read_text())
        asked = {SUFFIX.sub("", name) for panel in board["panels"] for target in panel["targets"]
                 for name in NAME.findall(target["expr"])}
        self.assertEqual(asked, documented)

    def test_a_job_without_workers_explains_itself(self):
        self.assertEqual([c["code"] for c in self.lonely["causes"]], ["NO_WORKERS"])
        self.assertFalse(self.lonely["is_advancing"])
        self.assertEqual(self.doctor.returncode, 6, self.doctor.stderr)
        self.assertIn("no worker has registered", self.doctor.stdout)
        self.assertEqual([c["code"] for c in self.ended["causes"]], ["ENDED"])

    def test_the_log_is_one_object_a_line(self):
        for line in self.log:
            self.assertLessEqual({"time", "level", "pid", "message"}, set(line))


if __name__ == "__main__":
    unittest.main()
