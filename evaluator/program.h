// What a graph is compiled to: steps over buffers.
#ifndef LATHE_EVALUATOR_PROGRAM_H_
#define LATHE_EVALUATOR_PROGRAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "evaluator/executor.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

// Memory aligned for kernels; in huge pages where it is large and the system
// has them: kernels run through megabytes of weights at every call.
class AlignedBytes {
 public:
  // No memory.
  AlignedBytes() = default;
  // Zeros.
  explicit AlignedBytes(int64_t bytes);
  // Whatever memory holds; under AddressSanitizer bytes of 0xff, which are NaN,
  // so that tests fail where something reads what nothing wrote.
  static AlignedBytes Uninitialized(int64_t bytes);
  char* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Free> data_;
};

struct Buffer {
  int64_t bytes = 0;
  // Inputs and outputs: memory of their own, never reused.
  bool is_persistent = false;
  // Set for constants.
  std::shared_ptr<const AlignedBytes> constant;
  // A buffer may be a part of another one; -1: it stands alone.
  int parent = -1;
  int64_t parent_offset = 0;
};

// A place in a buffer.
struct Location {
  int buffer = -1;
  int64_t offset = 0;
};

struct Operand {
  Location location;
  bool is_written = false;
  // For kernels: the argument and how it lies.
  int argument = 0;
  MemoryDesc desc;
};

// A plain loop. `operands` are the addresses of the step's operands, in order.
using Loop = std::function<absl::Status(absl::Span<char* const> operands)>;

struct Step {
  StepInfo info;
  std::vector<Operand> operands;
  std::variant<dnnl::primitive, Loop> body;
};

struct Program {
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  int64_t scratchpad_bytes = 0;
  // Of the graph's inputs and outputs, in order.
  std::vector<Location> inputs;
  std::vector<Location> outputs;
};

// The buffer that `location` finally lies in, and where.
Location Resolve(const std::vector<Buffer>& buffers, Location location);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_PROGRAM_H_
