// Objects to bytes and back, for snapshots of agents.
#ifndef LATHE_AGENT_STATE_ARCHIVE_H_
#define LATHE_AGENT_STATE_ARCHIVE_H_

#include <Eigen/Dense>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace lathe {

// Writes what it is called with, or, made from bytes, reads it back in the same
// order: one function, Visit(archive), serves a class for both. Numbers are
// kept bit by bit, as this machine has them. Reading never goes beyond the
// bytes: what they do not hold is left as it is, and is_sound() says so. Not
// thread-safe.
class StateArchive {
 public:
  StateArchive() = default;
  // Reads `bytes`, which must outlive the archive.
  explicit StateArchive(absl::string_view bytes)
      : is_reading_(true), unread_(bytes) {}

  // What was read makes no sense.
  void Refuse() { is_sound_ = false; }

  bool is_reading() const { return is_reading_; }
  bool is_sound() const { return is_sound_; }
  // Whether all was read, soundly.
  bool is_at_end() const { return is_sound_ && unread_.empty(); }
  const std::string& bytes() const { return written_; }

  template <typename T>
  void operator()(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      Raw(&value, sizeof(T));
    } else {
      value.Visit(*this);
    }
  }
  void operator()(std::string& text) {
    if (Count(text.size(), 1, [&](size_t n) { text.resize(n); })) {
      Raw(text.data(), text.size());
    }
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    Sequence(values);
  }
  template <typename T>
  void operator()(std::deque<T>& values) {
    Sequence(values);
  }
  template <typename T>
  void operator()(std::optional<T>& value) {
    bool has_value = value.has_value();
    (*this)(has_value);
    if (!has_value) value.reset();
    if (has_value && !value.has_value()) value.emplace();
    if (has_value) (*this)(*value);
  }
  template <typename K, typename V>
  void operator()(std::map<K, V>& values) {
    std::vector<std::pair<K, V>> pairs(values.begin(), values.end());
    Sequence(pairs);
    values = std::map<K, V>(pairs.begin(), pairs.end());
  }
  template <typename T>
  void operator()(std::set<T>& values) {
    std::vector<T> sorted(values.begin(), values.end());
    Sequence(sorted);
    values = std::set<T>(sorted.begin(), sorted.end());
  }
  template <typename A, typename B>
  void operator()(std::pair<A, B>& both) {
    (*this)(both.first);
    (*this)(both.second);
  }
  void operator()(Eigen::VectorXd& values) {
    const auto size = static_cast<size_t>(values.size());
    const auto resize = [&values](size_t n) {
      values.resize(static_cast<Eigen::Index>(n));
    };
    if (Count(size, sizeof(double), resize)) {
      Raw(values.data(), static_cast<size_t>(values.size()) * sizeof(double));
    }
  }

 private:
  // Passes a count; on reading makes room for it, where the bytes hold as many
  // elements of at least `least_bytes`.
  template <typename Resize>
  bool Count(size_t size, size_t least_bytes, Resize resize) {
    uint64_t count = size;
    Raw(&count, sizeof(count));
    if (!is_reading_) return true;
    if (!is_sound_ || count > unread_.size() / least_bytes) {
      is_sound_ = false;
      return false;
    }
    resize(static_cast<size_t>(count));
    return true;
  }

  template <typename C>
  void Sequence(C& values) {
    if (!Count(values.size(), 1, [&values](size_t n) { values.resize(n); })) {
      return;
    }
    for (auto& value : values) (*this)(value);
  }

  void Raw(void* data, size_t bytes) {
    if (!is_reading_) {
      written_.append(static_cast<const char*>(data), bytes);
      return;
    }
    if (!is_sound_ || unread_.size() < bytes) {
      is_sound_ = false;
      return;
    }
    std::memcpy(data, unread_.data(), bytes);
    unread_.remove_prefix(bytes);
  }

  bool is_reading_ = false;
  bool is_sound_ = true;
  absl::string_view unread_;
  std::string written_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_STATE_ARCHIVE_H_
