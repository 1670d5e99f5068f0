"""The third-party networks of the data folder: the engine's answers, and short
searches. Skipped where the folder is missing."""
import unittest

import lathe_system as lathe

CIFAR = lathe.DATA / "cifar10"
CIFAR_TEST = f"{CIFAR / 'test_x.npy'},{CIFAR / 'test_y.npy'}"
CIFAR_SPLITS = ["--search", 400, "--confirmation", 100, "--report", 400]
IMAGENET = ["--mean", "104,117,123", "--channel-order", "bgr"]
SCALE = ["--scale", str(1 / 255)]
RESNET20 = [*SCALE, "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
CCT = [*SCALE, "--mean", "0.4914,0.4822,0.4465", "--std", "0.2470,0.2435,0.2616"]
VIT = [*SCALE, "--mean", "0.4914,0.4822,0.4465", "--std", "0.2023,0.1994,0.2010"]
MNIST = f"{lathe.DATA / 'mnist/t10k-images-idx3-ubyte.gz'},"\
        f"{lathe.DATA / 'mnist/t10k-labels-idx1-ubyte.gz'}"

# Model, data, preprocessing, correct answers of the manifest.
NETWORKS = {
    "resnet8": (CIFAR / "resnet8.onnx", CIFAR_TEST, [], 5219),
    "resnet8_wide": (CIFAR / "resnet8_wide.onnx", CIFAR_TEST, [], 5473),
    "resnet20": (CIFAR / "resnet20.onnx", CIFAR_TEST, RESNET20, 5489),
    "vit": (CIFAR / "vit_pgd_2_3_16.onnx", CIFAR_TEST, VIT, 3587),
    "cct4": (CIFAR / "cct4_3x1.onnx", CIFAR_TEST, CCT, 5073),
    "dscnn": (lathe.DATA / "kws/dscnn_tiny.onnx",
              f"{lathe.DATA / 'kws/mfcc_f32_tiny_test_x.npy'},"
              f"{lathe.DATA / 'kws/tiny_test_y.npy'}", [], 447),
    "lstm_arm_s": (lathe.DATA / "kws/lstm_arm_s.onnx",
                   f"{lathe.DATA / 'kws/mfcc49_arm_test_x.npy'},"
                   f"{lathe.DATA / 'kws/arm_test_y.npy'}", [], 414),
    "squeezenet": (lathe.DATA / "imagenet/squeezenet1_1.onnx",
                   f"{lathe.DATA / 'imagenet/test_x.npy'},"
                   f"{lathe.DATA / 'imagenet/test_y.npy'}", IMAGENET, 100),
    "mnist_cnn": (lathe.DATA / "mnist/mnist_cnn.onnx", MNIST, [], 9891),
    "mnist_lstm": (lathe.DATA / "mnist/mnist_lstm.onnx", MNIST, SCALE, 9791),
}
# The rest of them are searched in their own tests.
SEARCHED = ["resnet8", "resnet8_wide", "resnet20", "dscnn", "squeezenet"]


@unittest.skipUnless(lathe.DATA.is_dir(), f"no data folder {lathe.DATA}")
class ModelsTest(unittest.TestCase):
    def test_the_engine_gives_the_manifests_counts(self):
        for name, (model, data, flags, correct) in NETWORKS.items():
            with self.subTest(network=name):
                answer = lathe.run_json("lathe-worker", "eval", model, "--data", data, *flags,
                                        timeout=900)
                # A tie of two classes may fall differently in another engine.
                self.assertAlmostEqual(answer["correct"], correct, delta=2)

    def test_a_short_search_works_on_each(self):
        for name in SEARCHED:
            model, data, flags, _ = NETWORKS[name]
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
