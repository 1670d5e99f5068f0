"""What the system tests share: running Lathe's programs and looking at what
they leave."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(os.environ.get(
    "LATHE_SOURCE_DIR", pathlib.Path(__file__).resolve().parent.parent))
BIN = pathlib.Path(os.environ.get("LATHE_BIN_DIR", SOURCE / "build" / "bin"))
DATA = pathlib.Path(os.environ.get("LATHE_DATA_DIR", SOURCE / ".." / "shared" / "data"))
SAMPLE_MODEL = SOURCE / "experiments" / "sample" / "glyphnet.onnx"
GLYPH_SCALE = str(1 / 255)


def run(program, *arguments, timeout=300, **options):
    """Runs a program of build/bin to its end; standard input is empty."""
    return subprocess.run(
        [str(BIN / program), *map(str, arguments)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout, check=False, **options)


def run_json(program, *arguments, **options):
    """Runs with -o json and returns the parsed object; fails on an exit code."""
    done = run(program, *arguments, "-o", "json", **options)
    assert done.returncode == 0, f"{program} {arguments}: exit {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout)


@contextlib.contextmanager
def scratch_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lathe-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_glyphs(folder, count=1000):
    """The sample data as an .npz."""
    path = folder / "glyphs.npz"
    done = run("lathe-sample", "--to", path, "--count", count)
    assert done.returncode == 0, done.stderr
    return path


def wait_until(condition, seconds, what):
    """Polls `condition` until it gives something true, which is returned. `what`
    is the failure's text, or gives it when it is needed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")


class Process:
    """A program that runs on; killed when the test ends."""

    def __init__(self, log, program, *arguments):
        self.log = open(log, "ab")
        self.popen = subprocess.Popen(
            [str(BIN / program), *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.log, text=True)

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()
        self.popen.stdout.close()

    def terminate(self, seconds=20):
        """SIGTERM; returns the exit code."""
        self.popen.terminate()
        code = self.popen.wait(timeout=seconds)
        self.popen.stdout.close()
        return code

    def close(self):
        if self.popen.poll() is None:
            self.kill()
        self.log.close()


class Service:
    """A server on a state folder and workers, each of which can be killed."""

    def __init__(self, folder, worker_program="lathe-worker", worker_arguments=(),
                 server_arguments=()):
        self.folder = folder
        self.state = folder / "state"
        self.worker_program = worker_program
        self.worker_arguments = worker_arguments
        self.server_arguments = server_arguments
        self.address = "127.0.0.1:0"
        self.server = None
        self.workers = []

    def __enter__(self):
        self.start_server()
        return self

    def __exit__(self, *_):
        for process in [*self.workers, self.server]:
            process.close()

    def start_server(self):
        """Starts it, on the address that it had before."""
        self.server = Process(self.folder / "server.log", "lathe-server",
                              "--state", self.state, "--listen", self.address,
                              *self.server_arguments)
        line = self.server.popen.stdout.readline()
        match = re.match(r"listening on (\S+)", line)
        assert match, f"server said {line!r}: {(self.folder / 'server.log').read_text()}"
        self.address = match.group(1)

    def start_worker(self):
        number = len(self.workers)
        worker = Process(self.folder / f"worker{number}.log", self.worker_program,
                         "--server", self.address, "--cache", self.folder / f"cache{number}",
                         *self.worker_arguments)
        self.workers.append(worker)
        return worker

    def lathe(self, *arguments, **options):
        return run("lathe", "--server", self.address, *arguments, **options)

    def lathe_json(self, *arguments, **options):
        return run_json("lathe", "--server", self.address, *arguments, **options)

    def lathe_lines(self, *arguments, **options):
        done = self.lathe(*arguments, "-o", "json", **options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def query(self, sql, *parameters):
        """Rows of the database, read beside the running server."""
        uri = f"file:{self.state / 'lathe.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return database.execute(sql, parameters).fetchall()
