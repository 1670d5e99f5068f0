#include "compressor/model_file.h"

#include <string>

#include "base/status.h"
#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/packed_model.h"

namespace lathe {

absl::StatusOr<Graph> ParseModel(absl::string_view bytes) {
  if (!IsPackedModel(bytes)) return ParseOnnx(bytes);
  LATHE_ASSIGN_OR_RETURN(const std::string onnx, UnpackModel(bytes));
  return ParseOnnx(onnx);
}

absl::StatusOr<Graph> OpenModel(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseModel(bytes));
  return Canonicalize(parsed);
}

absl::StatusOr<Graph> OpenModel(absl::string_view bytes,
                                const InputShapeSource& shape_of) {
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseModel(bytes));
  LATHE_ASSIGN_OR_RETURN(const Graph fixed, FixInputShapes(parsed, shape_of));
  return Canonicalize(fixed);
}

}  // namespace lathe
