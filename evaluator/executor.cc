#include "evaluator/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/memory.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/limits.h"
#include "compressor/shape_inference.h"
#include "evaluator/compile.h"
#include "evaluator/denormals.h"
#include "evaluator/lowering.h"
#include "evaluator/memory_plan.h"
#include "evaluator/program.h"

namespace lathe {
namespace {

// Enough for all layers of some hundred candidates; a primitive takes some
// ten kilobytes.
constexpr int kPrimitiveCacheCapacity = 4096;

using Clock = std::chrono::steady_clock;

// A step with all addresses filled in.
struct BoundStep {
  const Step* step = nullptr;
  // For kernels; `arguments` refer to `memories`.
  std::vector<dnnl::memory> memories;
  std::vector<dnnl_exec_arg_t> arguments;
  // For loops.
  std::vector<char*> addresses;
};

// What reading the clock adds to an interval.
double ClockSeconds() {
  std::vector<double> seconds(1001);
  for (double& interval : seconds) {
    const Clock::time_point before = Clock::now();
    interval = std::chrono::duration<double>(Clock::now() - before).count();
  }
  return Median(seconds);
}

// From the first write (or 0 for inputs) to the last use.
std::vector<BufferLife> LivesOf(const Program& program) {
  const int steps = static_cast<int>(program.steps.size());
  std::vector<std::optional<BufferLife>> lives(program.buffers.size());
  const auto touch = [&](const Location& location, int step) {
    const int root = Resolve(program.buffers, location).buffer;
    const Buffer& buffer = program.buffers[root];
    if (!lives[root]) {
      lives[root] = BufferLife{buffer.bytes, step, step, buffer.is_persistent};
    }
    lives[root]->last = std::max(lives[root]->last, step);
  };
  for (const Location& input : program.inputs) touch(input, 0);
  for (int i = 0; i < steps; ++i) {
    for (const Operand& operand : program.steps[i].operands) {
      if (operand.location.buffer >= 0) touch(operand.location, i);
    }
  }
  for (const Location& output : program.outputs) {
    touch(output, std::max(0, steps - 1));
  }
  std::vector<BufferLife> result;
  for (size_t b = 0; b < lives.size(); ++b) {
    const bool is_unused = !lives[b] || program.buffers[b].constant;
    result.push_back(is_unused ? BufferLife{} : *lives[b]);
  }
  return result;
}

// Refuses what would not fit into `most_bytes` before it is allocated.
absl::Status CheckMemory(const Program& program, const MemoryPlan& plan,
                         int64_t most_bytes) {
  int64_t bytes = plan.arena_bytes + program.scratchpad_bytes;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.is_persistent && !buffer.constant) bytes += buffer.bytes;
  }
  if (most_bytes == 0) {
    most_bytes =
        static_cast<int64_t>(kExecutorMemoryRatio * MachineMemoryBytes());
  }
  if (bytes <= most_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("activations take ", bytes, " bytes, at most ", most_bytes,
                   " are allowed; use a smaller batch"));
}

class OneDnnExecutor : public Executor {
 public:
  OneDnnExecutor(Program program, const MemoryPlan& plan,
                 std::vector<Shape> input_shapes,
                 std::vector<Shape> output_shapes)
      : program_(std::move(program)),
        input_shapes_(std::move(input_shapes)),
        output_shapes_(std::move(output_shapes)),
        stream_(CpuEngine()) {
    PlaceBuffers(plan);
    for (const Step& step : program_.steps) {
      infos_.push_back(step.info);
      bound_.push_back(Bind(step));
    }
  }

  absl::Span<const Shape> input_shapes() const override {
    return input_shapes_;
  }
  absl::Span<const Shape> output_shapes() const override {
    return output_shapes_;
  }
  void* input(int index) override { return Address(program_.inputs[index]); }
  const void* output(int index) const override {
    return Address(program_.outputs[index]);
  }

  absl::Status Run() override {
    const DenormalsAsZero denormals;
    for (BoundStep& step : bound_) {
      LATHE_RETURN_IF_ERROR(RunStep(step));
    }
    return absl::OkStatus();
  }

  const std::vector<StepInfo>& steps() const override { return infos_; }

  absl::Status RunTimed(std::vector<double>* seconds) override {
    const DenormalsAsZero denormals;
    for (size_t i = 0; i < bound_.size(); ++i) {
      LATHE_RETURN_IF_ERROR(TimeStep(bound_[i], &(*seconds)[i]));
    }
    return absl::OkStatus();
  }

  absl::Status RunWarm(std::vector<double>* seconds) override {
    const DenormalsAsZero denormals;
    for (size_t i = 0; i < bound_.size(); ++i) {
      LATHE_RETURN_IF_ERROR(RunStep(bound_[i]));
      LATHE_RETURN_IF_ERROR(TimeStep(bound_[i], &(*seconds)[i]));
    }
    return absl::OkStatus();
  }

  int64_t peak_activation_bytes() const override { return peak_bytes_; }

