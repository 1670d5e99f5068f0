// The C interface: no exception and no C++ type crosses it.
#include "runtime/lathe_runtime.h"

#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "evaluator/executor.h"
#include "evaluator/thread_scope.h"
#include "runtime/deployed_model.h"

struct lathe_model {
  // Shared with its sessions, which may outlive it.
  std::shared_ptr<const lathe::DeployedModel> deployed;
};

struct lathe_session {
  std::shared_ptr<const lathe::DeployedModel> deployed;
  int threads = 1;
  std::unique_ptr<lathe::Executor> executor;
};

namespace lathe {
namespace {

// What a status of kInvalidArgument and its like is about.
enum class Blame { kCall, kModel };

// Of the last failed call on this thread.
std::string& LastError() {
  thread_local std::string message;
  return message;
}

lathe_status Fail(lathe_status status, const char* message) {
  try {
    LastError() = message;
  } catch (...) {
    LastError().clear();
  }
  return status;
}

lathe_status StatusCode(const absl::Status& status, Blame blame) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return LATHE_OK;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return blame == Blame::kModel ? LATHE_INVALID_MODEL
                                    : LATHE_INVALID_ARGUMENT;
    case absl::StatusCode::kUnimplemented:
      return LATHE_UNSUPPORTED;
    case absl::StatusCode::kResourceExhausted:
      return LATHE_OUT_OF_MEMORY;
    case absl::StatusCode::kNotFound:
      return LATHE_NOT_FOUND;
    default:
      return LATHE_INTERNAL;
  }
}

// Runs `body`, which returns an absl::Status, for a caller who speaks C.
template <typename Body>
lathe_status Guard(Blame blame, Body body) {
  try {
    const absl::Status status = body();
    if (status.ok()) return LATHE_OK;
    return Fail(StatusCode(status, blame),
                std::string(status.message()).c_str());
  } catch (const std::bad_alloc&) {
    return Fail(LATHE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return Fail(LATHE_INTERNAL, error.what());
  } catch (...) {
    return Fail(LATHE_INTERNAL, "unknown exception");
  }
}

lathe_type TypeOf(DataType type) {
  switch (type) {
    case DataType::kFloat64:
      return LATHE_FLOAT64;
    case DataType::kInt8:
      return LATHE_INT8;
    case DataType::kUint8:
      return LATHE_UINT8;
    case DataType::kInt16:
      return LATHE_INT16;
    case DataType::kUint16:
      return LATHE_UINT16;
    case DataType::kInt32:
      return LATHE_INT32;
    case DataType::kUint32:
      return LATHE_UINT32;
    case DataType::kInt64:
      return LATHE_INT64;
    case DataType::kUint64:
      return LATHE_UINT64;
    case DataType::kBool:
      return LATHE_BOOL;
    // 16-bit floats are widened when a model is read.
    case DataType::kFloat16:
    case DataType::kBfloat16:
    case DataType::kFloat32:
      return LATHE_FLOAT32;
  }
  return LATHE_FLOAT32;
}

lathe_tensor_info Describe(const TensorSpec& spec, const Shape& sizes,
                           size_t bytes) {
  lathe_tensor_info info;
  info.name = spec.name.c_str();
  info.type = TypeOf(spec.type);
  info.rank = static_cast<int32_t>(sizes.size());
  info.sizes = sizes.data();
  info.bytes = bytes;
  return info;
}

lathe_status BadIndex(const char* what, int32_t index, size_t count) {
  return Guard(Blame::kCall, [&] {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", index, ", not in [0, ", count, ")"));
  });
}

bool IsIndex(int32_t index, size_t count) {
  return index >= 0 && static_cast<size_t>(index) < count;
}

lathe_status DescribeOfModel(const std::vector<TensorSpec>& specs,
                             const char* what, int32_t index,
                             lathe_tensor_info* info) {
  if (!IsIndex(index, specs.size())) {
    return BadIndex(what, index, specs.size());
  }
  *info = Describe(specs[index], specs[index].shape, /*bytes=*/0);
  return LATHE_OK;
}

size_t Bytes(const TensorSpec& spec, const Shape& shape) {
  return ElementCount(shape) * ElementBytes(spec.type);
}

lathe_status DescribeOfSession(const std::vector<TensorSpec>& specs,
                               absl::Span<const Shape> shapes, const char* what,
                               int32_t index, lathe_tensor_info* info) {
  if (!IsIndex(index, specs.size())) {
    return BadIndex(what, index, specs.size());
  }
  *info =
      Describe(specs[index], shapes[index], Bytes(specs[index], shapes[index]));
  return LATHE_OK;
}

absl::Status CheckSession(const DeployedModel& deployed, int64_t batch,
                          int32_t threads) {
  if (batch < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch = ", batch, ", not at least 1"));
  }
  if (threads < 1 || threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads = ", threads, ", not in [1, 1024]"));
  }
  const int64_t fixed = deployed.fixed_batch();
  if (fixed == 0 || fixed == batch) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("batch = ", batch, "; the model takes ", fixed, " only"));
}

