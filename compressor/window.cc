#include "compressor/window.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/limits.h"

namespace lathe {
namespace {

absl::Status CheckSizes(const std::vector<int64_t>& sizes, size_t rank,
                        int64_t least, const char* name) {
  if (sizes.size() != rank) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " = ", ShapeToString(sizes), ", not of ", rank,
                     " spatial dimensions"));
  }
  for (const int64_t size : sizes) {
    if (size < least || size > kMostWindowSize) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " = ", ShapeToString(sizes), ": ", size,
                       " is not in [", least, ", 2^31]"));
    }
  }
  return absl::OkStatus();
}

// Everything but pads_* and out.
absl::StatusOr<Window> ReadWindow(const Node& node,
                                  absl::Span<const int64_t> in,
                                  absl::Span<const int64_t> kernel) {
  const size_t rank = in.size();
  Window window;
  window.in.assign(in.begin(), in.end());
  window.kernel = node.IntsOr(
      "kernel_shape", std::vector<int64_t>(kernel.begin(), kernel.end()));
  window.strides = node.IntsOr("strides", std::vector<int64_t>(rank, 1));
  window.dilations = node.IntsOr("dilations", std::vector<int64_t>(rank, 1));
  LATHE_RETURN_IF_ERROR(CheckSizes(window.in, rank, 1, "input"));
  LATHE_RETURN_IF_ERROR(CheckSizes(window.kernel, rank, 1, "kernel_shape"));
  LATHE_RETURN_IF_ERROR(CheckSizes(window.strides, rank, 1, "strides"));
  LATHE_RETURN_IF_ERROR(CheckSizes(window.dilations, rank, 1, "dilations"));
  if (!kernel.empty() &&
      !std::equal(kernel.begin(), kernel.end(), window.kernel.begin(),
                  window.kernel.end())) {
    return absl::InvalidArgumentError(
        absl::StrCat("kernel_shape = ", ShapeToString(window.kernel),
                     ", but the weights are ", ShapeToString(kernel)));
  }
  return window;
}

// pads_begin and pads_end from the attribute, zero when it is absent.
absl::Status ReadPads(const Node& node, Window& window) {
  const size_t rank = window.in.size();
  const std::vector<int64_t> pads =
      node.IntsOr("pads", std::vector<int64_t>(2 * rank, 0));
  LATHE_RETURN_IF_ERROR(CheckSizes(pads, 2 * rank, 0, "pads"));
  window.pads_begin.assign(pads.begin(), pads.begin() + rank);
  window.pads_end.assign(pads.begin() + rank, pads.end());
  return absl::OkStatus();
}

int64_t Reach(const Window& window, size_t d) {
  return (window.kernel[d] - 1) * window.dilations[d] + 1;
}

bool IsSame(const std::string& auto_pad) {
  return auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
}

absl::Status CheckAutoPad(const std::string& auto_pad) {
  if (auto_pad == "NOTSET" || auto_pad == "VALID" || IsSame(auto_pad)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("auto_pad = \"", auto_pad,
                   "\", not NOTSET, VALID, SAME_UPPER or SAME_LOWER"));
}

// Shares `total` padding between both sides of dimension `d`.
void SplitPad(const std::string& auto_pad, size_t d, int64_t total,
              Window& window) {
  const int64_t less = total / 2;
  const int64_t more = total - less;
  const bool is_upper = auto_pad != "SAME_LOWER";
  window.pads_begin[d] = is_upper ? less : more;
  window.pads_end[d] = is_upper ? more : less;
}

absl::StatusOr<int64_t> OutSize(const Window& window, size_t d, bool is_ceil) {
  const int64_t stride = window.strides[d];
  const int64_t room = window.in[d] + window.pads_begin[d] +
                       window.pads_end[d] - Reach(window, d);
  if (room < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a window of ", Reach(window, d), " does not fit into dimension ", d,
        " of ", window.in[d], " with padding ", window.pads_begin[d], " + ",
        window.pads_end[d]));
  }
  int64_t out = (room + (is_ceil ? stride - 1 : 0)) / stride + 1;
  // A window that would start beyond the input and its left padding is none.
  if (is_ceil && (out - 1) * stride >= window.in[d] + window.pads_begin[d]) {
    --out;
  }
  return out;
}

}  // namespace

absl::StatusOr<Window> ResolveWindow(const Node& node,
                                     absl::Span<const int64_t> in,
                                     absl::Span<const int64_t> kernel) {
  LATHE_ASSIGN_OR_RETURN(Window window, ReadWindow(node, in, kernel));
  const std::string auto_pad = node.StringOr("auto_pad", "NOTSET");
  LATHE_RETURN_IF_ERROR(CheckAutoPad(auto_pad));
  if (auto_pad == "NOTSET") {
    LATHE_RETURN_IF_ERROR(ReadPads(node, window));
  } else {
    window.pads_begin.assign(in.size(), 0);
    window.pads_end.assign(in.size(), 0);
  }
  const bool is_ceil = node.IntOr("ceil_mode", 0) != 0;
  for (size_t d = 0; d < in.size(); ++d) {
    if (IsSame(auto_pad)) {
      const int64_t stride = window.strides[d];
      const int64_t out = (in[d] + stride - 1) / stride;
      const int64_t total = (out - 1) * stride + Reach(window, d) - in[d];
      SplitPad(auto_pad, d, std::max<int64_t>(total, 0), window);
      window.out.push_back(out);
      continue;
    }
    LATHE_ASSIGN_OR_RETURN(const int64_t out, OutSize(window, d, is_ceil));
    window.out.push_back(out);
  }
  return window;
}

absl::StatusOr<Window> ResolveTransposedWindow(
    const Node& node, absl::Span<const int64_t> in,
    absl::Span<const int64_t> kernel) {
  const size_t rank = in.size();
  LATHE_ASSIGN_OR_RETURN(Window window, ReadWindow(node, in, kernel));
  const std::string auto_pad = node.StringOr("auto_pad", "NOTSET");
  LATHE_RETURN_IF_ERROR(CheckAutoPad(auto_pad));
  LATHE_RETURN_IF_ERROR(ReadPads(node, window));
  const std::vector<int64_t> extra =
      node.IntsOr("output_padding", std::vector<int64_t>(rank, 0));
  LATHE_RETURN_IF_ERROR(CheckSizes(extra, rank, 0, "output_padding"));
  std::vector<int64_t> wanted = node.IntsOr("output_shape", {});
  if (IsSame(auto_pad) && wanted.empty()) {
    for (size_t d = 0; d < rank; ++d) {
      wanted.push_back(in[d] * window.strides[d]);
    }
  }
  if (!wanted.empty()) {
    LATHE_RETURN_IF_ERROR(CheckSizes(wanted, rank, 1, "output_shape"));
  }
  for (size_t d = 0; d < rank; ++d) {
    const int64_t full =
        window.strides[d] * (in[d] - 1) + extra[d] + Reach(window, d);
    if (!wanted.empty()) {
      // ONNX puts the odd one first unless SAME_UPPER is asked for.
      SplitPad(auto_pad == "SAME_UPPER" ? "SAME_UPPER" : "SAME_LOWER", d,
               std::max<int64_t>(full - wanted[d], 0), window);
      window.out.push_back(wanted[d]);
      continue;
    }
    if (auto_pad == "VALID") window.pads_begin[d] = window.pads_end[d] = 0;
    window.out.push_back(full - window.pads_begin[d] - window.pads_end[d]);
    if (window.out.back() < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "dimension ", d, " of the output would be ", window.out.back()));
    }
  }
  return window;
}

}  // namespace lathe
