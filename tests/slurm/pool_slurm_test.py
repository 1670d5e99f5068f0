"""Pools under a real Slurm: what a scheduler does to workers costs nothing but
time. `LATHE_SLURM_TRIALS` makes the first job longer than its 200 trials."""
import collections
import os
import pathlib
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lathe_system as lathe  # noqa: E402  (a folder above)
import slurm_cluster  # noqa: E402

TRIALS = int(os.environ.get("LATHE_SLURM_TRIALS", "200"))
# Of the leases, shortened: what is lost is noticed sooner.
LEASE_SECONDS = 6


class PoolSlurmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = slurm_cluster.missing_programs()
        if missing:
            raise unittest.SkipTest(f"not installed: {missing} (tools/packages-test.txt)")

    def setUp(self):
        self.folder = self.enterContext(lathe.scratch_folder())
        (self.folder / "slurm").mkdir(mode=0o755)
        self.cluster = self.enterContext(slurm_cluster.Cluster(self.folder / "slurm"))
        self.service = self.enterContext(lathe.Service(
            self.folder, server_arguments=["--lease-seconds", LEASE_SECONDS]))
        self.data = lathe.make_glyphs(self.folder, count=60)

    # ---- what the tests do ----

    def submit(self, trials):
        return self.service.lathe_json(
            "submit", "--model", lathe.SAMPLE_MODEL, "--data", self.data, "--scale",
            lathe.GLYPH_SCALE, "--trials", trials, "--agent", "random",
            "--calibration", 15, "--search", 15, "--confirmation", 15, "--report", 15)["job"]

    def pool(self, action, *arguments, **options):
        return self.service.lathe("-o", "json", "pool", action, "--slurm", *arguments,
                                  env=self.cluster.environment, **options)

    def pool_json(self, *arguments):
        done = self.pool(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return lathe.json.loads(done.stdout)

    def up(self, workers, *, name="lathe", sleep_ms=50, arguments=()):
        return self.pool_json(
            "up", "--name", name, "--workers", workers, "--logs", self.folder,
            "--worker-program", lathe.BIN / "lathe-simulated-worker", "--cache",
            self.folder / "cache", *arguments, "--", "--sleep-ms", sleep_ms)

    def running(self, name="lathe"):
        """Tasks of the pool with a registered worker, by id."""
        done = self.pool("status", "--name", name)
        if done.returncode != 0:
            return {}
        return {t["id"]: t for t in lathe.json.loads(done.stdout)["tasks"]
                if t["state"] == "RUNNING" and t["worker"] and not t["is_draining"]}

    def await_running(self, count, seconds=120, name="lathe"):
        def is_there():
            tasks = self.running(name)
            return len(tasks) == count and tasks
        return lathe.wait_until(
            is_there, seconds, lambda: f"{count} workers of {name} at work: {self.state_of_all()}")

    def counts(self, job):
        return self.service.lathe_json("show", job)["counts"]

    def await_measured(self, job, count, seconds=120):
        lathe.wait_until(lambda: self.counts(job)["measured"] >= count, seconds,
                         lambda: f"{count} trials of {job} measured: {self.state_of_all()}")

    def state_of_all(self):
        """For a failure: what the service and Slurm say."""
        said = [self.service.lathe(*command).stdout for command in (
            ("list",), ("explain", "jobs/1"), ("workers",))]
        return "\n".join([*said, str(self.cluster.tasks()), self.cluster.logs()])

    def why_ended(self):
        """How attempts without an outcome ended: reason -> number."""
        return dict(self.service.query(
            "SELECT why, COUNT(*) FROM attempts WHERE is_active = 0 AND outcome = 0 GROUP BY why"))

    def check_job(self, job, trials):
        """Every trial once measured or infeasible, nothing blamed on anybody."""
        lathe.wait_until(lambda: self.service.lathe_json("show", job)["state"] == "DONE", 90,
                         lambda: f"{job} done: {self.state_of_all()}")
        counts = self.counts(job)
        self.assertEqual(counts["measured"] + counts["infeasible"], trials, counts)
        number = job.split("/")[1]
        blamed = self.service.query(
            "SELECT t.number, a.why FROM attempts a JOIN trials t ON t.id = a.trial WHERE "
            "t.job = ? AND a.outcome NOT IN (0, 1, 2)", number)
        self.assertEqual(blamed, [], "an attempt was blamed")
        self.assertEqual(self.service.query(
            "SELECT trial, COUNT(*) FROM attempts WHERE outcome IN (1, 2) GROUP BY trial "
            "HAVING COUNT(*) > 1"), [], "a trial was completed twice")
        sequences = [e["sequence"] for e in self.service.lathe_lines("events", job)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def workers(self):
        """Each task's worker that the server knows, by placement."""
        return {w["placement"]: w for w in self.service.lathe_lines("workers")
                if w["state"] != "lost"}

    def stop_at_work(self, worker):
        """SIGSTOP at a moment at which the worker holds a lease."""
        def holds_one():
            os.kill(worker["pid"], signal.SIGSTOP)
            # What it had sent by then arrives.
            time.sleep(0.5)
            if self.service.query(
                    "SELECT 1 FROM attempts JOIN workers USING (session) WHERE is_active = 1 "
                    "AND workers.id = ?", worker["worker"].split("/")[1]):
                return True
            os.kill(worker["pid"], signal.SIGCONT)
            return False
        lathe.wait_until(holds_one, 60, lambda: f"{worker} holds a lease: {self.state_of_all()}")

    # ---- tests ----

    def test_an_array_of_workers_survives_what_slurm_does_to_it(self):
        job = self.submit(TRIALS)
        self.up(6)
        tasks = self.await_running(6)
        self.assertEqual(collections.Counter(t["node"] for t in tasks.values()),
                         {node: 2 for node in self.cluster.nodes})
        self.await_measured(job, 20)

        with self.subTest("half of the pool is cancelled: it gives its work back"):
            for task in sorted(tasks)[:3]:
                self.cluster.run("scancel", task)
            self.await_running(3)
            # Granted to a call that was just given up: "the worker left".
            self.assertLessEqual(set(self.why_ended()),
                                 {"released: preempted", "the worker left"})

        with self.subTest("scaled up, the pool is as large as asked"):
            self.assertTrue(self.pool_json("scale", "--workers", 6)["submitted"])
            self.await_running(6)
            more = self.submit(40)
            self.check_job(more, 40)

        with self.subTest("slurmctld is killed and comes back: the work goes on"):
            # A task that it has not saved it starts once more, and drains the
            # node that still runs the first.
            self.cluster.save_jobs(sorted(self.running()))
            self.cluster.kill("slurmctld")
            meanwhile = self.submit(40)
            self.check_job(meanwhile, 40)
            down = self.pool("status", timeout=60)
            self.assertEqual(down.returncode, 5, down.stderr)
            self.cluster.restart_controller()
            lathe.wait_until(lambda: self.pool("status").returncode == 0, 60, "slurmctld is back")
            self.pool_json("scale", "--workers", 6)
            self.await_running(6)
        self.check_job(job, TRIALS)

    def test_a_lost_node_costs_no_result_and_its_old_worker_is_fenced(self):
        # Long enough that there is work until a worker is stopped.
        job = self.submit(40)
        self.up(3, sleep_ms=1000, arguments=["--exclusive"])
        tasks = self.await_running(3)
        self.await_measured(job, 4)
        victim, node = next((i, t["node"]) for i, t in tasks.items())
        worker = self.workers()[f"slurm:{victim}"]
        old = worker["pid"]
        # The node is cut off from everybody for longer than a lease lives, and
        # its worker lives on.
        self.stop_at_work(worker)
        self.cluster.kill(node)
        try:
            lathe.wait_until(
                lambda: self.cluster.tasks().get(victim, ("RUNNING", ""))[0] != "RUNNING", 60,
                "Slurm takes the task from the dead node")
            lathe.wait_until(lambda: self.why_ended().get("expired"), 60, "its lease expires")
        finally:
            os.kill(old, signal.SIGCONT)

        def log():
            return "".join(p.read_text() for p in self.folder.glob("lathe-pool-*.log"))

        # Before its node is back, since Slurm then kills what it has taken away.
        lathe.wait_until(
            lambda: re.search(r"LEASE_FENCED|fence \d+ is not active|the lease is lost", log()),
            60, "the old worker is told that its lease is gone")
        # Without a daemon nothing runs there; the requeued task finds its node again.
        self.cluster.start_node(node)

        def requeued_pid():
            now = self.workers().get(f"slurm:{victim}", worker)
            return now["pid"] if now["pid"] != old else None

        self.cluster.wait(requeued_pid, 120, "the requeued task registers as another worker")
        self.check_job(job, 40)
        self.assertEqual(self.why_ended(), {"expired": 1})

    def test_the_time_limit_takes_trials_back_without_blame(self):
        # A worker whose evaluation takes longer than it lives.
        job = self.submit(3)
        self.up(1, sleep_ms=600_000, arguments=["--time", "1", "--warn", "20"])
        lathe.wait_until(lambda: self.counts(job)["leased"] == 1, 60, "trial 0 leased")

        with self.subTest("meanwhile another pool grows from 2 to 8 and ends"):
            self.up(2, name="other", sleep_ms=0)
            self.await_running(2, name="other")
            self.assertEqual(self.pool("up", "--name", "other", "--workers", 1).returncode, 1)
            self.pool_json("scale", "--name", "other", "--workers", 8)
            self.await_running(8, name="other")
            drained = self.pool_json("scale", "--name", "other", "--workers", 0)["draining"]
            self.assertEqual(len(drained), 8)
            lathe.wait_until(lambda: self.pool("status", "--name", "other").returncode == 3, 90,
                             "the pool is gone")
            self.assertEqual(
                self.pool("scale", "--name", "other", "--workers", 2).returncode, 3)

        with self.subTest("a worker takes nothing that it cannot finish in its time"):
            brief = self.submit(60)
            self.up(1, name="brief", sleep_ms=20_000, arguments=["--time", "1", "--warn", "15"])
            self.await_measured(brief, 1)
            lathe.wait_until(lambda: self.pool("status", "--name", "brief").returncode == 3, 120,
                             "the brief pool has ended")
            self.assertLess(self.counts(brief)["measured"], 60)
            self.assertEqual(self.service.query(
                "SELECT a.why FROM attempts a JOIN trials t ON t.id = a.trial WHERE t.job = ? "
                "AND a.outcome != 1", brief.split("/")[1]), [])
            self.service.lathe("cancel", brief)

        lathe.wait_until(self.why_ended, 100, "the trial given back")
        self.assertEqual(self.why_ended(), {"released: time limit": 1})
        lathe.wait_until(lambda: self.pool("status").returncode == 3, 90, "the task ended")
        self.up(2, name="third", sleep_ms=0)
        self.check_job(job, 3)
        log = "".join(p.read_text() for p in self.folder.glob("lathe-pool-lathe-*.log"))
        self.assertTrue(re.search(r"draining by signal 10", log), log)


if __name__ == "__main__":
    unittest.main()