absl::Status Open(absl::string_view bytes, lathe_model** model) {
  LATHE_ASSIGN_OR_RETURN(DeployedModel deployed, DeployedModel::Load(bytes));
  auto opened = std::make_unique<lathe_model>();
  opened->deployed = std::make_shared<const DeployedModel>(std::move(deployed));
  *model = opened.release();
  return absl::OkStatus();
}

// `sizes[i]` must be the size of buffer i.
absl::Status CheckSizes(const std::vector<TensorSpec>& specs,
                        absl::Span<const Shape> shapes, const char* what,
                        const size_t* sizes) {
  for (size_t i = 0; i < specs.size(); ++i) {
    const size_t bytes = Bytes(specs[i], shapes[i]);
    if (sizes[i] == bytes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", i, " (", specs[i].name, ") of ", sizes[i],
                     " bytes, not ", bytes));
  }
  return absl::OkStatus();
}

absl::Status RunWith(lathe_session* session, const void* const* inputs,
                     const size_t* input_sizes, void* const* outputs,
                     const size_t* output_sizes) {
  const DeployedModel& deployed = *session->deployed;
  Executor& executor = *session->executor;
  LATHE_RETURN_IF_ERROR(CheckSizes(deployed.inputs(), executor.input_shapes(),
                                   "input", input_sizes));
  LATHE_RETURN_IF_ERROR(CheckSizes(deployed.outputs(), executor.output_shapes(),
                                   "output", output_sizes));
  for (size_t i = 0; i < deployed.inputs().size(); ++i) {
    std::memcpy(executor.input(static_cast<int>(i)), inputs[i], input_sizes[i]);
  }
  const ThreadScope threads(session->threads);
  LATHE_RETURN_IF_ERROR(executor.Run());
  for (size_t i = 0; i < deployed.outputs().size(); ++i) {
    std::memcpy(outputs[i], executor.output(static_cast<int>(i)),
                output_sizes[i]);
  }
  return absl::OkStatus();
}

lathe_status NullArgument() {
  return Fail(LATHE_INVALID_ARGUMENT, "an argument is NULL");
}

}  // namespace
}  // namespace lathe

using lathe::Blame;
using lathe::Guard;

const char* lathe_runtime_version(void) { return LATHE_VERSION; }

const char* lathe_last_error(void) { return lathe::LastError().c_str(); }

lathe_status lathe_model_load(const char* path, lathe_model** model) {
  if (model != nullptr) *model = nullptr;
  if (path == nullptr || model == nullptr) return lathe::NullArgument();
  std::string bytes;
  const lathe_status read = Guard(Blame::kCall, [&]() -> absl::Status {
    absl::StatusOr<std::string> read_bytes = lathe::ReadFile(path);
    if (!read_bytes.ok()) {
      return absl::NotFoundError(read_bytes.status().message());
    }
    bytes = *std::move(read_bytes);
    return absl::OkStatus();
  });
  if (read != LATHE_OK) return read;
  return Guard(Blame::kModel, [&] {
    return lathe::Annotate(lathe::Open(bytes, model), path);
  });
}

lathe_status lathe_model_load_bytes(const void* bytes, size_t size,
                                    lathe_model** model) {
  if (model != nullptr) *model = nullptr;
  if (bytes == nullptr || model == nullptr) return lathe::NullArgument();
  return Guard(Blame::kModel, [&] {
    return lathe::Open({static_cast<const char*>(bytes), size}, model);
  });
}

