// Runs a graph on oneDNN.
#ifndef LATHE_EVALUATOR_EXECUTOR_H_
#define LATHE_EVALUATOR_EXECUTOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "proto/types.pb.h"

namespace lathe {

// One step of a compiled graph: a kernel, a reorder or a plain loop.
struct StepInfo {
  // Node that the step belongs to.
  std::string name;
  // "conv", "gemm", "pool", "reorder", "softmax", ...
  std::string kind;
  // oneDNN's name of the implementation, or "reference" for a plain loop.
  std::string implementation;
  // Index of the node in the graph; reorders belong to the node that needs
  // them.
  int node = -1;
  bool is_reorder = false;
  // Not a kernel of oneDNN's.
  bool is_loop = false;
  // Multiplies 8-bit integers. (Names of implementations need not tell.)
  bool is_integer = false;
};

struct ExecutorOptions {
  int64_t batch = 1;
  // Most memory for activations; 0: the share kExecutorMemoryRatio
  // (compressor/limits.h) of what the machine has.
  int64_t most_bytes = 0;
  // Whether, where the library has several kernels for an 8-bit convolution,
  // the quickest is found by running them (quickest_convolution.h). The results
  // are the same; not worth it for a few runs.
  bool measures_kernels = true;
};

// A graph compiled for fixed input shapes. Memory is planned once: Run
// allocates nothing but its results. Not thread-safe; different executors may
// run in different threads. Threads within a run are oneDNN's (OpenMP), set for
// the process by SetThreads.
class Executor {
 public:
  virtual ~Executor() = default;

  // The input and output buffers, dense row-major float32 (int64 inputs stand
  // as their own type), owned by the executor, valid as long as it lives.
  virtual absl::Span<const Shape> input_shapes() const = 0;
  virtual absl::Span<const Shape> output_shapes() const = 0;
  virtual void* input(int index) = 0;
  virtual const void* output(int index) const = 0;

  // Computes the outputs from the inputs in the buffers. What this does is
  // what latency measurements time.
  virtual absl::Status Run() = 0;

  virtual const std::vector<StepInfo>& steps() const = 0;
  // Runs once and adds the seconds that each step took, less what reading the
  // clock takes, to (*seconds)[step]: the bare kernels, one by one, on the
  // caches and predictors that they meet in the network.
  // REQUIRES: seconds->size() == steps().size().
  virtual absl::Status RunTimed(std::vector<double>* seconds) = 0;

  // Runs every step twice in a row and adds the seconds of its second run to
  // (*seconds)[step]: what it takes where its weights, activations and
  // instructions lie in the nearest caches. Results of sums in place are wrong
  // until the next Run.
  // REQUIRES: seconds->size() == steps().size().
  virtual absl::Status RunWarm(std::vector<double>* seconds) = 0;

  // Largest sum of bytes of activations alive at once.
  virtual int64_t peak_activation_bytes() const = 0;

  // Compiles a canonical (or parsed) graph. Kernels are chosen by each node's
  // precision; INT8 where the library has no int8 kernel runs in float32 on
  // the same grids.
  //
  // Errors:
  //   InvalidArgument - shapes that do not fit; the message names the node.
  //   Unimplemented - an operator that nothing executes; likewise.
  //   ResourceExhausted - memory.
  static absl::StatusOr<std::unique_ptr<Executor>> Compile(
      const Graph& graph, const ExecutorOptions& options);
};

// Threads of oneDNN's kernels in this process.
void SetThreads(int threads);

// What the machine offers: CPU model, the instruction sets that the kernels may
// use (with what of VNNI, bf16 and AMX is among them), oneDNN's version;
// `threads` as given.
v1::HardwareProfile ProbeHardware(int threads);

// Whether bf16 kernels run natively (AVX512_BF16 or AMX).
bool HasNativeBf16();

// Whether sums of u8 x s8 products never saturate (VNNI). Without, INT8 nodes
// run in int8 kernels where their weights are small enough for 16 bits, else
// in float32 on the same grids.
bool HasExactInt8();

}  // namespace lathe

#endif  // LATHE_EVALUATOR_EXECUTOR_H_
