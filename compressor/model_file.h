// Model files of either format.
#ifndef LATHE_COMPRESSOR_MODEL_FILE_H_
#define LATHE_COMPRESSOR_MODEL_FILE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/graph.h"
#include "compressor/input_shapes.h"

namespace lathe {

// The parsed form of an ONNX file or of a packed one (packed_model.h).
//
// Errors: those of ParseOnnx and UnpackModel.
absl::StatusOr<Graph> ParseModel(absl::string_view bytes);

// The same, brought to the canonical form.
//
// Errors: those of ParseModel and Canonicalize.
absl::StatusOr<Graph> OpenModel(absl::string_view bytes);

// The same of a model that may leave sizes besides the batch open.
//
// Errors: also those of FixInputShapes.
absl::StatusOr<Graph> OpenModel(absl::string_view bytes,
                                const InputShapeSource& shape_of);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_MODEL_FILE_H_
