#include "client/worker/message_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace lathe {
namespace {

constexpr absl::string_view kMark = "LTE1";
constexpr size_t kHeaderBytes = 8;

// Far above any plan or baseline report; a length beyond it is no length.
constexpr uint32_t kMostMessageBytes = 256u << 20;

std::string EncodeLength(uint32_t length) {
  std::string bytes(4, '\0');
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
  return bytes;
}

uint32_t DecodeLength(absl::string_view bytes) {
  uint32_t length = 0;
  for (int i = 0; i < 4; ++i) {
    length |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return length;
}

absl::Status NoMessage() {
  return absl::DataLossError("what was received is no message");
}

}  // namespace

absl::Status SendMessage(int socket,
                         const google::protobuf::MessageLite& message) {
  const std::string body = message.SerializeAsString();
  const std::string bytes = absl::StrCat(
      kMark, EncodeLength(static_cast<uint32_t>(body.size())), body);
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t length =
        send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) {
      return absl::UnavailableError(
          ErrnoToStatus(errno, "send to the other process").message());
    }
    sent += length;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> MessageReader::ReadSome(int socket) {
  char buffer[1 << 16];
  for (;;) {
    const ssize_t length = recv(socket, buffer, sizeof(buffer), /*flags=*/0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) {
      return absl::UnavailableError(
          ErrnoToStatus(errno, "receive from the other process").message());
    }
    bytes_.append(buffer, length);
    return length > 0;
  }
}

absl::StatusOr<bool> MessageReader::Take(
    google::protobuf::MessageLite* message) {
  const absl::string_view head(bytes_.data(),
                               std::min(bytes_.size(), kMark.size()));
  if (!absl::StartsWith(kMark, head)) return NoMessage();
  if (bytes_.size() < kHeaderBytes) return false;
  const uint32_t length =
      DecodeLength(absl::string_view(bytes_).substr(kMark.size(), 4));
  if (length > kMostMessageBytes) return NoMessage();
  if (bytes_.size() < kHeaderBytes + length) return false;
  const bool is_parsed = message->ParseFromArray(bytes_.data() + kHeaderBytes,
                                                 static_cast<int>(length));
  bytes_.erase(0, kHeaderBytes + length);
  if (!is_parsed) return NoMessage();
  return true;
}

}  // namespace lathe
