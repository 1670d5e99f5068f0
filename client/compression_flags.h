// The flags of v1::CompressionSettings: how choices are carried out.
#ifndef LATHE_CLIENT_COMPRESSION_FLAGS_H_
#define LATHE_CLIENT_COMPRESSION_FLAGS_H_

#include "proto/types.pb.h"

namespace CLI {
class App;
}

namespace lathe {

// Adds --calibration-method and its companions, which set fields of `settings`;
// it must outlive the parse. The values are checked by MakeCompressOptions
// (compressor/compression_settings.h).
void AddCompressionFlags(CLI::App& command, v1::CompressionSettings& settings);

}  // namespace lathe

#endif  // LATHE_CLIENT_COMPRESSION_FLAGS_H_
