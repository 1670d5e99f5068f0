"""What strangers send: numbers that cannot be, bytes that are no message,
models that are none, and credentials that are wrong."""
import math
import pathlib
import socket
import subprocess
import unittest

import fault_system as f
import lathe_system as lathe
from fault_system import grpc, types


class InputFaults(f.FaultTest):
    def test_18_measurements_that_cannot_be_are_refused(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=40)
        one.run(job, most=1)
        bad = [(field, value) for field in ("latency_us", "accuracy", "latency_ratio",
                                            "kl_divergence", "evaluation_seconds")
               for value in (math.nan, math.inf, -math.inf, -1.0)]
        bad += [("accuracy", 1.5), ("latency_us", 0.0), ("size_bytes", -1), ("correct", 10**6)]
        for field, value in bad:
            lease, = one.lease()
            made = f.outcome(lease)
            setattr(made.measurement, field, value)
            self.assert_fails(grpc.StatusCode.INVALID_ARGUMENT, "OUTCOME_INVALID",
                              lambda: one.complete(lease, made))
        one.run(job)
        for trial in client.trials(job):
            if trial.state == types.TRIAL_MEASURED:
                self.assertTrue(math.isfinite(trial.measurement.latency_us))
        self.check()

    def test_20_bytes_that_are_no_message_are_refused(self):
        host, port = self.service.address.split(":")
        for garbage in (self.random.randbytes(100_000), b"GET / HTTP/1.1\r\n\r\n",
                        b"\x16\x03\x01\x02\x00" + self.random.randbytes(512),
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.random.randbytes(5000)):
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.settimeout(2)
                try:
                    connection.sendall(garbage)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass
        client = self.service.client()
        for service in ("Search/CreateJob", "Workers/CompleteTrial", "Workers/RegisterWorker",
                        "Admin/Backup", "Artifacts/FindMissing"):
            call = client.channel.unary_unary(f"/lathe.v1.{service}", lambda m: m, lambda m: m)
            for _ in range(20):
                with self.assertRaises(grpc.RpcError):
                    call(b"\xff" + self.random.randbytes(self.random.randint(0, 300)), timeout=10)
        # Above the limit of a message.
        call = client.channel.unary_unary("/lathe.v1.Search/CreateJob", lambda m: m, lambda m: m)
        with self.assertRaises(grpc.RpcError) as huge:
            call(bytes(80 << 20), timeout=60)
        self.assertEqual(huge.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertLess(self.service.memory_bytes(), 1 << 30)
        self.assertEqual(client.search.ListJobs(
            f.search.ListJobsRequest(), timeout=10).next_page_token, "")
        self.check()

    def test_20_hostile_models_cost_their_job_and_nothing_else(self):
        corpus = sorted((lathe.SOURCE / "evaluator/fuzz/corpus").glob("bad_*"))
        self.assertTrue(corpus)
        client = self.service.client()
        process = lathe.Process(self.folder / "real.log", "lathe-worker", "--server",
                                self.service.address, "--cache", self.folder / "real-cache")
        self.service.workers.append(process)
        data = lathe.make_glyphs(self.folder, count=60).read_bytes()
        jobs = []
        for path in self.random.sample(corpus, min(8, len(corpus))):
            spec = types.JobSpec(model_digest=client.upload(path.read_bytes()), agent="random",
                                 trials=3)
            spec.dataset.digest = client.upload(data)
            jobs.append((path.name, client.search.CreateJob(f.search.CreateJobRequest(
                spec=spec, request_id=path.name[:60]), timeout=20).name))
        for name, job in jobs:
            with self.subTest(model=name):
                ended = self.wait_done(client, job, 120)
                self.assertEqual(ended.state, types.JOB_FAILED)
                self.assertTrue(ended.state_reason)
        self.assertIsNone(process.popen.poll())
        self.check()


class CredentialFaults(f.FaultTest):
    """The programs themselves, with tokens; the refusals one by one are tested
    in server/security_test.cc."""

    def make_service(self):
        self.tokens = self.folder / "tokens"
        for role in ("viewer", "user", "worker", "admin"):
            self.make_token(role)
        return f.FaultService(self.folder, "--tokens", self.tokens)

    def make_token(self, role, days=1):
        done = lathe.run("lathe-server", "token", "--tokens", self.tokens, "--name", role,
                         "--role", role, "--days", days)
        self.assertEqual(done.returncode, 0, done.stderr)
        (self.folder / role).write_text(done.stdout)

    def lathe(self, role, *arguments):
        return self.service.lathe("--token-file", self.folder / role, *arguments)

    def test_21_wrong_tokens_and_roles_are_denied(self):
        (self.folder / "wrong").write_text("lathe-wrong\n")
        for role, command, code in (
                ("viewer", ["list"], 0), ("wrong", ["list"], 4), ("worker", ["list"], 4),
                ("viewer", ["cancel", "1"], 4), ("user", ["cancel", "1"], 3),
                ("user", ["check"], 4), ("admin", ["check"], 0),
                ("user", ["backup", "/tmp/never"], 4)):
            with self.subTest(role=role, command=command):
                done = self.lathe(role, *command)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(self.service.lathe("list").returncode, 4)
        self.make_token("viewer", days=0)
        self.wait(lambda: self.lathe("viewer", "list").returncode == 4, "the token expires")
        denied = self.service.start_simulated("--token-file", self.folder / "user")
        self.assertNotEqual(denied.popen.wait(timeout=30), 0)
        audit = (self.service.state / "audit.log").read_text()
        self.assertIn('"code":"PERMISSION_DENIED"', audit)
        for role in ("viewer", "user", "worker", "admin"):
            self.assertNotIn((self.folder / role).read_text().strip(), audit)
        self.check()

    def test_21_a_worker_with_its_token_runs_a_whole_job(self):
        data = lathe.make_glyphs(self.folder, count=60)
        done = self.lathe("user", "submit", "--model", lathe.SAMPLE_MODEL, "--data", data,
                          "--scale", lathe.GLYPH_SCALE, "--trials", 5, "--agent", "random")
        self.assertEqual(done.returncode, 0, done.stderr)
        job = done.stdout.strip()
        self.service.start_simulated("--token-file", self.folder / "worker")
        self.wait(lambda: "DONE" in self.lathe("viewer", "show", job).stdout, "the job is done")
        # The models of its frontier were uploaded under the worker's fence.
        missing = self.service.query(
            "SELECT count(*) FROM frontier f JOIN trials t ON t.job = f.job AND "
            "t.number = f.number WHERE t.artifact_digest = ''")
        self.assertEqual(missing, [(0,)])
        self.check()


if __name__ == "__main__":
    unittest.main()
