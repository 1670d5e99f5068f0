#include "evaluator/quickest_convolution.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr double kLeastGain = 0.03;
constexpr int kLeastRounds = 3;
constexpr int kMostRounds = 25;
constexpr double kEnoughSeconds = 1e-3;
// Larger ones are not tried: their memory would be needed twice.
constexpr int64_t kMostBytes = int64_t{64} << 20;
// Weights whose sums never saturate, with VNNI or without.
constexpr int kMostLevel = 64;

// Numbers that any kernel may meet: floats around 0, all levels.
void FillRandomly(DataType type, int64_t bytes, int most_level,
                  std::mt19937* random, void* data) {
  if (type == DataType::kFloat32) {
    std::uniform_real_distribution<float> uniform(-4, 4);
    auto* values = static_cast<float*>(data);
    for (size_t i = 0; i < bytes / sizeof(float); ++i) {
      values[i] = uniform(*random);
    }
  } else if (type == DataType::kUint8 || type == DataType::kInt8) {
    const int low = type == DataType::kUint8 ? 0 : -most_level;
    std::uniform_int_distribution<int> uniform(low, low + 2 * most_level);
    auto* levels = static_cast<uint8_t*>(data);
    for (int64_t i = 0; i < bytes; ++i) {
      levels[i] = static_cast<uint8_t>(uniform(*random));
    }
  } else {
    std::memset(data, 0, bytes);
  }
}

dnnl::memory RandomMemory(const MemoryDesc& desc, int most_level,
                          std::mt19937* random) {
  dnnl::memory memory(desc, CpuEngine());
  FillRandomly(DescType(desc), DescBytes(desc), most_level, random,
               memory.get_data_handle());
  return memory;
}

// What all implementations of a convolution are given.
struct Given {
  dnnl::memory source;
  dnnl::memory weights;  // Row-major.
  dnnl::memory bias;
  // What stands in the destination.
  dnnl::memory destination;
  // Operands of fused ops.
  Arguments addends;
};

Given MakeGiven(const Kernel& kernel, const ConvolutionSpec& spec,
                const Attributes& attributes) {
  constexpr int kAllLevels = 127;
  std::mt19937 random(1);
  Given given;
  given.source = RandomMemory(kernel.source, kAllLevels, &random);
  given.weights = RandomMemory(
      PlainDesc(DescDims(spec.weights), DataType::kInt8), kMostLevel, &random);
  given.bias = RandomMemory(
      PlainDesc({DescDims(spec.destination)[1]}, DataType::kFloat32),
      kAllLevels, &random);
  given.destination = RandomMemory(kernel.destination, kAllLevels, &random);
  for (size_t i = 0; i < attributes.ops.size(); ++i) {
    const FusedOp& op = attributes.ops[i];
    if (op.kind != FusedOp::Kind::kBinaryAdd) continue;
    given.addends.insert({FusedOpArgument(static_cast<int>(i)),
                          RandomMemory(op.desc, kAllLevels, &random)});
  }
  return given;
}

// One implementation, ready to run.
class Contender {
 public:
  static absl::StatusOr<Contender> Make(const Kernel& kernel,
                                        const ConvolutionSpec& spec,
                                        const Given& given) {
    Contender contender(kernel, given);
    if (spec.has_bias) contender.arguments_.insert({DNNL_ARG_BIAS, given.bias});
    LATHE_RETURN_IF_ERROR(ReorderNow({given.weights.get_desc(), kernel.weights},
                                     given.weights.get_data_handle(),
                                     contender.weights_.get_data_handle()));
    return contender;
  }

  // Runs once on the destination as it was given, untimed.
  absl::Status RunFirst(const Given& given) {
    std::memcpy(destination_.get_data_handle(),
                given.destination.get_data_handle(),
                DescBytes(destination_.get_desc()));
    return Run();
  }

  absl::Status RunTimed() {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    LATHE_RETURN_IF_ERROR(Run());
    const std::chrono::duration<double> taken = Clock::now() - start;
    best_seconds_ = std::min(best_seconds_, taken.count());
    return absl::OkStatus();
  }

  bool HasResultOf(const Contender& other) const {
    return std::memcmp(destination_.get_data_handle(),
                       other.destination_.get_data_handle(),
                       DescBytes(destination_.get_desc())) == 0;
  }

  double best_seconds() const { return best_seconds_; }

 private:
  Contender(const Kernel& kernel, const Given& given)
      : primitive_(kernel.primitive),
        weights_(kernel.weights, CpuEngine()),
        destination_(kernel.destination, CpuEngine()),
        arguments_(OwnArguments(kernel)),
        stream_(CpuEngine()) {
    arguments_.insert({DNNL_ARG_SRC, given.source});
    arguments_.insert({DNNL_ARG_WEIGHTS, weights_});
    arguments_.insert({DNNL_ARG_DST, destination_});
    arguments_.insert(given.addends.begin(), given.addends.end());
  }

  absl::Status Run() {
    return GuardOneDnn("convolution", [&] {
      primitive_.execute(stream_, arguments_);
      stream_.wait();
    });
  }

