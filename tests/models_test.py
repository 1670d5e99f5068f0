"""The third-party networks of the data folder: the engine's answers, and short
searches. Skipped where the folder is missing."""
import unittest

import lathe_system as lathe

CIFAR = lathe.DATA / "cifar10"
CIFAR_TEST = f"{CIFAR / 'test_x.npy'},{CIFAR / 'test_y.npy'}"
CIFAR_SPLITS = ["--search", 400, "--confirmation", 100, "--report", 400]
IMAGENET = ["--mean", "104,117,123", "--channel-order", "bgr"]
RESNET20 = ["--scale", str(1 / 255), "--mean", "0.485,0.456,0.406", "--std",
            "0.229,0.224,0.225"]

# Model, data, preprocessing, correct answers of the manifest.
NETWORKS = {
    "resnet8": (CIFAR / "resnet8.onnx", CIFAR_TEST, [], 5219),
    "resnet8_wide": (CIFAR / "resnet8_wide.onnx", CIFAR_TEST, [], 5473),
    "resnet20": (CIFAR / "resnet20.onnx", CIFAR_TEST, RESNET20, 5489),
    "dscnn": (lathe.DATA / "kws/dscnn_tiny.onnx",
              f"{lathe.DATA / 'kws/mfcc_f32_tiny_test_x.npy'},"
              f"{lathe.DATA / 'kws/tiny_test_y.npy'}", [], 447),
    "squeezenet": (lathe.DATA / "imagenet/squeezenet1_1.onnx",
                   f"{lathe.DATA / 'imagenet/test_x.npy'},"
                   f"{lathe.DATA / 'imagenet/test_y.npy'}", IMAGENET, 100),
}


@unittest.skipUnless(lathe.DATA.is_dir(), f"no data folder {lathe.DATA}")
class ModelsTest(unittest.TestCase):
    def test_the_engine_gives_the_manifests_counts(self):
        for name, (model, data, flags, correct) in NETWORKS.items():
            with self.subTest(network=name):
                answer = lathe.run_json("lathe-worker", "eval", model, "--data", data, *flags)
                # A tie of two classes may fall differently in another engine.
                self.assertAlmostEqual(answer["correct"], correct, delta=2)

    def test_a_short_search_works_on_each(self):
        for name, (model, data, flags, _) in NETWORKS.items():
            splits = CIFAR_SPLITS if data == CIFAR_TEST else []
            with self.subTest(network=name), lathe.scratch_folder() as folder:
                found = lathe.run_json("lathe", "search", "--model", model, "--data", data,
                                       *flags, *splits, "--trials", 4, "--workers", 2,
                                       "--out", folder)
                self.assertEqual(found["trials"], 4)
                self.assertTrue(found["frontier"])
                splits = found["baseline"]["samples"] + found["baseline"]["report_samples"]
                self.assertLess(splits, 6000)


if __name__ == "__main__":
    unittest.main()