 private:
  // Puts everything into one piece of memory, so that it takes few pages:
  // activations, the scratchpad, inputs, outputs and constants.
  void PlaceBuffers(const MemoryPlan& plan) {
    peak_bytes_ = plan.peak_bytes;
    std::vector<int64_t> offsets = plan.offsets;
    int64_t bytes = plan.arena_bytes;
    const auto reserve = [&bytes](int64_t size) {
      const int64_t offset = bytes;
      bytes += AlignedSize(size);
      return offset;
    };
    const int64_t scratchpad = reserve(program_.scratchpad_bytes);
    for (size_t b = 0; b < offsets.size(); ++b) {
      const Buffer& buffer = program_.buffers[b];
      if (buffer.is_persistent || buffer.constant) {
        offsets[b] = reserve(buffer.bytes);
      }
    }
    // Every step writes all of its output before another reads it, so that
    // memory need not be cleared, which takes as long as a small network.
    memory_ = AlignedBytes::Uninitialized(bytes);
    scratchpad_ = memory_.data() + scratchpad;
    for (size_t b = 0; b < offsets.size(); ++b) {
      Buffer& buffer = program_.buffers[b];
      addresses_.push_back(memory_.data() + offsets[b]);
      if (!buffer.constant) continue;
      std::memcpy(addresses_[b], buffer.constant->data(), buffer.bytes);
      buffer.constant.reset();
    }
  }

  char* Address(const Location& location) const {
    if (location.buffer < 0) return scratchpad_;
    const Location root = Resolve(program_.buffers, location);
    return addresses_[root.buffer] + root.offset;
  }

  BoundStep Bind(const Step& step) const {
    BoundStep bound;
    bound.step = &step;
    const bool is_kernel = std::holds_alternative<dnnl::primitive>(step.body);
    for (const Operand& operand : step.operands) {
      char* address = Address(operand.location);
      if (!is_kernel) {
        bound.addresses.push_back(address);
        continue;
      }
      bound.memories.emplace_back(operand.desc, CpuEngine(), address);
      bound.arguments.push_back(
          {operand.argument, bound.memories.back().get()});
    }
    return bound;
  }

  // The C interface takes the arguments as they are; C++'s copies them into
  // new memory at every call.
  absl::Status RunStep(const BoundStep& bound) {
    const Step& step = *bound.step;
    if (const Loop* loop = std::get_if<Loop>(&step.body)) {
      return GuardMemory(step.info.name,
                         [&] { return (*loop)(bound.addresses); });
    }
    const dnnl_status_t status = dnnl_primitive_execute(
        std::get<dnnl::primitive>(step.body).get(), stream_.get(),
        static_cast<int>(bound.arguments.size()), bound.arguments.data());
    if (status == dnnl_success) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(
        "node ", step.info.name, ": oneDNN's ", step.info.implementation,
        " failed with status ", static_cast<int>(status)));
  }

  absl::Status TimeStep(const BoundStep& bound, double* seconds) {
    static const double clock_s = ClockSeconds();
    const Clock::time_point before = Clock::now();
    LATHE_RETURN_IF_ERROR(RunStep(bound));
    const std::chrono::duration<double> taken = Clock::now() - before;
    *seconds += std::max(0., taken.count() - clock_s);
    return absl::OkStatus();
  }

  Program program_;
  const std::vector<Shape> input_shapes_;
  const std::vector<Shape> output_shapes_;
  std::vector<StepInfo> infos_;
  int64_t peak_bytes_ = 0;
  AlignedBytes memory_;
  char* scratchpad_ = nullptr;
  std::vector<char*> addresses_;  // By buffer.
  std::vector<BoundStep> bound_;
  dnnl::stream stream_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Executor>> CompileForShapes(
    const Graph& graph, absl::Span<const Shape> input_shapes,
    const ExecutorOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, input_shapes));
  std::vector<Shape> output_shapes;
  for (ValueId output : graph.outputs()) {
    output_shapes.push_back(infos[output].shape);
  }
  SetPrimitiveCacheCapacity(kPrimitiveCacheCapacity);
  std::unique_ptr<Executor> executor;
  absl::Status done;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("compiling a graph", [&] {
    absl::StatusOr<Program> program = LowerGraph(graph, infos, options);
    done = program.status();
    if (!done.ok()) return;
    const MemoryPlan plan = PlanMemory(LivesOf(*program));
    done = CheckMemory(*program, plan, options.most_bytes);
    if (!done.ok()) return;
    executor = std::make_unique<OneDnnExecutor>(
        *std::move(program), plan,
        std::vector<Shape>(input_shapes.begin(), input_shapes.end()),
        std::move(output_shapes));
  }));
  LATHE_RETURN_IF_ERROR(done);
  return executor;
}

absl::StatusOr<std::unique_ptr<Executor>> Executor::Compile(
    const Graph& graph, const ExecutorOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> input_shapes,
                         InputShapes(graph, options.batch));
  return CompileForShapes(graph, input_shapes, options);
}

}  // namespace lathe
