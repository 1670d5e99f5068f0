// Text that may go into protos and JSON.
#ifndef LATHE_COMPRESSOR_UTF8_H_
#define LATHE_COMPRESSOR_UTF8_H_

#include "absl/strings/string_view.h"

namespace lathe {

// Whether `text` is well-formed UTF-8 (no overlong forms, no surrogates).
bool IsUtf8(absl::string_view text);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_UTF8_H_
