"""What the fault tests share: Python stubs of the services, a worker that is
driven call by call, a network that can be cut, and the check of the database
that follows every test."""
import contextlib
import importlib
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# Programs are started while calls are under way; nothing forks without exec.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
import grpc  # noqa: E402
import lathe_system as lathe  # noqa: E402

# The seed of everything that is drawn; a failing test tells it.
SEED = int(os.environ.get("FAULT_SEED", "1"))
# Times of leases are shortened by this against the server's defaults (30 s).
LEASE_SECONDS = float(os.environ.get("FAULT_LEASE_SECONDS", "2"))
RENEW_SECONDS = LEASE_SECONDS / 6
# Whether the programs run under AddressSanitizer, which keeps freed memory and ends a
# process that gets no more.
IS_SANITIZED = "FAULT_SANITIZED" in os.environ


def generate_stubs():
    """The protos as Python modules, made anew in a folder of this process."""
    folder = tempfile.mkdtemp(prefix="lathe-protos-")
    protos = sorted(str(p.relative_to(lathe.SOURCE)) for p in (lathe.SOURCE / "proto").glob("*.proto"))
    subprocess.run(["protoc", "-I", str(lathe.SOURCE), f"--python_out={folder}", *protos],
                   cwd=lathe.SOURCE, check=True)
    # A package, so that no other module of that name is found first.
    pathlib.Path(folder, "proto", "__init__.py").touch()
    sys.path.insert(0, folder)
    return [importlib.import_module(f"proto.{name}_pb2")
            for name in ("types", "search", "worker", "artifact", "error")]


types, search, worker, artifact, error = generate_stubs()


class Service:
    """Stubs of one service: stub.Method(request, timeout=...) and
    stub.Method.future(...); streams as grpcio has them."""

    def __init__(self, channel, module, name):
        service = module.DESCRIPTOR.services_by_name[name]
        for method in service.methods:
            streams_in = method.name == "Write" and name == "Artifacts"
            streams_out = method.name in ("WatchJob", "Read")
            kind = (f"{'stream' if streams_in else 'unary'}_"
                    f"{'stream' if streams_out else 'unary'}")
            make = getattr(channel, kind)
            answer = message_class(method.output_type)
            setattr(self, method.name, make(
                f"/{service.full_name}/{method.name}",
                request_serializer=lambda m: m.SerializeToString(),
                response_deserializer=answer.FromString))


def message_class(descriptor):
    from google.protobuf import message_factory
    return message_factory.MessageFactory().GetPrototype(descriptor)


class Client:
    """All services of a server over one connection of its own."""

    def __init__(self, address, metadata=()):
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0),
            ("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.min_reconnect_backoff_ms", 2000)])
        self.search = Service(self.channel, search, "Search")
        self.workers = Service(self.channel, worker, "Workers")
        self.artifacts = Service(self.channel, artifact, "Artifacts")
        self.admin = Service(self.channel, artifact, "Admin")

    def close(self):
        self.channel.close()

    def upload(self, data):
        import hashlib
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts.Write(iter([artifact.WriteRequest(digest=digest, data=data)]), timeout=20)
        return digest

    def create_job(self, trials, agent="random", request_id=None, seed=5, **fields):
        digest = self.upload(b"a model")
        spec = types.JobSpec(model_digest=digest, agent=agent, trials=trials, seed=seed, **fields)
        spec.dataset.digest = digest
        return self.search.CreateJob(search.CreateJobRequest(
            spec=spec, request_id=request_id or f"r{random.getrandbits(60)}"), timeout=20).name

    def job(self, name):
        return self.search.GetJob(search.GetJobRequest(name=name), timeout=20)

    def trials(self, name):
        answer, token = [], ""
        while True:
            page = self.search.ListTrials(search.ListTrialsRequest(
                parent=name, page_size=1000, page_token=token), timeout=20)
            answer += page.trials
            token = page.next_page_token
            if not token:
                return answer

    def events(self, name, after=0):
        """All events of a job that has ended."""
        return list(self.search.WatchJob(search.WatchJobRequest(
            name=name, resume_sequence=after), timeout=60))


