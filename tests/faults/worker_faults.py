"""Workers that die, stall, crash, are sick, or are told to stop."""
import os
import signal
import time
import unittest

import fault_system as f
from fault_system import types, worker


class WorkerFaults(f.FaultTest):
    def test_02_a_worker_killed_in_mid_trial_is_replaced(self):
        client = self.service.client()
        victim = self.service.start_simulated("--sleep-ms", 300)
        job = client.create_job(trials=12)
        self.wait(lambda: client.job(job).counts.measured >= 3, "3 measured")
        time.sleep(self.random.uniform(0, 0.3))
        victim.kill()
        before = {t.number: t.measurement.latency_us for t in client.trials(job)
                  if t.state == types.TRIAL_MEASURED}
        self.service.start_simulated("--sleep-ms", 20)
        done = self.wait_done(client, job)
        self.assertEqual(done.state, types.DONE)
        after = client.trials(job)
        self.assertEqual(len(after), 12)
        for number, latency in before.items():
            self.assertEqual(after[number].measurement.latency_us, latency)
        self.check()

    def test_03_a_worker_stopped_past_its_lease_is_fenced(self):
        client = self.service.client()
        slow = self.service.start_simulated("--sleep-ms", 1500)
        job = client.create_job(trials=2)
        self.wait(lambda: client.job(job).counts.measured == 1, "baseline")
        self.wait(lambda: client.job(job).counts.leased == 1, "trial 1 leased")
        os.kill(slow.popen.pid, signal.SIGSTOP)
        other = f.ScriptedWorker(client, "session-of-the-other")
        request = worker.RegisterWorkerRequest(session=other.session)
        request.capabilities.profile.CopyFrom(client.job(job).profile)
        client.workers.RegisterWorker(request, timeout=10)
        lease, = self.wait(lambda: other.lease(wait=1), "the lease expires")
        made = types.Outcome(kind=types.MEASURED,
                             measurement=client.trials(job)[0].measurement)
        made.measurement.latency_us = 77
        other.complete(lease, made)
        os.kill(slow.popen.pid, signal.SIGCONT)
        self.wait(lambda: b"lost" in (self.folder / "worker0.log").read_bytes()
                  or b"not active" in (self.folder / "worker0.log").read_bytes(),
                  "the stopped worker hears that it lost its lease")
        self.assertEqual(self.wait_done(client, job).state, types.DONE)
        trial = client.trials(job)[1]
        self.assertEqual(trial.measurement.latency_us, 77)
        self.assertEqual(trial.attempts, 2)
        self.check()

    def run_faulty(self, fault, *arguments):
        """One sick class of plans; what became of their trials."""
        client = self.service.client()
        for _ in range(2):
            self.service.start_simulated("--fault", fault, "--fault-bits", 4, *arguments)
        job = client.create_job(trials=14)
        self.assertEqual(self.wait_done(client, job, 120).state, types.DONE)
        trials = client.trials(job)
        sick = [t for t in trials if t.number and t.proposal.plan.layers[0].weight_bits == 4]
        healthy = [t for t in trials if t not in sick]
        self.assertTrue(sick, "no plan was drawn that goes wrong: another seed")
        for trial in healthy:
            self.assertIn(trial.state, (types.TRIAL_MEASURED, types.TRIAL_INFEASIBLE))
        for trial in sick:
            self.assertEqual(trial.state, types.TRIAL_QUARANTINED)
        # Both workers live.
        for process in self.service.workers:
            self.assertIsNone(process.popen.poll())
        kinds = {kind for kind, in self.service.query(
            "SELECT DISTINCT outcome FROM attempts WHERE outcome > 2")}
        self.check()
        return sick, kinds

    def test_04_an_evaluator_that_segfaults_costs_one_attempt(self):
        sick, kinds = self.run_faulty("segfault")
        self.assertEqual(kinds, {types.CRASH})
        self.assertIn("about to segfault", sick[0].state_reason)

    def test_04_an_evaluator_that_aborts_costs_one_attempt(self):
        self.assertEqual(self.run_faulty("abort")[1], {types.CRASH})

    def test_04_an_evaluator_that_hangs_is_killed(self):
        # Healthy evaluations end within it on a busy machine, too.
        limit_ms = 5000 if f.IS_SANITIZED else 1000
        self.assertEqual(self.run_faulty("hang", "--time-limit-ms", limit_ms)[1],
                         {types.TIMEOUT})

    @unittest.skipIf(f.IS_SANITIZED, "AddressSanitizer ends a process that gets no memory")
    def test_04_an_evaluator_without_memory_costs_one_attempt(self):
        self.assertEqual(self.run_faulty("allocate")[1], {types.OUT_OF_MEMORY})

    def test_05_a_poison_trial_is_quarantined_and_harms_no_other(self):
        client = self.service.client()
        workers = [f.ScriptedWorker(client) for _ in range(2)]
        job = client.create_job(trials=8)
        self.assertEqual(workers[0].run(job, most=1), 1)
        poison = None
        seen = []
        while client.job(job).state != types.DONE:
            for one in workers:
                for lease in one.lease(wait=0.1):
                    poison = poison or lease.trial
                    if lease.trial == poison:
                        seen.append(one.session)
                        one.fail(lease, types.CRASH, f"boom {len(seen)}")
                    else:
                        one.complete(lease)
        trial = next(t for t in client.trials(job) if t.name == poison)
        self.assertEqual(trial.state, types.TRIAL_QUARANTINED)
        self.assertEqual(trial.state_reason, f"boom {len(seen)}")
        self.assertEqual((len(seen), len(set(seen))), (3, 2))
        self.assertEqual(client.job(job).counts.measured, 7)
        self.check()

    def test_06_a_sick_worker_is_cordoned(self):
        client = self.service.client()
        sick, healthy = f.ScriptedWorker(client), f.ScriptedWorker(client)
        job = client.create_job(trials=30)
        healthy.run(job, most=1)
        state = {}
        while client.job(job).state != types.DONE:
            for lease in sick.lease(wait=0.02):
                sick.fail(lease, types.CRASH)
            for lease in healthy.lease(wait=0.02):
                healthy.complete(lease)
            state = {w.name: w.state for w in client.admin.ListWorkers(
                f.artifact.google_dot_protobuf_dot_empty__pb2.Empty(), timeout=10).workers}
        self.assertEqual(state[sick.name], "cordoned")
        self.assertNotEqual(state[healthy.name], "cordoned")
        counts = client.job(job).counts
        self.assertEqual((counts.measured, counts.quarantined), (30, 0))
        self.check()

    def test_22_cancel_stops_all_within_two_renewals(self):
        client = self.service.client()
        first = self.service.start_simulated("--sleep-ms", 10)
        job = client.create_job(trials=100)
        self.wait(lambda: client.job(job).counts.measured >= 1, "baseline")
        first.terminate()  # The leases that are counted are those of the five.
        for _ in range(5):
            self.service.start_simulated("--sleep-ms", 30000)
        self.wait(lambda: client.job(job).counts.leased >= 5, "5 leased")
        client.search.CancelJob(f.search.GetJobRequest(name=job), timeout=10)
        start = time.monotonic()
        logs = [self.folder / f"worker{i}.log" for i in range(1, 6)]
        self.wait(lambda: all(b"given back" in log.read_bytes() for log in logs),
                  "all gave their trials back")
        # Renewals are spread by a quarter; a second for six processes on few cores.
        self.assertLess(time.monotonic() - start, 2 * 1.25 * f.RENEW_SECONDS + 1)
        self.check()

    def test_23_pause_survives_a_restart(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=10)
        one.run(job, most=4)
        # A proposal on its way when the job is paused is still stored.
        self.wait(lambda: client.job(job).counts.pending == 2, "two trials proposed ahead")
        client.search.PauseJob(f.search.GetJobRequest(name=job), timeout=10)
        before = client.job(job)
        self.service.server.kill()
        self.service.start_server()
        self.wait(lambda: self.is_back(client, job), "server back")
        self.assertEqual(client.job(job), before)
        self.assertEqual(before.state, types.PAUSED)
        one.register()
        self.assertEqual(one.lease(wait=0.3), [])
        client.search.ResumeJob(f.search.GetJobRequest(name=job), timeout=10)
        one.run(job)
        self.assertEqual(client.job(job).counts.measured, 10)
        self.check()

    @staticmethod
    def is_back(client, job):
        try:
            return client.job(job)
        except f.grpc.RpcError:
            return None


if __name__ == "__main__":
    unittest.main()
