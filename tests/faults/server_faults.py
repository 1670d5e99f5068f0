"""A server that is killed, ended, doubled, or whose clock jumps."""
import contextlib
import os
import pathlib
import subprocess
import threading
import time
import unittest
import unittest.mock

import fault_system as f
import lathe_system as lathe
from fault_system import grpc, types


def retried(call, seconds=120):
    """As a worker does: again while the server is away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except grpc.RpcError as failed:
            if failed.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED,
                                     grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class ReconnectFaults(f.FaultTest):
    def make_service(self):
        # No lease ends while a thousand polls are answered on a busy machine.
        return f.FaultService(self.folder, lease_seconds=120)

    def test_16_a_thousand_workers_that_reconnect_at_once_are_served(self):
        clients = [self.service.client() for _ in range(20)]
        job = clients[0].create_job(trials=5)

        def register_all():
            """As workers do: all at once, and again while the server is away."""
            left = list(range(1000))
            while left:
                calls = []
                for i in left:
                    request = f.worker.RegisterWorkerRequest(session=f"session-number-{i:05d}")
                    request.capabilities.profile.CopyFrom(f.PROFILE)
                    calls.append((i, clients[i % 20].workers.RegisterWorker.future(
                        request, timeout=30, wait_for_ready=True)))
                left = [i for i, call in calls if call.exception() is not None]

        register_all()
        before = self.service.memory_bytes()
        self.service.server.kill()
        self.service.start_server()
        start = time.monotonic()
        register_all()
        polls = [clients[i % 20].workers.LeaseTrials.future(f.worker.LeaseTrialsRequest(
            session=f"session-number-{i:05d}", slots=1, wait_seconds=1), timeout=30)
            for i in range(1000)]
        leases = [lease for poll in polls for lease in poll.result().leases]
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual(len(leases), 1)  # The baseline.
        self.assertLess(self.service.memory_bytes(), before + (200 << 20))
        self.assertEqual(clients[0].job(job).counts.leased, 1)
        self.check()


class BackupFaults(f.FaultTest):
    """Tests that end with a copy of the database to be looked at."""

    def check_copy(self, copy, name):
        state = self.folder / name
        done = lathe.run("lathe-server", "restore", "--from", copy, "--state", state)
        self.assertEqual(done.returncode, 0, done.stderr)
        os.symlink(self.service.state / "blobs", state / "blobs")
        done = lathe.run("lathe-server", "--check", "--state", state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("30 trials", done.stdout)


class ServerFaults(BackupFaults):
    def test_01_killed_at_any_moment_it_loses_no_answer(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=80)
        acknowledged = {}
        kills = 0
        is_over = threading.Event()

        def kill_again_and_again():
            nonlocal kills
            while not is_over.is_set() and kills < 8:
                time.sleep(self.random.uniform(0.02, 0.3))
                self.service.server.kill()
                self.service.start_server()
                kills += 1

        killer = threading.Thread(target=kill_again_and_again)
        killer.start()
        try:
            while retried(lambda: client.job(job)).state != types.DONE:
                try:
                    leases = one.lease(wait=0.2)
                except grpc.RpcError:
                    with contextlib.suppress(grpc.RpcError):
                        one.register()
                    continue
                for lease in leases:
                    try:
                        retried(lambda: one.complete(lease))
                        acknowledged[lease.fence] = lease.trial
                    except grpc.RpcError as failed:
                        # A registration after a restart ended it: it runs again.
                        self.assertEqual(f.reason_of(failed), "LEASE_FENCED")
        finally:
            is_over.set()
            killer.join()
        trials = {t.name: t for t in retried(lambda: client.trials(job))}
        self.assertEqual(len(trials), 80)
        for fence, name in acknowledged.items():
            self.assertEqual(trials[name].state, types.TRIAL_MEASURED)
        self.assertEqual(len(set(acknowledged.values())), len(acknowledged))
        # The retry of an answered call is answered alike.
        fence, name = max(acknowledged.items())
        lease = types.Lease(fence=fence, trial=name, trial_number=trials[name].number,
                            plan=trials[name].proposal.plan)
        retried(lambda: one.complete(lease))
        self.check()

    def test_13_a_second_server_on_the_same_state_is_refused(self):
        done = lathe.run("lathe-server", "--state", self.service.state, timeout=30)
        self.assertEqual(done.returncode, 5)
        self.assertIn(str(self.service.server.popen.pid), done.stderr)
        self.check()

    def test_14_killed_in_its_first_start_or_a_backup_it_starts_again(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=30)
        one.run(job)
        for i in range(4):
            target = self.folder / f"backup{i}.db"
            backup = subprocess.Popen(
                [lathe.BIN / "lathe", "--server", self.service.address, "backup", target],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.random.uniform(0, 0.06))
            self.service.server.kill()
            backup.wait(timeout=60)
            # Complete under its name, or not there.
            if target.exists():
                self.check_copy(target, f"restored{i}")
            self.service.start_server()
        for i in range(4):
            state = self.folder / f"new{i}"
            process = subprocess.Popen(
                [lathe.BIN / "lathe-server", "--state", state], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            time.sleep(self.random.uniform(0, 0.08))
            process.kill()
            process.wait()
            again = subprocess.Popen(
                [lathe.BIN / "lathe-server", "--state", state], stdout=subprocess.PIPE, text=True)
            self.assertIn("listening", again.stdout.readline())
            again.terminate()
            self.assertEqual(again.wait(timeout=20), 0)
            again.stdout.close()
        self.check()

    def test_16_a_hundred_workers_that_fetch_at_once_are_served(self):
        clients = [self.service.client() for _ in range(100)]
        data = self.random.randbytes(4_000_000)
        digest = clients[0].upload(data)
        before = self.service.memory_bytes()
        streams = [client.artifacts.Read(f.artifact.ReadRequest(digest=digest), timeout=60,
                                         wait_for_ready=True) for client in clients]
        first = [next(stream) for stream in streams]  # All are open at once.
        # A chunk or two for each, not the blob for each.
        if not f.IS_SANITIZED:
            self.assertLess(self.service.memory_bytes(), before + (350 << 20))
        for chunk, stream in zip(first, streams):
            self.assertEqual(chunk.data + b"".join(c.data for c in stream), data)
        self.check()

    def test_24_told_to_end_it_ends_open_streams_and_polls(self):
        client = self.service.client()
        job = client.create_job(trials=5)
        one = f.ScriptedWorker(client)
        lease, = one.lease()
        watch = client.search.WatchJob(f.search.WatchJobRequest(name=job), timeout=60)
        next(watch)
        poll = client.workers.LeaseTrials.future(f.worker.LeaseTrialsRequest(
            session=one.session, slots=1, wait_seconds=25), timeout=40)
        time.sleep(0.1)
        self.assertEqual(self.service.server.terminate(20), 0)
        self.assertEqual(list(poll.result().leases), [])
        with self.assertRaises(grpc.RpcError) as ended:
            list(watch)
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.service.start_server()
        one.register([lease.fence])
        retried(lambda: one.complete(lease))
        one.run(job)
        self.check()

    def test_25_an_agent_is_rebuilt_by_replay(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=16, agent="rl")
        one.run(job, most=10)
        before = {t.name: t.plan_digest for t in retried(lambda: client.trials(job))}
        self.assertEqual(self.service.server.terminate(30), 0)
        import sqlite3
        with contextlib.closing(sqlite3.connect(self.service.state / "lathe.db")) as database:
            database.execute("DELETE FROM agent_state")
            database.commit()
        self.service.start_server()
        retried(one.register)
        one.run(job)
        after = {t.name: t.plan_digest for t in client.trials(job)}
        self.assertEqual(len(after), 16)
        self.assertLessEqual(before.items(), after.items())
        # It says so when the agent would not have proposed what is stored.
        self.assertNotIn("on replay", (self.folder / "server.log").read_text())
        self.check()


class KilledAtAStep(BackupFaults):
    """The server ends at steps (writes, syncs, renames) that the seed draws."""

    POINTS = 5

    def make_service(self):
        return f.FaultService(self.folder, environment=shimmed(self.folder))

    def fault(self, text):
        (self.folder / "fault").write_text(text)

    def steps(self):
        path = self.folder / "fault.steps"
        return path.stat().st_size if path.exists() else 0

    def drawn(self, steps):
        """Steps from the first to the last, those among them."""
        self.assertGreater(steps, 2)
        count = min(self.POINTS, steps)
        return sorted({1, steps, *self.random.sample(range(1, steps + 1), count)})

    def finished_job(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=30)
        one.run(job)
        return client, job, client.trials(job)

    def test_14_killed_at_any_step_of_a_migration_the_next_start_goes_on(self):
        _, job, trials = self.finished_job()
        self.assertEqual(self.service.server.terminate(30), 0)
        path = self.service.state / "lathe.db"
        turn_to_schema_1(path)
        old = path.read_bytes()
        copy = path.with_name("lathe.db.schema-1")

        def start_anew(fault):
            """Whether a start from the old schema came to listen."""
            for made in self.service.state.glob("lathe.db*"):
                made.unlink()
            path.write_bytes(old)
            self.fault(fault)
            process = subprocess.Popen(
                self.service.server_command(), stdout=subprocess.PIPE, text=True,
                env={**os.environ, **self.service.environment}, stderr=subprocess.DEVNULL)
            line = process.stdout.readline()
            steps = self.steps()
            process.kill()
            process.wait()
            process.stdout.close()
            return line.startswith("listening"), steps

        is_up, steps = start_anew("count")
        self.assertTrue(is_up)
        killed = 0
        for point in self.drawn(steps):
            is_up, _ = start_anew(f"kill {point}")
            killed += not is_up
            self.fault("")
            self.service.start_server()
            client = self.service.client()
            self.assertEqual(retried(lambda: client.trials(job)), trials)
            self.assertEqual(self.service.server.terminate(30), 0)
            self.assertEqual(version_of(copy), 1)
            done = lathe.run("lathe-server", "--check", "--state", self.service.state)
            self.assertEqual(done.returncode, 0, f"step {point}: {done.stdout}{done.stderr}")
        self.assertGreater(killed, 2)

    def test_14_killed_at_any_step_of_a_backup_it_leaves_none_or_a_whole_one(self):
        client, job, trials = self.finished_job()
        path = self.folder / "copy.db"

        def backup():
            with contextlib.suppress(grpc.RpcError):
                client.admin.Backup(f.artifact.BackupRequest(path=str(path)), timeout=20)
                return True
            return False

        self.fault("count")
        before = self.steps()
        self.assertTrue(backup())
        points = self.drawn(self.steps() - before)
        for i, point in enumerate(points):
            path.unlink(missing_ok=True)
            self.fault("")
            if self.service.server.popen.poll() is not None:
                self.service.start_server()
            retried(lambda: client.job(job))
            self.fault(f"kill {point}")
            if backup():
                self.service.server.kill()
            self.service.server.popen.wait(timeout=20)
            self.fault("")
            if path.exists():
                self.check_copy(path, f"restored{i}")
        self.service.start_server()
        self.assertEqual(retried(lambda: client.trials(job)), trials)
        # What was left half is no obstacle.
        path.unlink(missing_ok=True)
        self.assertTrue(backup())
        self.check()


def turn_to_schema_1(path):
    """Undoes versions 3 and 2 (storage/schema.cc) in a database."""
    import sqlite3
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript("""
            PRAGMA journal_mode = DELETE;
            DROP INDEX jobs_by_end;
            DROP INDEX jobs_by_state;
            DROP INDEX trials_unlearned;
            CREATE UNIQUE INDEX trials_unlearned ON trials (job, end_sequence)
              WHERE learn_sequence IS NULL AND state IN (3, 4);
            DROP INDEX jobs_active;
            DROP TABLE uploads;
            ALTER TABLE workers DROP COLUMN is_draining;
            ALTER TABLE jobs DROP COLUMN creator;
            PRAGMA user_version = 1;""")


def version_of(path):
    import sqlite3
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("PRAGMA user_version").fetchone()[0]


class ClockFaults(f.FaultTest):
    def make_service(self):
        return f.FaultService(self.folder, environment=shimmed(self.folder))

    def test_15_leases_do_not_mind_a_clock_that_jumps(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=6)
        one.run(job, most=1)
        lease, = one.lease()
        for seconds in (86400, -86400, 0):
            (self.folder / "fault").write_text(f"clock {seconds}")
            for _ in range(3):
                time.sleep(f.RENEW_SECONDS)
                self.assertEqual(list(one.renew(lease.fence).verdicts),
                                 [f.worker.RenewLeasesResponse.GO_ON])
            idle = time.monotonic()
            self.assertLessEqual(len(one.lease(wait=0.3)), 1)
            self.assertLess(time.monotonic() - idle, 5)
        one.complete(lease)
        attempts = {trial.name: trial.attempts for trial in client.trials(job)}
        self.assertEqual(attempts[lease.trial], 1)
        # What was leased on the way expires, in its time.
        self.assertEqual(self.run_rest(one, client, job), types.DONE)
        self.check()

    def test_15_a_hanging_evaluation_ends_in_time_when_the_clock_is_set_back(self):
        client = self.service.client()
        with unittest.mock.patch.dict(os.environ, self.service.environment):
            self.service.start_simulated("--fault", "hang", "--time-limit-ms", 1500)
        job = client.create_job(trials=2)
        self.wait(lambda: client.job(job).counts.measured == 1
                  and client.job(job).counts.leased == 1, "an evaluation hangs")
        (self.folder / "fault").write_text("clock -86400")
        self.wait(lambda: self.service.query(
            f"SELECT fence FROM attempts WHERE outcome = {types.TIMEOUT}"), "it is ended")
        self.check()

    def test_15_a_workers_clock_that_jumps_costs_no_lease(self):
        client = self.service.client()
        self.service.server.terminate(20)
        self.service.environment, environment = None, self.service.environment
        self.service.start_server()
        with unittest.mock.patch.dict(os.environ, environment):
            process = self.service.start_simulated("--sleep-ms", 300)
        job = client.create_job(trials=14)
        for seconds in (86400, -86400, 0):
            measured = self.wait(lambda: retried(lambda: client.job(job)).counts.measured,
                                 "a trial measured")
            (self.folder / "fault").write_text(f"clock {seconds}")
            self.wait(lambda: client.job(job).counts.measured >= measured + 3,
                      f"trials are measured at {seconds} s")
        counts = self.wait_done(client, job).counts
        self.assertEqual(counts.measured + counts.infeasible, 14)
        self.assertIsNone(process.popen.poll())
        self.assertEqual({t.attempts for t in client.trials(job)}, {1})
        self.check()

    def run_rest(self, one, client, job):
        one.run(job)
        return client.job(job).state


def shimmed(folder):
    """The environment of a server whose clock and disk obey folder/fault."""
    library = folder / "shim.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library,
                    pathlib.Path(__file__).parent / "shim.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "FAULT_FILE": str(folder / "fault")}


if __name__ == "__main__":
    unittest.main()