PROFILE = types.HardwareProfile(cpu="simulated", isa="none", threads=1, onednn="0")


def space(layers=4):
    made = types.SearchSpace()
    for i in range(layers):
        layer = made.layers.add(name=f"l{i}", kind="conv", in_channels=8, out_channels=8,
                                kernel_height=3, kernel_width=3, stride=1, out_pixels=64,
                                in_pixels=64, macs=1000, parameters=576, group=i,
                                keep_ratios=[1, 0.5])
        for precision, bits in ((types.F32, 32), (types.INT8, 8), (types.INT8, 4)):
            layer.precisions.add(precision=precision, weight_bits=bits)
    return made


def measurement(lease, number=0):
    """Made up from the plan and `number`, so that two workers' differ."""
    bits = sum(layer.weight_bits for layer in lease.plan.layers) or 128
    correct = 500_000 + 1000 * bits + number
    return types.Measurement(
        metric="top1", accuracy=correct / 1e6, accuracy_low=0.4, accuracy_high=0.9,
        correct=correct, samples=10**6, report_accuracy=0.6,
        report_correct=60, report_samples=100, latency_us=100.0 + bits, latency_us_p05=90, latency_us_p95=300,
        latency_ratio=1 if not lease.trial_number else bits / 128, latency_ratio_low=0.1,
        latency_ratio_high=2, baseline_latency_us=228, latency_repeats=10,
        size_bytes=1000 + bits, packed_bytes=1000, entropy_bytes=900, macs=4000,
        peak_activation_bytes=100, profile=PROFILE, evaluator_version="test",
        evaluation_seconds=0.001)


def outcome(lease, number=0):
    made = types.Outcome(kind=types.MEASURED, measurement=measurement(lease, number))
    if lease.trial_number == 0:
        made.baseline.space.CopyFrom(space())
        made.baseline.latency_table.profile.CopyFrom(PROFILE)
    return made


class ScriptedWorker:
    """A worker call by call. `client` may be shared."""

    def __init__(self, client, session=None, fences=()):
        self.client = client
        self.session = session or f"session-{random.getrandbits(64):016x}"
        self.register(fences)

    def register(self, fences=()):
        request = worker.RegisterWorkerRequest(session=self.session, fences=fences)
        request.capabilities.profile.CopyFrom(PROFILE)
        request.capabilities.host = "test"
        self.name = self.client.workers.RegisterWorker(request, timeout=20).name

    def lease(self, wait=5.0, slots=1):
        return list(self.client.workers.LeaseTrials(worker.LeaseTrialsRequest(
            session=self.session, slots=slots, wait_seconds=wait), timeout=wait + 20).leases)

    def complete(self, lease, made=None, number=0):
        return self.client.workers.CompleteTrial(worker.CompleteTrialRequest(
            session=self.session, fence=lease.fence, outcome=made or outcome(lease, number)),
            timeout=20)

    def fail(self, lease, kind, reason="test"):
        return self.complete(lease, types.Outcome(kind=kind, reason=reason))

    def renew(self, *fences):
        return self.client.workers.RenewLeases(worker.RenewLeasesRequest(
            session=self.session, fences=fences), timeout=20)

    def release(self, *fences):
        self.client.workers.ReleaseLeases(worker.ReleaseLeasesRequest(
            session=self.session, fences=fences, reason=worker.ReleaseLeasesRequest.PREEMPTED),
            timeout=20)

    def run(self, job, most=10**9):
        """Completes trials until the job has ended or `most` are done."""
        done = 0
        while done < most and self.client.job(job).state not in (types.DONE, types.JOB_FAILED):
            for lease in self.lease(wait=0.2):
                self.complete(lease)
                done += 1
        return done


def reason_of(failed):
    """The ErrorInfo's reason of a failed call."""
    for key, value in failed.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            details = error.Status.FromString(value)
            for detail in details.details:
                if detail.type_url.endswith("ErrorInfo"):
                    return error.ErrorInfo.FromString(detail.value).reason
    return ""


