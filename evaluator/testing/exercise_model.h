// Everything that Lathe does to a model before it measures it, on bytes that
// nobody trusts: for the fuzzer and the replay of its corpus.
#ifndef LATHE_EVALUATOR_TESTING_EXERCISE_MODEL_H_
#define LATHE_EVALUATOR_TESTING_EXERCISE_MODEL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lathe {

// Parses `bytes`, brings them to the canonical form, infers shapes, compiles;
// and where the network is small enough to run in milliseconds also runs it,
// makes its search space, compresses it by a plan of mixed precisions,
// exports, imports and runs that. Returns what stopped it first; whatever the
// bytes are, memory stays below 1 GB.
absl::Status ExerciseModel(absl::string_view bytes);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_TESTING_EXERCISE_MODEL_H_
