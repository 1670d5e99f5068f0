// Messages between a worker and its evaluating child, over a socket.
//
// A message is four fixed bytes, its length (32 bits, little endian) and its
// bytes, so that anything else on the line is told at once.
#ifndef LATHE_CLIENT_WORKER_MESSAGE_SOCKET_H_
#define LATHE_CLIENT_WORKER_MESSAGE_SOCKET_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message_lite.h"

namespace lathe {

// Sends all of a message; waits while the socket is full.
// Errors: Unavailable - the other side is gone.
absl::Status SendMessage(int socket,
                         const google::protobuf::MessageLite& message);

// Puts messages together from what arrives. Not thread-safe.
class MessageReader {
 public:
  // Takes what the socket has, waiting for at least a byte. False at its end.
  // Errors: Unavailable - the other side is gone.
  absl::StatusOr<bool> ReadSome(int socket);

  // Moves the next message into `message`; false while it is incomplete.
  // Errors: DataLoss - what arrived is no message.
  absl::StatusOr<bool> Take(google::protobuf::MessageLite* message);

 private:
  std::string bytes_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_MESSAGE_SOCKET_H_
