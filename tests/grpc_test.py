"""A stranger's gRPC client: health, reflection and a whole job by it, without
Lathe's stubs or protos."""
import hashlib
import unittest

import grpc
from google.protobuf import descriptor_database, descriptor_pb2, descriptor_pool, message_factory

import lathe_system as lathe

REFLECTION = "grpc.reflection.v1alpha"


def identity(message):
    return message


def reflection_messages():
    """The few messages of the reflection service that are used here. Debian has
    no Python package with them."""
    text = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    data = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    message = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    one = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    many = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    fields = {
        "ServerReflectionRequest": [("file_containing_symbol", 4, text, one, ""),
                                    ("list_services", 7, text, one, "")],
        "FileDescriptorResponse": [("file_descriptor_proto", 1, data, many, "")],
        "ServiceResponse": [("name", 1, text, one, "")],
        "ListServiceResponse": [("service", 1, message, many, "ServiceResponse")],
        "ServerReflectionResponse": [
            ("file_descriptor_response", 4, message, one, "FileDescriptorResponse"),
            ("list_services_response", 6, message, one, "ListServiceResponse")]}
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package=REFLECTION)
    for name, rows in fields.items():
        made = file.message_type.add(name=name)
        for field, number, kind, label, of in rows:
            made.field.add(name=field, number=number, type=kind, label=label,
                           type_name=f".{REFLECTION}.{of}" if of else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return lambda name: message_factory.MessageFactory(pool).GetPrototype(
        pool.FindMessageTypeByName(f"{REFLECTION}.{name}"))


class Stranger:
    """Calls whatever the server says that it has."""

    def __init__(self, channel):
        self.channel = channel
        of = reflection_messages()
        self.request, self.response = of("ServerReflectionRequest"), of("ServerReflectionResponse")
        database = descriptor_database.DescriptorDatabase()
        known = set()
        for service in self.services():
            for data in self.reflect(file_containing_symbol=service) \
                    .file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                if file.name not in known:
                    known.add(file.name)
                    database.Add(file)
        self.pool = descriptor_pool.DescriptorPool(database)

    def reflect(self, **question):
        call = self.channel.stream_stream(
            f"/{REFLECTION}.ServerReflection/ServerReflectionInfo",
            self.request.SerializeToString, self.response.FromString)
        return next(iter(call(iter([self.request(**question)]), timeout=10)))

    def services(self):
        return [s.name for s in self.reflect(list_services="").list_services_response.service]

    def message(self, descriptor):
        return message_factory.MessageFactory(self.pool).GetPrototype(descriptor)

    def call(self, path, timeout=30, **fields):
        """Of a method "Service/Method" of lathe.v1: its answer, or its answers."""
        service, name = path.split("/")
        method = self.pool.FindServiceByName(f"lathe.v1.{service}").FindMethodByName(name)
        about = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(about)
        kind = (f"{'stream' if about.client_streaming else 'unary'}_"
                f"{'stream' if about.server_streaming else 'unary'}")
        request = self.message(method.input_type)(**fields)
        answer = getattr(self.channel, kind)(
            f"/lathe.v1.{path}", lambda m: m.SerializeToString(),
            self.message(method.output_type).FromString)(
                iter([request]) if about.client_streaming else request, timeout=timeout)
        return list(answer) if about.server_streaming else answer

    def upload(self, path):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.call("Artifacts/Write", digest=digest, data=data)
        return digest


class GrpcTest(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(lathe.scratch_folder())
        self.service = self.enterContext(lathe.Service(self.folder))
        self.channel = self.enterContext(grpc.insecure_channel(self.service.address))

    def test_health_answers(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check", identity, identity)
        self.assertEqual(check(b"", timeout=10), b"\x08\x01")  # SERVING

    def test_a_stranger_runs_a_job_by_reflection(self):
        stranger = Stranger(self.channel)
        self.assertLessEqual({f"lathe.v1.{s}" for s in ("Search", "Workers", "Artifacts", "Admin")},
                             set(stranger.services()))
        self.service.start_worker()
        job = stranger.call("Search/CreateJob", request_id="once", spec={
            "model_digest": stranger.upload(lathe.SAMPLE_MODEL),
            "dataset": {"digest": stranger.upload(lathe.make_glyphs(self.folder, count=60)),
                        "scale": float(lathe.GLYPH_SCALE), "calibration_samples": 15,
                        "search_samples": 15, "confirmation_samples": 15, "report_samples": 15},
            "agent": "random", "trials": 3})
        events = stranger.call("Search/WatchJob", name=job.name, timeout=120)
        self.assertEqual([e.sequence for e in events], list(range(1, len(events) + 1)))
        self.assertEqual(stranger.call("Search/GetJob", name=job.name).counts.measured, 3)
        points = stranger.call("Search/GetFrontier", name=job.name).trials
        self.assertGreater(len(points), 0)
        best = stranger.call("Search/GetBestConfiguration", name=job.name, max_latency_ratio=100)
        chunks = stranger.call("Artifacts/Read", digest=best.trial.artifact_digest)
        model = b"".join(chunk.data for chunk in chunks)
        self.assertEqual(hashlib.sha256(model).hexdigest(), best.trial.artifact_digest)

    def test_garbage_is_refused_and_the_server_lives(self):
        create = self.channel.unary_unary("/lathe.v1.Search/CreateJob", identity, identity)
        for request in (b"\xff" * 40, b"", b"\x0a\x02\x08\x01"):
            with self.subTest(request=request), self.assertRaises(grpc.RpcError):
                create(request, timeout=10)
        self.assertEqual(self.service.lathe("list").returncode, 0)


if __name__ == "__main__":
    unittest.main()
