"""A stranger's gRPC client: health and reflection, without Lathe's stubs."""
import unittest

import grpc

import lathe_system as lathe

# ServerReflectionRequest{list_services: ""}: field 7, empty.
LIST_SERVICES = b"\x3a\x00"


def identity(message):
    return message


class GrpcTest(unittest.TestCase):
    def test_health_and_reflection_answer(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service, \
                grpc.insecure_channel(service.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", identity, identity)
            self.assertEqual(check(b"", timeout=10), b"\x08\x01")  # SERVING
            reflect = channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                identity, identity)
            answer = next(iter(reflect(iter([LIST_SERVICES]), timeout=10)))
            for name in ("Search", "Workers", "Artifacts", "Admin"):
                self.assertIn(f"lathe.v1.{name}".encode(), answer)

    def test_garbage_is_refused_and_the_server_lives(self):
        with lathe.scratch_folder() as folder, lathe.Service(folder) as service, \
                grpc.insecure_channel(service.address) as channel:
            create = channel.unary_unary("/lathe.v1.Search/CreateJob", identity, identity)
            for request in (b"\xff" * 40, b"", b"\x0a\x02\x08\x01"):
                with self.subTest(request=request), self.assertRaises(grpc.RpcError):
                    create(request, timeout=10)
            self.assertEqual(service.lathe("list").returncode, 0)


if __name__ == "__main__":
    unittest.main()