  dnnl::primitive primitive_;
  dnnl::memory weights_;
  dnnl::memory destination_;
  Arguments arguments_;
  dnnl::stream stream_;
  double best_seconds_ = std::numeric_limits<double>::infinity();
};

// In turn, so that whatever slows the machine for a while slows all.
absl::Status Race(std::vector<Contender>* contenders) {
  double spent_seconds = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && spent_seconds > kEnoughSeconds) break;
    for (Contender& contender : *contenders) {
      LATHE_RETURN_IF_ERROR(contender.RunTimed());
      spent_seconds += contender.best_seconds();
    }
  }
  return absl::OkStatus();
}

std::string NameOf(const MemoryDesc& desc) {
  return absl::StrCat(DataTypeName(DescType(desc)), "[",
                      absl::StrJoin(DescDims(desc), ","), "]");
}

// Everything that the speed of a convolution may depend on.
std::string KindOf(const ConvolutionSpec& spec, const Attributes& attributes) {
  std::string kind = absl::StrCat(
      omp_get_max_threads(), " ", NameOf(spec.source), NameOf(spec.weights),
      NameOf(spec.destination), spec.has_bias, " ",
      absl::StrJoin(spec.strides, ","), " ", absl::StrJoin(spec.dilations, ","),
      " ", absl::StrJoin(spec.pads_begin, ","), " ",
      absl::StrJoin(spec.pads_end, ","), " ", attributes.scales.size(), " ",
      attributes.source_zero_point != 0);
  for (const FusedOp& op : attributes.ops) {
    absl::StrAppend(&kind, " ", static_cast<int>(op.kind), "/",
                    static_cast<int>(op.algorithm), "/", DataTypeName(op.type));
    if (op.kind == FusedOp::Kind::kBinaryAdd) {
      absl::StrAppend(&kind, NameOf(op.desc));
    }
  }
  return kind;
}

// The winners so far, by kind, as indices into MakeConvolutions.
class Winners {
 public:
  static Winners& OfProcess() {
    static auto* winners = new Winners;
    return *winners;
  }

  std::optional<size_t> Find(const std::string& kind) {
    const absl::MutexLock lock(&mutex_);
    const auto found = by_kind_.find(kind);
    if (found == by_kind_.end()) return std::nullopt;
    return found->second;
  }
  void Add(const std::string& kind, size_t winner) {
    const absl::MutexLock lock(&mutex_);
    by_kind_.emplace(kind, winner);
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, size_t> by_kind_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<size_t> MeasureQuickest(absl::Span<const Kernel> kernels,
                                       const ConvolutionSpec& spec,
                                       const Attributes& attributes) {
  const Kernel& preferred = kernels[0];
  const int64_t bytes =
      DescBytes(preferred.source) + DescBytes(preferred.destination);
  if (kernels.size() == 1 || bytes > kMostBytes) return 0;
  const Given given = MakeGiven(preferred, spec, attributes);
  std::vector<Contender> contenders;
  std::vector<size_t> indices;
  for (size_t i = 0; i < kernels.size(); ++i) {
    LATHE_ASSIGN_OR_RETURN(Contender contender,
                           Contender::Make(kernels[i], spec, given));
    LATHE_RETURN_IF_ERROR(contender.RunFirst(given));
    if (i > 0 && !contender.HasResultOf(contenders[0])) continue;
    contenders.push_back(std::move(contender));
    indices.push_back(i);
  }
  if (contenders.size() == 1) return 0;
  LATHE_RETURN_IF_ERROR(Race(&contenders));
  size_t winner = 0;
  double bar = (1 - kLeastGain) * contenders[0].best_seconds();
  for (size_t i = 1; i < contenders.size(); ++i) {
    if (contenders[i].best_seconds() >= bar) continue;
    winner = i;
    bar = contenders[i].best_seconds();
  }
  return indices[winner];
}

absl::StatusOr<Kernel> QuickestConvolution(const ConvolutionSpec& spec,
                                           const Attributes& attributes) {
  const std::string kind = KindOf(spec, attributes);
  std::optional<size_t> winner = Winners::OfProcess().Find(kind);
  // To make all of them takes milliseconds.
  if (winner == 0) return MakeConvolution(spec, attributes);
  // One at a time: others' measurements would be noise in this one, and threads
  // that step through oneDNN 2.6's implementations at once were seen to crash.
  static absl::Mutex* const turn = new absl::Mutex;
  const absl::MutexLock lock(turn);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Kernel> kernels,
                         MakeConvolutions(spec, attributes));
  if (!winner.has_value()) {
    absl::Status done;
    LATHE_RETURN_IF_ERROR(GuardOneDnn("convolution", [&] {
      const auto measured = MeasureQuickest(kernels, spec, attributes);
      done = measured.status();
      if (measured.ok()) winner = *measured;
    }));
    LATHE_RETURN_IF_ERROR(done);
    Winners::OfProcess().Add(kind, *winner);
  }
  return kernels[*winner];
}

}  // namespace lathe
