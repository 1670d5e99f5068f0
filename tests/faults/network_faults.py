"""Partitions, repeated and reordered calls, slow watchers."""
import concurrent.futures
import time
import unittest

import fault_system as f
from fault_system import grpc, search, types, worker


class NetworkFaults(f.FaultTest):
    def partition(self, seconds, sleep_ms, *directions):
        """A simulated worker behind a network that is cut while it works, and,
        if for long, one beside it. How many leases expired."""
        client = self.service.client()
        proxy = f.Proxy(self.service.address)
        self.addCleanup(proxy.close)
        self.service.start_simulated("--sleep-ms", sleep_ms, address=proxy.address)
        job = client.create_job(trials=6)
        self.wait(lambda: client.job(job).counts.measured >= 1, "baseline")
        self.wait(lambda: client.job(job).counts.leased == 1, "a trial leased")
        with proxy.cut(*directions):
            time.sleep(seconds)
        if seconds > f.LEASE_SECONDS:
            self.service.start_simulated("--sleep-ms", 20)
        self.assertEqual(self.wait_done(client, job, 120).state, types.DONE)
        self.assertEqual(client.job(job).counts.measured, 6)
        expired = self.service.query("SELECT count(*) FROM attempts WHERE why = 'expired'")
        self.check()  # One result a trial.
        return expired[0][0]

    def test_07_a_short_partition_requeues_nothing(self):
        # A third of the lease, as 10 s are of the server's default of 30.
        self.assertEqual(self.partition(f.LEASE_SECONDS / 3, sleep_ms=400), 0)

    def test_07_a_long_partition_completes_nothing_twice(self):
        self.assertGreaterEqual(self.partition(2 * f.LEASE_SECONDS, sleep_ms=400), 1)

    def test_07_what_the_worker_says_is_lost_for_long(self):
        # The server hears nothing, and gives the trial to another.
        self.assertGreaterEqual(
            self.partition(2 * f.LEASE_SECONDS, 400, f.Proxy.TO_SERVER), 1)

    def test_07_what_the_server_says_is_lost_for_long(self):
        # Renewals and results arrive, answers do not: the worker stops by itself
        # or repeats what was stored already.
        self.partition(2 * f.LEASE_SECONDS, 400, f.Proxy.TO_CLIENT)

    def test_07_a_worker_that_hears_no_answer_stops_by_itself(self):
        client = self.service.client()
        proxy = f.Proxy(self.service.address)
        self.addCleanup(proxy.close)
        self.service.start_simulated("--sleep-ms", 60_000, address=proxy.address)
        job = client.create_job(trials=1)
        self.wait(lambda: client.job(job).counts.leased == 1, "the trial leased")
        with proxy.cut(f.Proxy.TO_CLIENT):
            self.wait(lambda: b"giving the trial up" in
                      (self.folder / "worker0.log").read_bytes(), "the worker gives up")
        client.search.CancelJob(search.GetJobRequest(name=job), timeout=10)
        self.check()

    def test_08_repeated_calls_change_nothing_more(self):
        client = self.service.client()
        one = f.ScriptedWorker(client)
        spec_digest = client.upload(b"a model")
        request = search.CreateJobRequest(request_id="the-same", spec=types.JobSpec(
            model_digest=spec_digest, agent="random", trials=5,
            dataset=types.DatasetSpec(digest=spec_digest)))
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            jobs = {j.name for j in pool.map(
                lambda _: client.search.CreateJob(request, timeout=20), range(32))}
            job, = jobs
            one.run(job, most=1)
            lease, = one.lease()
            # Two answers that disagree: the first one stored is everybody's.
            answers = list(pool.map(
                lambda i: one.complete(lease, number=i % 2), range(32)))
            self.assertEqual(len({a.SerializeToString() for a in answers}), 1)
            list(pool.map(lambda _: one.register(), range(16)))
        stored = client.trials(job)[lease.trial_number]
        self.assertEqual((stored.state, stored.attempts), (types.TRIAL_MEASURED, 1))
        one.release(lease.fence)  # Too late, and so nothing.
        self.assertEqual(client.trials(job)[lease.trial_number].state, types.TRIAL_MEASURED)
        self.assertEqual(list(one.renew(lease.fence).verdicts),
                         [worker.RenewLeasesResponse.LOST])
        one.run(job)
        # Replayed after the job's end.
        self.assertEqual(one.complete(lease), answers[0])
        self.check()

    def test_08_calls_that_come_in_another_order_are_refused(self):
        client = self.service.client()
        one, other = f.ScriptedWorker(client), f.ScriptedWorker(client)
        job = client.create_job(trials=3)
        one.run(job, most=1)
        lease, = one.lease()
        one.release(lease.fence)
        again = next(l for l in other.lease(slots=8) if l.trial == lease.trial)
        self.assertGreater(again.fence, lease.fence)
        self.assert_fails(grpc.StatusCode.ABORTED, "LEASE_FENCED", lambda: one.complete(lease))
        # Under another's fence.
        self.assert_fails(grpc.StatusCode.ABORTED, "LEASE_FENCED", lambda: one.complete(again))
        self.assert_fails(grpc.StatusCode.ABORTED, "LEASE_FENCED",
                          lambda: one.complete(types.Lease(fence=10**15)))
        other.complete(again)
        other.register()
        one.run(job)
        self.check()

    def test_19_a_watcher_that_reads_nothing_costs_no_memory_and_resumes(self):
        client, slow = self.service.client(), self.service.client()
        one = f.ScriptedWorker(client)
        job = client.create_job(trials=200)
        one.run(job, most=20)
        before = self.service.memory_bytes()
        watches = [slow.search.WatchJob(search.WatchJobRequest(name=job), timeout=300)
                   for _ in range(50)]
        seen = next(watches[0])
        watches[1].cancel()  # Vanished.
        one.run(job)
        grown = self.service.memory_bytes() - before
        if not f.IS_SANITIZED:
            self.assertLess(grown, 150 << 20)
        rest = client.events(job, after=seen.sequence)
        everything = client.events(job)
        self.assertEqual([e.sequence for e in everything], list(range(1, len(everything) + 1)))
        self.assertEqual([e.sequence for e in rest],
                         [e.sequence for e in everything if e.sequence > seen.sequence])
        for watch in watches:
            watch.cancel()
        self.check()


if __name__ == "__main__":
    unittest.main()
