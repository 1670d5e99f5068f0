#!/usr/bin/env python3
"""kill -9 of the server and of workers, again and again, while they work.

    tests/faults/kill_storm.py [--kills 1000] [--minutes M] [--seed 1] [--workers 3]

Three kinds of work go on at once: workers of the real program with simulated
evaluations (which are killed), two workers driven call by call here, which
remember every answer, and clients that make jobs and watch one. At the end
the jobs are let finish; then every answered completion must be stored under
its fence, every job done, and `lathe-server --check` content: one result a
trial, none stuck, events without gaps. Prints one line of JSON.
"""
import argparse
import contextlib
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

import fault_system as f
from fault_system import grpc, types

TRIALS = 60


class Storm:
    def __init__(self, folder, options):
        self.random = random.Random(options.seed)
        self.options = options
        self.service = f.FaultService(folder)
        self.acknowledged = {}  # Trial's name by fence.
        self.fenced = 0
        self.jobs = []
        self.is_over = threading.Event()
        self.kills = {"server": 0, "worker": 0}
        self.watched = []
        self.failures = []

    def client(self):
        return self.service.client()

    def run(self):
        self.service.start_server()
        for _ in range(self.options.workers):
            self.start_worker()
        threads = [threading.Thread(target=self.guard, args=(work,)) for work in
                   (self.make_jobs, self.work, self.work, self.watch)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 60 * self.options.minutes
        while (sum(self.kills.values()) < self.options.kills and not self.failures
               and time.monotonic() < end):
            time.sleep(self.random.uniform(0, 0.5))
            self.kill_something()
        self.is_over.set()
        for thread in threads:
            thread.join()

    def guard(self, work):
        try:
            work()
        except Exception as failed:  # Told at the end; the storm stops.
            self.failures.append(f"{work.__name__}: {failed!r}")

    def start_worker(self):
        self.service.start_simulated("--sleep-ms", self.random.choice((1, 10, 60)))

    def kill_something(self):
        if self.random.random() < 0.5:
            self.wait_for_work()
            self.service.server.kill()
            self.service.start_server()
            self.kills["server"] += 1
            return
        living = [w for w in self.service.workers if w.popen.poll() is None]
        victim = self.random.choice(living)
        victim.kill()
        victim.log.close()
        self.service.workers.remove(victim)
        self.start_worker_as_new()
        self.kills["worker"] += 1

    def wait_for_work(self):
        """A server that dies before anybody found it again tests little: until
        leases are granted, and some moment more."""
        def newest():
            return self.service.query("SELECT ifnull(max(fence), 0) FROM attempts")[0][0]
        before, deadline = newest(), time.monotonic() + 6
        while newest() < before + 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(self.random.uniform(0, 0.3))

    def start_worker_as_new(self):
        # Logs and caches are by number; a new number for every process.
        self.service.workers.append(None)
        try:
            number = sum(self.kills.values()) + 1000
            import lathe_system as lathe
            self.service.workers[-1] = lathe.Process(
                self.service.folder / f"worker{number % 20}.log", "lathe-simulated-worker",
                "--server", self.service.address, "--cache",
                self.service.folder / f"cache{number % 5}", "--sleep-ms",
                self.random.choice((1, 10, 60)))
        finally:
            self.service.workers = [w for w in self.service.workers if w is not None]

    def retried(self, call, is_patient=True):
        while True:
            try:
                return call()
            except grpc.RpcError as failed:
                if failed.code() not in (grpc.StatusCode.UNAVAILABLE,
                                         grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise
                if not is_patient and self.is_over.is_set():
                    raise
                time.sleep(0.05)

    def make_jobs(self):
        client = self.client()
        while not self.is_over.is_set():
            number = len(self.jobs)
            name = self.retried(lambda: client.create_job(
                trials=TRIALS, request_id=f"storm-{number}", seed=number))
            self.jobs.append(name)
            while not self.is_over.is_set():
                job = self.retried(lambda: client.job(name))
                if job.state == types.DONE:
                    break
                assert job.state in (types.PENDING, types.RUNNING), job.state_reason
                time.sleep(0.1)

    def work(self):
        client = self.client()
        one = None
        profile = None
        while not self.is_over.is_set():
            try:
                if profile is None:
                    profile = self.find_profile(client)
                    continue
                if one is None:
                    one = RealProfileWorker(client, profile)
                for lease in one.lease(wait=0.2):
                    self.complete(one, lease)
            except grpc.RpcError as failed:
                if f.reason_of(failed) == "SESSION_UNKNOWN":
                    with contextlib.suppress(grpc.RpcError):
                        one.register()
                time.sleep(0.05)

    def find_profile(self, client):
        """That of the simulated workers, from a measured baseline."""
        for name in list(self.jobs):
            job = client.job(name)
            if job.HasField("profile"):
                return job.profile, client.trials(name)[0].measurement
        time.sleep(0.1)
        return None

    def complete(self, one, lease):
        if lease.trial_number == 0:
            one.release(lease.fence)
            return
        try:
            self.retried(lambda: one.complete_with_own(lease))
            self.acknowledged[lease.fence] = lease.trial
        except grpc.RpcError as failed:
            assert f.reason_of(failed) == "LEASE_FENCED", failed
            self.fenced += 1

    def watch(self):
        """The events of the first job, across every death of the server."""
        client = self.client()
        while not self.jobs:
            time.sleep(0.05)
        name = self.jobs[0]
        while True:
            after = self.watched[-1] if self.watched else 0
            try:
                for event in client.search.WatchJob(f.search.WatchJobRequest(
                        name=name, resume_sequence=after), timeout=600):
                    self.watched.append(event.sequence)
                return
            except grpc.RpcError as failed:
                assert failed.code() == grpc.StatusCode.UNAVAILABLE, failed
                if self.is_over.is_set():
                    return
                time.sleep(0.05)

    def finish(self):
        """Lets the jobs end; what is wrong then."""
        client = self.client()
        problems = list(self.failures)
        deadline = time.monotonic() + 120
        for name in self.jobs:
            while (job := self.retried(lambda: client.job(name))).state != types.DONE:
                if time.monotonic() > deadline:
                    problems.append(f"{name} is stuck: {job.state} {job.counts}")
                    break
                time.sleep(0.1)
        stored = dict(self.service.query(
            "SELECT a.fence, 'jobs/' || t.job || '/trials/' || t.number FROM attempts a "
            "JOIN trials t ON t.id = a.trial WHERE a.outcome = 1 AND t.state = 3"))
        for fence, trial in self.acknowledged.items():
            if stored.get(fence) != trial:
                problems.append(f"answered completion of {trial} under {fence} is lost")
        if self.watched != list(range(1, len(self.watched) + 1)):
            problems.append("the watcher missed or repeated an event")
        return problems


class RealProfileWorker(f.ScriptedWorker):
    """As the simulated workers' machine, so that it gets their jobs' trials."""

    def __init__(self, client, profile):
        self.profile, self.example = profile
        super().__init__(client)

    def register(self, fences=()):
        request = f.worker.RegisterWorkerRequest(session=self.session, fences=fences)
        request.capabilities.profile.CopyFrom(self.profile)
        self.name = self.client.workers.RegisterWorker(request, timeout=20).name

    def complete_with_own(self, lease):
        made = types.Outcome(kind=types.MEASURED, measurement=self.example)
        made.measurement.latency_us = 100 + lease.fence % 1000
        return self.complete(lease, made)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=600, help="most that it kills for")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--keep", help="folder for the state and logs, kept")
    options = parser.parse_args()
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="lathe-storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    random.seed(options.seed)
    start = time.monotonic()
    storm = Storm(folder, options)
    storm.run()
    problems = storm.finish()
    summary = storm.service.check().strip()
    print(json.dumps({
        "kills": storm.kills, "seed": options.seed, "jobs": len(storm.jobs),
        "answered": len(storm.acknowledged), "fenced": storm.fenced,
        "events_watched": len(storm.watched), "problems": problems, "check": summary,
        "seconds": round(time.monotonic() - start)}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
