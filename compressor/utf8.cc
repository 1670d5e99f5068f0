#include "compressor/utf8.h"

namespace lathe {
namespace {

// Bytes that follow `lead`; -1 when no character starts so.
int FollowingBytes(unsigned char lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead <= 0xDF) return 1;
  if (lead >= 0xE0 && lead <= 0xEF) return 2;
  if (lead >= 0xF0 && lead <= 0xF4) return 3;
  return -1;
}

// Whether the second byte makes an overlong form, a surrogate, or a character
// beyond the last one.
bool IsBadSecond(unsigned char lead, unsigned char second) {
  return (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
         (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const unsigned char lead = text[i++];
    int following = FollowingBytes(lead);
    if (following < 0) return false;
    if (following > 0 && i < text.size() && IsBadSecond(lead, text[i])) {
      return false;
    }
    for (; following > 0; --following, ++i) {
      if (i >= text.size() || (text[i] & 0xC0) != 0x80) return false;
    }
  }
  return true;
}

}  // namespace lathe
