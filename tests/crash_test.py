"""kill -9 of workers and of the server in mid-search: nothing finished is lost,
nothing is measured twice, and the search ends."""
import unittest

import lathe_system as lathe

TRIALS = 30


class CrashTest(unittest.TestCase):
    def submit(self, service, folder):
        data = lathe.make_glyphs(folder, count=400)
        return service.lathe_json(
            "submit", "--model", lathe.SAMPLE_MODEL, "--data", data, "--scale",
            lathe.GLYPH_SCALE, "--trials", TRIALS, "--seed", 5)["job"]

    def measured(self, service, job):
        """Trial number -> measured latency, as the server tells it."""
        return {t["trial"]: t["latency_us"] for t in service.lathe_lines("trials", job)
                if t["state"] == "MEASURED"}

    def wait_for_measured(self, service, job, count):
        lathe.wait_until(lambda: len(self.measured(service, job)) >= count, 180,
                         f"{count} measured trials")

    def check_end(self, service, job, before):
        lathe.wait_until(lambda: service.lathe_json("show", job)["state"] == "DONE", 240,
                         "job done")
        after = self.measured(service, job)
        self.assertEqual(sorted(after), list(range(TRIALS)))
        for number, latency in before.items():
            self.assertEqual(after[number], latency, f"trial {number} was measured again")
        # One completion per trial, whatever the number of attempts.
        rows = service.query(
            "SELECT trial, COUNT(*) FROM attempts WHERE outcome = 1 GROUP BY trial")  # MEASURED
        self.assertEqual([count for _, count in rows], [1] * TRIALS)
        # No death came between a result of the frontier and its model.
        bare = {number for number, in service.query(
            "SELECT number FROM trials WHERE artifact_digest = ''")}
        frontier = {p["trial"] for p in service.lathe_json("frontier", job)["frontier"]}
        self.assertEqual(frontier & bare, set())
        sequences = [e["sequence"] for e in service.lathe_lines("events", job)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def test_a_killed_worker_loses_no_trial(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service:
            job = self.submit(service, folder)
            service.start_worker()
            victim = service.start_worker()
            self.wait_for_measured(service, job, 5)
            before = self.measured(service, job)
            victim.kill()
            self.wait_for_measured(service, job, 10)
            service.start_worker()
            self.check_end(service, job, before)

    def test_a_killed_server_goes_on_where_it_was(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service:
            job = self.submit(service, folder)
            service.start_worker()
            service.start_worker()
            before = {}
            for count in (3, 8, 15):
                self.wait_for_measured(service, job, count)
                before.update(self.measured(service, job))
                service.server.kill()
                service.start_server()
                self.assertLessEqual(before.items(), self.measured(service, job).items())
            self.check_end(service, job, before)

    def test_a_server_told_to_end_ends_and_goes_on_later(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service:
            job = self.submit(service, folder)
            worker = service.start_worker()
            self.wait_for_measured(service, job, 3)
            before = self.measured(service, job)
            self.assertEqual(service.server.terminate(), 0)
            service.start_server()
            self.wait_for_measured(service, job, 6)
            self.assertEqual(worker.terminate(), 0)
            service.start_worker()
            self.check_end(service, job, before)


if __name__ == "__main__":
    unittest.main()
