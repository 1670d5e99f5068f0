"""liblathe_runtime as its users get it: installed, found by CMake and by
pkg-config, linked into a C program, and computing the bits of lathe-worker."""
import os
import pathlib
import re
import subprocess
import unittest

import numpy as np
import onnx

import lathe_system as lathe

BUILD = lathe.BIN.parent
EXAMPLE = lathe.SOURCE / "runtime" / "example"
# What the library may load besides the C and C++ runtime.
DEPENDENCIES = {"libabsl", "libprotobuf", "libonnx_proto", "libdnnl", "libgomp", "libcrypto", "libzstd",
                "libstdc++", "libm", "libgcc_s", "libc", "ld-linux-x86-64", "libpthread"}


def check(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          check=False, timeout=120, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


class RuntimeInstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = lathe.scratch_folder()
        cls.folder = cls.scratch.__enter__()
        cls.prefix = cls.folder / "installed"
        check("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "lathe_runtime")
        cls.library = next(cls.prefix.rglob("liblathe_runtime.so"))
        cls.programs = {"cmake": cls.build_with_cmake(), "pkg-config": cls.build_with_pkg_config()}
        cls.data = lathe.make_glyphs(cls.folder, count=400)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.__exit__(None, None, None)

    @classmethod
    def build_with_cmake(cls):
        build = cls.folder / "with-cmake"
        check("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={cls.prefix}")
        check("cmake", "--build", build)
        return build / "run_model"

    @classmethod
    def build_with_pkg_config(cls):
        program = cls.folder / "with-pkg-config"
        package = next(cls.prefix.rglob("lathe_runtime.pc")).parent
        flags = check("pkg-config", "--cflags", "--libs", "lathe_runtime",
                      env={**os.environ, "PKG_CONFIG_PATH": str(package)}).split()
        check("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pthread", EXAMPLE / "run_model.c",
              *flags, f"-Wl,-rpath,{cls.library.parent}", "-o", program)
        return program

    def compress(self, plan):
        """A trial of the sample model, exported."""
        path = self.folder / (plan.replace(":", "_") + ".onnx")
        lathe.run_json("lathe-worker", "trial", lathe.SAMPLE_MODEL, "--data", self.data, "--scale",
                       lathe.GLYPH_SCALE, "--plan", plan, "--export", path)
        return path

    def images(self, count):
        images = np.load(self.data)["x"][:count].astype(np.float32) / np.float32(255)
        return images.reshape(count, 1, 24, 24)

    def test_outputs_equal_the_workers_bit_for_bit(self):
        batch = 3
        images = self.images(batch)
        np.save(self.folder / "x.npy", images)
        raw = self.folder / "x.raw"
        raw.write_bytes(images.tobytes())
        for plan in ("uniform:int8:8", "uniform:f32", "uniform:int8:4:0.5"):
            model = self.compress(plan)
            out = self.folder / "out"
            name = onnx.load(str(model)).graph.input[0].name
            done = lathe.run("lathe-worker", "run", model, "--input",
                             f"{name}={self.folder / 'x.npy'}", "--output", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            expected = np.load(next(out.glob("*.npy")))
            for how, program in self.programs.items():
                with self.subTest(plan=plan, built_with=how):
                    check(program, model, batch, 1, 4, raw)
                    got = (self.folder / "x.raw.out_0").read_bytes()
                    self.assertEqual(got, expected.tobytes())
            for path in out.glob("*.npy"):
                path.unlink()

    def test_only_the_interface_is_visible(self):
        names = re.findall(r" [TDBRVW] (\S+?)(?:@|$)",
                           check("nm", "-D", "--defined-only", self.library), re.M)
        header = (self.prefix / "include" / "lathe_runtime.h").read_text()
        declared = set(re.findall(r"\b(lathe_\w+)\(", header))
        self.assertGreater(len(names), 10)
        self.assertEqual(set(names), declared)

    def test_it_loads_few_libraries(self):
        dynamic = check("readelf", "-d", self.library)
        needed = re.findall(r"NEEDED.*\[(\S+?)\.so", dynamic)
        self.assertEqual({re.sub(r"^libabsl_.*", "libabsl", n) for n in needed} - DEPENDENCIES,
                         set())
        self.assertIn("SONAME", dynamic)
        self.assertIn("liblathe_runtime.so.0]", dynamic)

    def test_bad_models_are_errors_of_the_program(self):
        raw = self.folder / "bad.raw"
        raw.write_bytes(b"")
        for path in (pathlib.Path("/nowhere.onnx"), raw):
            done = subprocess.run([self.programs["cmake"], path, "1", "1", "1", raw],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(path), done.stderr)


if __name__ == "__main__":
    unittest.main()