void lathe_model_free(lathe_model* model) { delete model; }

int32_t lathe_model_input_count(const lathe_model* model) {
  if (model == nullptr) return 0;
  return static_cast<int32_t>(model->deployed->inputs().size());
}

int32_t lathe_model_output_count(const lathe_model* model) {
  if (model == nullptr) return 0;
  return static_cast<int32_t>(model->deployed->outputs().size());
}

lathe_status lathe_model_input(const lathe_model* model, int32_t index,
                               lathe_tensor_info* info) {
  if (model == nullptr || info == nullptr) return lathe::NullArgument();
  return lathe::DescribeOfModel(model->deployed->inputs(), "input", index,
                                info);
}

lathe_status lathe_model_output(const lathe_model* model, int32_t index,
                                lathe_tensor_info* info) {
  if (model == nullptr || info == nullptr) return lathe::NullArgument();
  return lathe::DescribeOfModel(model->deployed->outputs(), "output", index,
                                info);
}

int64_t lathe_model_fixed_batch(const lathe_model* model) {
  return model == nullptr ? 0 : model->deployed->fixed_batch();
}

lathe_status lathe_session_create(const lathe_model* model, int64_t batch,
                                  int32_t threads, lathe_session** session) {
  if (session != nullptr) *session = nullptr;
  if (model == nullptr || session == nullptr) return lathe::NullArgument();
  const lathe_status checked = Guard(Blame::kCall, [&] {
    return lathe::CheckSession(*model->deployed, batch, threads);
  });
  if (checked != LATHE_OK) return checked;
  return Guard(Blame::kModel, [&]() -> absl::Status {
    auto made = std::make_unique<lathe_session>();
    made->deployed = model->deployed;
    made->threads = threads;
    const lathe::ThreadScope scope(threads);
    LATHE_ASSIGN_OR_RETURN(
        made->executor,
        lathe::Executor::Compile(model->deployed->graph(), {batch}));
    *session = made.release();
    return absl::OkStatus();
  });
}

void lathe_session_free(lathe_session* session) { delete session; }

lathe_status lathe_session_input_info(const lathe_session* session,
                                      int32_t index, lathe_tensor_info* info) {
  if (session == nullptr || info == nullptr) return lathe::NullArgument();
  return lathe::DescribeOfSession(session->deployed->inputs(),
                                  session->executor->input_shapes(), "input",
                                  index, info);
}

lathe_status lathe_session_output_info(const lathe_session* session,
                                       int32_t index, lathe_tensor_info* info) {
  if (session == nullptr || info == nullptr) return lathe::NullArgument();
  return lathe::DescribeOfSession(session->deployed->outputs(),
                                  session->executor->output_shapes(), "output",
                                  index, info);
}

void* lathe_session_input(lathe_session* session, int32_t index) {
  if (session == nullptr ||
      !lathe::IsIndex(index, session->deployed->inputs().size())) {
    lathe::Fail(LATHE_INVALID_ARGUMENT, "no such input");
    return nullptr;
  }
  return session->executor->input(index);
}

const void* lathe_session_output(const lathe_session* session, int32_t index) {
  if (session == nullptr ||
      !lathe::IsIndex(index, session->deployed->outputs().size())) {
    lathe::Fail(LATHE_INVALID_ARGUMENT, "no such output");
    return nullptr;
  }
  return session->executor->output(index);
}

lathe_status lathe_session_run(lathe_session* session) {
  if (session == nullptr) return lathe::NullArgument();
  return Guard(Blame::kCall, [&] {
    const lathe::ThreadScope threads(session->threads);
    return session->executor->Run();
  });
}

lathe_status lathe_session_run_with(lathe_session* session,
                                    const void* const* inputs,
                                    const size_t* input_sizes,
                                    void* const* outputs,
                                    const size_t* output_sizes) {
  if (session == nullptr) return lathe::NullArgument();
  const bool has_inputs = !session->deployed->inputs().empty();
  if ((has_inputs && (inputs == nullptr || input_sizes == nullptr)) ||
      outputs == nullptr || output_sizes == nullptr) {
    return lathe::NullArgument();
  }
  return Guard(Blame::kCall, [&] {
    return lathe::RunWith(session, inputs, input_sizes, outputs, output_sizes);
  });
}
