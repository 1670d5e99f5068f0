#!/usr/bin/env python3
"""Processor time of a lease and completion by two builds of lathe-server, both at work at
the same time, so that what else the machine does is the same for both.

    experiments/load/compare.py BEFORE AFTER [--seconds 6] [--rounds 7]

BEFORE and AFTER are folders with a lathe-server each; lathe-load is build/bin's. Prints
each round, and the median of AFTER / BEFORE.
"""
import argparse
import contextlib
import pathlib
import statistics
import threading

import run

WORKERS = 64


def at_once(work, servers):
    threads = [threading.Thread(target=work, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(stack, folder):
    tools, run.BIN = run.BIN, pathlib.Path(folder)
    try:
        return stack.enter_context(run.Server(stack.enter_context(run.Scratch())))
    finally:
        run.BIN = tools


def measure(folders, seconds):
    """Microseconds of each server's processor time for a pair, while all work."""
    with contextlib.ExitStack() as stack:
        servers = [start(stack, folder) for folder in folders]
        for server in servers:
            server.make_job(1_000_000)
        at_once(run.Server.warm, servers)
        before = [run.processor_seconds(server.process) for server in servers]
        pairs = {}
        at_once(lambda server: pairs.update(
            {server: server.work(WORKERS, seconds, warm_up=0)["pairs"]}), servers)
        return [1e6 * (run.processor_seconds(server.process) - spent) / pairs[server]
                for server, spent in zip(servers, before)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=7)
    flags = parser.parse_args()
    ratios = []
    for number in range(flags.rounds):
        # Who starts first changes with every round.
        folders = [flags.before, flags.after]
        times = measure(folders[::-1], flags.seconds)[::-1] if number % 2 else measure(
            folders, flags.seconds)
        ratios.append(times[1] / times[0])
        print(f"{times[0]:.0f} us, {times[1]:.0f} us: {ratios[-1]:.3f}", flush=True)
    print(f"median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