class Proxy:
    """A TCP proxy whose network can be cut, in both directions or in one: while
    it is, nothing passes there, and connections stay open as they do when a
    cable is pulled."""

    TO_SERVER, TO_CLIENT = "to the server", "to the client"

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.cuts = set()
        self.is_closed = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.is_closed:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target, timeout=5)
            except OSError:
                continue
            for one, other, direction in ((near, far, self.TO_SERVER),
                                          (far, near, self.TO_CLIENT)):
                threading.Thread(target=self.pump, args=(one, other, direction),
                                 daemon=True).start()

    def pump(self, source, sink, direction):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while direction in self.cuts:
                    time.sleep(0.01)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def cut(self, *directions):
        self.cuts = set(directions or (self.TO_SERVER, self.TO_CLIENT))
        try:
            yield
        finally:
            self.cuts = set()

    def close(self):
        self.is_closed = True
        self.cuts = set()
        self.listener.close()


class FaultService(lathe.Service):
    """A server with short leases, whose workers simulate."""

    def __init__(self, folder, *server_arguments, prefix=(), environment=None,
                 lease_seconds=LEASE_SECONDS):
        super().__init__(folder)
        self.server_arguments = ("--lease-seconds", lease_seconds, *server_arguments)
        self.prefix = list(prefix)
        self.environment = environment
        self.clients = []

    def server_command(self):
        return [*self.prefix, str(lathe.BIN / "lathe-server"), "--state", str(self.state),
                "--listen", self.address, *map(str, self.server_arguments)]

    def start_server(self):
        if self.server is not None:
            self.server.log.close()
            self.server.popen.stdout.close()
        log = open(self.folder / "server.log", "ab")
        self.server = lathe.Process.__new__(lathe.Process)
        self.server.log = log
        self.server.popen = subprocess.Popen(
            self.server_command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            text=True, env={**os.environ, **(self.environment or {})})
        line = self.server.popen.stdout.readline()
        match = re.match(r"listening on (\S+)", line)
        assert match, f"server said {line!r}: {(self.folder / 'server.log').read_text()[-2000:]}"
        self.address = match.group(1)

    def client(self):
        made = Client(self.address)
        self.clients.append(made)
        return made

    def start_simulated(self, *arguments, address=None):
        number = len(self.workers)
        process = lathe.Process(
            self.folder / f"worker{number}.log", "lathe-simulated-worker", "--server",
            address or self.address, "--cache", self.folder / f"cache{number}", *arguments)
        self.workers.append(process)
        return process

    def memory_bytes(self):
        text = pathlib.Path(f"/proc/{self.server.popen.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024

    def check(self):
        """Stops everything and checks the state folder."""
        for made in self.clients:
            made.close()
        for process in self.workers:
            process.close()
        if self.server.popen.poll() is None:
            code = self.server.terminate(60)
            assert code == 0, f"the server ended with {code}"
        done = lathe.run("lathe-server", "--check-blobs", "--state", self.state)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class FaultTest(unittest.TestCase):
    """Each test has a service of its own, which is checked at the end."""

    server_arguments = ()

    def setUp(self):
        self.random = random.Random(f"{SEED} {self.id()}")
        random.seed(f"{SEED} {self.id()}")
        scratch = lathe.scratch_folder()
        self.folder = scratch.__enter__()
        self.addCleanup(scratch.__exit__, None, None, None)
        self.service = self.make_service()
        self.addCleanup(self.close)
        self.service.start_server()

    def make_service(self):
        return FaultService(self.folder, *self.server_arguments)

    def close(self):
        for made in self.service.clients:
            made.close()
        for process in [*self.service.workers, self.service.server]:
            process.close()

    def check(self):
        return self.service.check()

    def wait(self, condition, what, seconds=60):
        return lathe.wait_until(condition, seconds, f"{what} (FAULT_SEED={SEED})")

    def assert_fails(self, code, reason, call):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        if reason:
            self.assertEqual(reason_of(caught.exception), reason)

    def wait_done(self, client, job, seconds=60):
        def state():
            with contextlib.suppress(grpc.RpcError):
                return client.job(job).state in (types.DONE, types.JOB_FAILED, types.CANCELLED)
            return False
        self.wait(state, f"{job} ended", seconds)
        return client.job(job)
