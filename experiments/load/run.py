#!/usr/bin/env python3
"""Measures the service under load, and writes README.md from the figures.

    experiments/load/run.py [--quick] [--only PART,...] [--to FILE]

Needs build/bin/{lathe-server,lathe-load,lathe-simulated-worker}. Everything runs on
this machine, the workers included; alone, please. Parts: yardsticks, pairs,
renewals, busy, large, fetch, memory.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
BIN = pathlib.Path(os.environ.get("LATHE_BIN_DIR", SOURCE / "build" / "bin"))
PARTS = ("yardsticks", "pairs", "renewals", "busy", "large", "fetch", "memory")
# Of each job of the part "memory".
MEMORY_TRIALS = 2_000
# Of fewer nothing is concluded.
LEAST_MEMORY_JOBS = 10
# Before anything counts: agents fit their cost model to the first 400 trials, which takes
# some seconds of a core; a search of real evaluations has minutes for that.
WARM_TRIALS = 1000


def load(*arguments, timeout=600):
    done = subprocess.run([str(BIN / "lathe-load"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"lathe-load {arguments}: {done.stderr}")
    return json.loads(done.stdout)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """Of all processors of the machine together."""
    user, nice, system, _, _, irq, soft = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def timed_work(process, work):
    """What `work` answers, with the processor time of a pair: the server's and the workers'.
    Unlike a rate it means something on a machine that does other things, too."""
    began, own = processor_seconds(process), resource.getrusage(resource.RUSAGE_CHILDREN)
    start, all_before = time.monotonic(), busy_seconds()
    answer = work()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    workers = spent.ru_utime + spent.ru_stime - own.ru_utime - own.ru_stime
    answer["server_us"] = 1e6 * (processor_seconds(process) - began) / answer["pairs"]
    answer["workers_us"] = 1e6 * workers / answer["pairs"]
    own_seconds = processor_seconds(process) - began + workers
    answer["others_cores"] = max(0, busy_seconds() - all_before - own_seconds) / (
        time.monotonic() - start)
    return answer


class Server:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.address = f"127.0.0.1:{free_port()}"
        self.start()

    def start(self):
        """Returns the seconds until it listens."""
        began = time.monotonic()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(BIN / "lathe-server"), "--state", str(self.folder / "state"), "--listen",
                 self.address], stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not re.match(r"listening on ", line):
            raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
        return time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            raise RuntimeError(f"lathe-server ended with {self.process.returncode}: "
                               + (self.folder / "server.log").read_text()[-4000:])

    def resident_mb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024

    def make_job(self, trials, agent="random"):
        return load("job", "--server", self.address, "--trials", trials, "--agent", agent)["job"]

    def fill(self, trials):
        """Completes about so many trials."""
        done = 0
        while done < trials:
            done += self.work(64, 2, warm_up=0.1)["pairs"]
        return done

    def warm(self):
        """Completes WARM_TRIALS, and waits until the agent has learned them."""
        self.fill(WARM_TRIALS)
        while self.unlearned() > 0:
            time.sleep(0.5)

    def query(self, sql, *arguments):
        uri = f"file:{self.folder / 'state' / 'lathe.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return database.execute(sql, arguments).fetchone()[0]

    def unlearned(self):
        """Trials that ended and that the agent has not learned."""
        return self.query("SELECT count(*) FROM trials WHERE state IN (3, 4) AND "
                          "learn_sequence IS NULL")

    def job_state(self, job):
        """As JobState of proto/types.proto; 1 and 2 have not ended."""
        return self.query("SELECT state FROM jobs WHERE id = ?", job.split("/")[1])

    def work(self, workers, seconds, **options):
        flags = [w for k, v in options.items() for w in (f"--{k.replace('_', '-')}", v)]
        return load("work", "--server", self.address, "--workers", workers, "--seconds", seconds,
                    *flags, timeout=seconds + 120)


class Scratch:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="lathe-load-", dir=os.environ.get("LATHE_LOAD_DIR"))
        return pathlib.Path(self.path)

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def yardsticks(seconds, workers):
    address = f"127.0.0.1:{free_port()}"
    echo = subprocess.Popen([str(BIN / "lathe-load"), "echo-server", "--server", address],
                            stdin=subprocess.PIPE)
    try:
        time.sleep(0.5)
        bare = timed_work(echo, lambda: load("work", "--server", address, "--workers", workers,
                                             "--seconds", seconds, "--warm-up", 0))
    finally:
        echo.stdin.close()
        echo.wait()
    with Scratch() as folder:
        commits = {batch: load("sqlite", "--folder", folder / str(batch), "--batch", batch,
                               "--seconds", min(seconds, 3)) for batch in (1, 16, 64)}
    return {"echo": bare, "sqlite": commits}


def pairs(seconds, workers):
    with Scratch() as folder, Server(folder) as server:
        server.make_job(1_000_000)
        server.warm()
        return timed_work(server.process, lambda: server.work(workers, seconds, warm_up=0))


def renewals(seconds):
    """1,000 workers renew every 5 s while others lease and complete."""
    with Scratch() as folder, Server(folder) as server:
        server.make_job(1_000_000)
        server.warm()
        answers = {}
        holders = threading.Thread(target=lambda: answers.update(
            quiet=server.work(1000, seconds, warm_up=8, renew_seconds=5)))
        holders.start()
        holders.join()
        holders = threading.Thread(target=lambda: answers.update(
            loaded=server.work(1000, seconds, warm_up=8, renew_seconds=5)))
        holders.start()
        answers["others"] = server.work(10, seconds + 6, warm_up=2, evaluation_ms=10)
        holders.join()
        return answers


def busy(seconds):
    answers = {}
    for workers in (1, 10, 100, 1000):
        with Scratch() as folder, Server(folder) as server:
            server.make_job(1_000_000)
            server.warm()
            answers[workers] = server.work(workers, seconds, warm_up=3, evaluation_ms=100)
    return answers


def large(trials):
    """A job of many trials: filled, queried, restarted; memory on the way."""
    with Scratch() as folder, Server(folder) as server:
        job = server.make_job(1_000_000)
        memory = []
        began = time.monotonic()
        done = 0
        while done < trials:
            done += server.work(64, 5, warm_up=0.1)["pairs"]
            memory.append((done, server.resident_mb()))
        seconds = time.monotonic() - began
        queries = load("query", "--server", server.address, "--job", job)
        busy_queries = {}
        background = threading.Thread(
            target=lambda: server.work(20, 20, warm_up=1, evaluation_ms=100))
        background.start()
        time.sleep(3)
        busy_queries = load("query", "--server", server.address, "--job", job)
        background.join()
        server.kill()
        listening = server.start()
        after = time.monotonic()
        first = None
        while first is None and time.monotonic() - after < 120:
            if server.work(1, 0.25, warm_up=0)["pairs"] > 0:
                first = listening + time.monotonic() - after
        megabytes = sum(f.stat().st_size for f in (folder / "state").glob("lathe.db*")) / 1e6
        return {"trials": queries["trials"], "fill_seconds": seconds, "memory": memory,
                "queries": queries, "busy_queries": busy_queries,
                "restart_listening_seconds": listening, "restart_first_pair_seconds": first,
                "database_mb": megabytes}


def memory(seconds):
    """Job after job on one server, for so long; whether its memory is flat: over the second half
    of the run it grows by less than a twentieth of what it is, and than 10 MB."""
    with Scratch() as folder, Server(folder) as server:
        began = time.monotonic()
        rows = []
        while time.monotonic() - began < seconds:
            job = server.make_job(MEMORY_TRIALS)
            # Workers find nothing more to do when the job has ended, or the time is over.
            while server.job_state(job) in (1, 2) and time.monotonic() - began < seconds + 30:
                server.work(64, 0.5, warm_up=0.05)
            rows.append({"seconds": round(time.monotonic() - began, 1),
                         "trials": MEMORY_TRIALS * (len(rows) + 1),
                         "resident_mb": round(server.resident_mb(), 1)})
        half = rows[len(rows) // 2:]
        grown = half[-1]["resident_mb"] - half[0]["resident_mb"]
        return {"job_trials": MEMORY_TRIALS, "jobs": len(rows), "seconds": rows[-1]["seconds"],
                "trials": rows[-1]["trials"], "first_mb": rows[0]["resident_mb"],
                "half_mb": half[0]["resident_mb"], "last_mb": rows[-1]["resident_mb"],
                "second_half_grows_mb": round(grown, 1),
                "is_flat": None if len(rows) < LEAST_MEMORY_JOBS else (
                    grown < min(10, half[0]["resident_mb"] / 20)),
                "rows": rows[:: max(1, len(rows) // 50)]}


def fetch(workers, mib):
    """So many worker processes, each with an empty cache of its own, started at once."""
    program = str(BIN / "lathe-simulated-worker")
    with Scratch() as folder, Server(folder) as server, contextlib.ExitStack() as stack:
        job = load("job", "--server", server.address, "--trials", 10 * workers, "--agent",
                   "random", "--model-mib", mib)["job"]
        before = peak = server.resident_mb()
        began, processor = time.monotonic(), processor_seconds(server.process)
        logs = []
        for i in range(workers):
            log = stack.enter_context(open(folder / f"worker{i}.log", "wb"))
            logs.append(folder / f"worker{i}.log")
            process = subprocess.Popen(
                [program, "--server", server.address, "--cache", str(folder / f"cache{i}"),
                 "--sleep-ms", "200"], stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        done = []
        while len(done) < workers and time.monotonic() - began < 300:
            time.sleep(0.2)
            peak = max(peak, server.resident_mb())
            done = [i for i in range(workers) if any(
                re.fullmatch("[0-9a-f]{64}", p.name) and p.stat().st_size >= mib << 20
                for p in (folder / f"cache{i}" / "blobs").glob("*"))]
        seconds = time.monotonic() - began
        spent = processor_seconds(server.process) - processor
        return {"workers": workers, "model_mib": mib, "fetched": len(done),
                "seconds": round(seconds, 1), "server_processor_seconds": round(spent, 1),
                "server_mb_before": round(before), "server_mb_peak": round(peak),
                "job_state": server.job_state(job),
                "warnings": sum(log.read_text(errors="replace").count(" W ") for log in logs)}


def ms(sample, key="p99_ms"):
    return "-" if sample is None else f"{sample[key]:.2f}"


def report(results, command):
    lines = [
        "# The service under load", "",
        f"Written by `{command}`; the machine: {results['machine']}. Server, simulated workers "
        "and what they are compared with share it. A simulated worker "
        "(`lathe-load`) speaks the real protocol and sleeps where others evaluate. Every lease "
        "and every completion is on the disk, synced, before it is answered; the search loop "
        "proposes and learns (agent `random`) meanwhile. Before anything is counted about "
        f"{WARM_TRIALS:,} trials are completed, to the first 400 of which agents fit their cost "
        "model.", ""]
    add = lines.append
    if "yardsticks" in results and "pairs" in results:
        y, p = results["yardsticks"], results["pairs"]
        echo = y["echo"]["pairs_per_second"]
        rate = p["pairs_per_second"]
        add("## Lease and complete")
        add("")
        add(f"{p['workers']} workers that evaluate in no time. Aim: 5,000 pairs a second.")
        add("")
        add("| | a second | against the service | processor time of a pair: server, workers |")
        add("|---|---|---|---|")
        add(f"| lease + complete, durable | {rate:,.0f} pairs | 1 | {p['server_us']:.0f} us, "
            f"{p['workers_us']:.0f} us |")
        add(f"| the same messages, answered by a bare gRPC server | {echo:,.0f} pairs | "
            f"{echo / rate:.1f} | {y['echo']['server_us']:.0f} us, "
            f"{y['echo']['workers_us']:.0f} us |")
        for batch, rates in y["sqlite"].items():
            add(f"| bare SQLite, synced commits of {batch} rows of 1 kB | "
                f"{rates['rows_per_second']:,.0f} rows, {rates['commits_per_second']:,.0f} commits "
                f"| {rates['rows_per_second'] / rate:.1f} | |")
        add("")
        ideal = 1e6 * results["cores"] / (p["server_us"] + p["workers_us"])
        add(f"By its processor time {results['cores']} cores that do nothing else could do at "
            f"most {ideal:,.0f} pairs a second. While this ran, other programs kept "
            f"{p['others_cores']:.1f} cores busy.")
        add("")
        add(f"A lease took {ms(p['lease'], 'p50_ms')} ms (p99 {ms(p['lease'])}), a completion "
            f"{ms(p['completion'], 'p50_ms')} ms (p99 {ms(p['completion'])}); "
            f"{p['errors']} errors.")
        add("")
    if "renewals" in results:
        r = results["renewals"]
        add("## Renewals")
        add("")
        add("1,000 workers renew their leases every 5 s. Aim: p99 under 20 ms.")
        add("")
        add("| | renewals | p50 ms | p99 ms | max ms | errors |")
        add("|---|---|---|---|---|---|")
        for name, key in (("nothing else happens", "quiet"),
                          (f"10 others do {r['others']['pairs_per_second']:,.0f} pairs a second",
                           "loaded")):
            s = r[key]["renewal"]
            add(f"| {name} | {s['calls']} | {ms(s, 'p50_ms')} | {ms(s)} | {ms(s, 'max_ms')} | "
                f"{r[key]['errors']} |")
        add("")
    if "busy" in results:
        add("## Keeping workers busy")
        add("")
        add("Evaluations of 100 ms. Utilisation: time in evaluations over time. Aim: 95 % with "
            "100 workers.")
        add("")
        add("| workers | utilisation | pairs a second | lease p99 ms | completion p99 ms |")
        add("|---|---|---|---|---|")
        for workers, b in results["busy"].items():
            add(f"| {workers} | {100 * b['utilisation']:.1f} % | {b['pairs_per_second']:,.0f} | "
                f"{ms(b['lease'])} | {ms(b['completion'])} |")
        add("")
    if "large" in results:
        g = results["large"]
        add("## A large job")
        add("")
        add(f"{g['trials']:,} trials, filled in {g['fill_seconds']:.0f} s; the database has "
            f"{g['database_mb']:.0f} MB. Aims: a page of ListTrials p99 under 50 ms, the frontier "
            "p99 under 10 ms, restart under 5 s.")
        add("")
        add("| query | calls | p50 ms | p99 ms | max ms | p99 ms while 20 workers work |")
        add("|---|---|---|---|---|---|")
        for name, key in (("ListTrials, page of 100", "pages"), ("GetFrontier", "frontier"),
                          ("GetBestConfiguration", "best"), ("GetJob", "job")):
            s = g["queries"][key]
            add(f"| {name} | {s['calls']} | {ms(s, 'p50_ms')} | {ms(s)} | {ms(s, 'max_ms')} | "
                f"{ms(g['busy_queries'][key])} |")
        add("")
        add(f"Killed with SIGKILL and started again it listens after "
            f"{g['restart_listening_seconds']:.1f} s, and the first lease is completed after "
            f"{g['restart_first_pair_seconds'] or float('nan'):.1f} s (the agent was replayed by "
            "then or had proposals stored).")
        add("")
        picks = g["memory"][:: max(1, len(g["memory"]) // 8)]
        add("Resident memory of the server on the way: "
            + ", ".join(f"{mb:.0f} MB at {n:,} trials" for n, mb in picks) + ".")
        add("")
    if "fetch" in results:
        e = results["fetch"]
        add("## Workers that start at once")
        add("")
        add(f"{e['workers']} worker processes with empty caches (`lathe-simulated-worker`: the "
            f"real worker but for its evaluator), a model of {e['model_mib']} MiB. After "
            f"{e['seconds']:.1f} s, the processes' own starts included, {e['fetched']} had it. "
            f"The server used {e['server_processor_seconds']:.1f} s of a core and at most "
            f"{e['server_mb_peak']} MB ({e['server_mb_before']} before); the workers' logs have "
            f"{e['warnings']} warnings.")
        add("")
    if "memory" in results:
        m = results["memory"]
        add("## Memory over many jobs")
        add("")
        add(f"{m['jobs']} jobs of {m['job_trials']:,} trials, one after the other on one server, "
            f"in {m['seconds']:.0f} s. Its resident memory: {m['first_mb']:.0f} MB after the "
            f"first, {m['half_mb']:.0f} MB after half of them, {m['last_mb']:.0f} MB after the "
            f"last. Over the second half it grew by {m['second_half_grows_mb']:.1f} MB: "
            + {True: "flat.", False: "not flat.", None: "too few jobs to tell."}[m["is_flat"]])
        add("")
    return "\n".join(lines)


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), "unknown CPU")
    return f"{os.cpu_count()} cores of {cpu}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="short runs, a job of 5,000 trials")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--to", default=str(HERE / "README.md"))
    parser.add_argument("--results", default=str(SOURCE / "build" / "load-results.json"),
                        help="figures of earlier parts are kept there")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--memory-minutes", type=float, default=5)
    flags = parser.parse_args()
    seconds = 4 if flags.quick else 15
    path = pathlib.Path(flags.results)
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    results["cores"] = os.cpu_count()
    steps = {"yardsticks": lambda: yardsticks(seconds, flags.workers),
             "pairs": lambda: pairs(seconds, flags.workers),
             "renewals": lambda: renewals(seconds),
             "busy": lambda: busy(seconds),
             "large": lambda: large(5_000 if flags.quick else 100_000),
             "fetch": lambda: fetch(*((20, 4) if flags.quick else (100, 16))),
             "memory": lambda: memory(20 if flags.quick else 60 * flags.memory_minutes)}
    for part in flags.only.split(","):
        results[part] = steps[part]()
        path.write_text(json.dumps(results, indent=1))
        print(part, json.dumps(results[part])[:2000], flush=True)
    pathlib.Path(flags.to).write_text(report(results, "experiments/load/run.py") + "\n")


if __name__ == "__main__":
    main()
