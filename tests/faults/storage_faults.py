"""Disks that are full, refuse to sync, or hold other bytes than were written."""
import contextlib
import hashlib
import os
import pathlib
import signal
import subprocess
import unittest

import fault_system as f
import lathe_system as lathe
from fault_system import artifact, grpc, types
from server_faults import retried, shimmed


class StorageFaults(f.FaultTest):
    def finished_job(self, trials=12):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=trials)
        one.run(job)
        return client, one, job

    def kill_server(self):
        self.service.server.popen.send_signal(signal.SIGKILL)
        self.service.server.popen.wait()

    def test_12_a_torn_end_of_the_log_loses_nothing_that_was_answered(self):
        client, one, job = self.finished_job()
        before = {t.name: t for t in client.trials(job)}
        for _ in range(3):
            self.kill_server()
            log = self.service.state / "lathe.db-wal"
            with open(log, "ab") as torn:
                torn.write(self.random.randbytes(self.random.randint(1, 9000)))
            self.service.start_server()
            after = {t.name: t for t in retried(lambda: client.trials(job))}
            self.assertEqual(after, before)
        self.check()

    def test_12_a_corrupted_database_is_refused_with_the_reason(self):
        self.finished_job()
        self.assertEqual(self.service.server.terminate(30), 0)
        path = self.service.state / "lathe.db"
        data = bytearray(path.read_bytes())
        for page in range(1, len(data) // 4096):
            data[page * 4096:page * 4096 + 64] = self.random.randbytes(64)
        path.write_bytes(data)
        for command in (["--state", self.service.state],
                        ["--check", "--state", self.service.state]):
            done = lathe.run("lathe-server", *command, timeout=60)
            self.assertEqual(done.returncode, 6, done.stdout + done.stderr)
            self.assertIn("lathe.db", done.stderr)
            self.assertIn("restore a backup", done.stderr)

    def test_12_what_contradicts_itself_is_told_by_the_check(self):
        self.finished_job()
        self.assertEqual(self.service.server.terminate(30), 0)
        import sqlite3
        with contextlib.closing(sqlite3.connect(self.service.state / "lathe.db")) as database:
            database.execute("DELETE FROM events WHERE sequence = 5")
            database.execute("DELETE FROM measurements WHERE trial = 3")
            database.execute("DELETE FROM frontier")
            database.commit()
        done = lathe.run("lathe-server", "--check", "--state", self.service.state)
        self.assertEqual(done.returncode, 6)
        for words in ("events are numbered", "exactly one measurement", "frontier"):
            self.assertIn(words, done.stdout)

    def test_17_wrong_digests_and_flipped_bits_are_told(self):
        client, _, _ = self.finished_job(trials=3)
        digest = hashlib.sha256(b"wanted").hexdigest()
        self.assert_fails(
            grpc.StatusCode.INVALID_ARGUMENT, "DIGEST_MISMATCH",
            lambda: client.artifacts.Write(iter([artifact.WriteRequest(
                digest=digest, data=b"other")]), timeout=10))
        self.assertEqual(list(client.artifacts.FindMissing(artifact.FindMissingRequest(
            digests=[digest]), timeout=10).digests), [digest])
        data = self.random.randbytes(3_000_000)
        digest = client.upload(data)
        path = self.service.state / "blobs" / digest[:2] / digest
        flipped = bytearray(data)
        flipped[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        path.write_bytes(flipped)
        self.assert_fails(
            grpc.StatusCode.DATA_LOSS, "BLOB_DAMAGED",
            lambda: list(client.artifacts.Read(artifact.ReadRequest(digest=digest), timeout=10)))
        # Removed and uploaded again it is whole.
        path.unlink()
        client.upload(data)
        self.assertEqual(b"".join(c.data for c in client.artifacts.Read(
            artifact.ReadRequest(digest=digest), timeout=10)), data)
        self.check()

    def test_17_a_damaged_blob_in_a_workers_cache_is_fetched_again(self):
        client = self.service.client()
        first = self.service.start_simulated()
        job = client.create_job(trials=4)
        self.wait_done(client, job)
        first.terminate()
        cached = list((self.folder / "cache0" / "blobs").iterdir())
        self.assertTrue(cached)
        for path in cached:
            path.write_bytes(b"flipped" + path.read_bytes())
        again = client.create_job(trials=4, seed=6)
        process = lathe.Process(self.folder / "worker-again.log", "lathe-simulated-worker",
                                "--server", self.service.address, "--cache",
                                self.folder / "cache0")
        self.service.workers.append(process)
        self.assertEqual(self.wait_done(client, again).counts.measured, 4)
        for path in cached:
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
        self.check()


class FullDisk(f.FaultTest):
    """The state lies on a small file system of the server's own."""

    def make_service(self):
        (self.folder / "state").mkdir()
        script = f"mount -t tmpfs -o size=12m tmpfs {self.folder}/state && exec \"$@\""
        prefix = ["unshare", "-m", *([] if os.geteuid() == 0 else ["-r"]), "sh", "-c", script, "sh"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
            self.skipTest("no right to mount a small file system")
        return f.FaultService(self.folder, prefix=prefix)

    def test_10_a_full_disk_is_told_reads_work_and_it_recovers(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=400)
        one.run(job, most=5)
        lease, = one.lease()
        # The server's view of its own file system.
        state = pathlib.Path(f"/proc/{self.service.server.popen.pid}/root{self.folder}/state")
        # Unbuffered: closing must have nothing left to write.
        with open(state / "filler", "wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(65536))
        self.assert_fails(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL",
                          lambda: client.upload(self.random.randbytes(200_000)))
        acknowledged = []

        def fill_up():
            # What fits into the log's free space is taken, and stays.
            for i in range(300):
                client.create_job(trials=1, request_id=f"filling-{i}")
                acknowledged.append(i)
        with self.assertRaises(grpc.RpcError) as full:
            fill_up()
        self.assertEqual(full.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn("full", full.exception.details())
        self.assertEqual(client.job(job).counts.measured, 5)
        self.assertEqual(len(client.trials(job)[0].name) > 0, True)
        # Renewals need no disk.
        self.assertEqual(list(one.renew(lease.fence).verdicts),
                         [f.worker.RenewLeasesResponse.GO_ON])
        (state / "filler").unlink()
        one.complete(lease)
        client.search.CancelJob(f.search.GetJobRequest(name=job), timeout=10)
        names = client.search.ListJobs(f.search.ListJobsRequest(page_size=1000), timeout=10)
        self.assertGreaterEqual(len(names.jobs), 1 + len(acknowledged))
        client.upload(b"room again")
        # The folder lives only as long as the server: checked from inside.
        found = client.admin.CheckIntegrity(
            artifact.CheckIntegrityRequest(reads_blobs=True), timeout=60)
        self.assertEqual(list(found.problems), [])


class RefusedSync(f.FaultTest):
    def make_service(self):
        return f.FaultService(self.folder, environment=shimmed(self.folder))

    def test_11_a_refused_sync_ends_the_server_and_a_start_recovers(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=10)
        one.run(job, most=5)
        lease, = one.lease()
        (self.folder / "fault").write_text("sync")
        with self.assertRaises(grpc.RpcError):
            one.complete(lease)
        self.assertEqual(self.service.server.popen.wait(timeout=20), 74)
        (self.folder / "fault").unlink()
        self.service.start_server()
        # What was not answered may have reached the disk, or not.
        self.assertIn(retried(lambda: client.job(job)).counts.measured, (5, 6))
        retried(lambda: one.register([lease.fence]))
        one.complete(lease)
        one.run(job)
        self.assertEqual(client.job(job).counts.measured, 10)
        self.check()


if __name__ == "__main__":
    unittest.main()
