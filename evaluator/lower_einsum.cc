// Einsum of two values as a matrix product.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "evaluator/lower_ops.h"

namespace lathe {
namespace {

// The letters of "abc,acd->abd" by what becomes of them.
struct ProductOfLetters {
  std::string first;
  std::string second;
  std::string out;
  std::string batch;    // Of both factors and the result.
  std::string rows;     // Of the first factor and the result.
  std::string columns;  // Of the second factor and the result.
  std::string summed;   // Of both factors.
};

bool Contains(const std::string& term, char letter) {
  return term.find(letter) != std::string::npos;
}

bool IsOnce(std::string term) {
  std::sort(term.begin(), term.end());
  return std::adjacent_find(term.begin(), term.end()) == term.end();
}

// None where that is no product of matrices.
std::optional<ProductOfLetters> ParseProduct(const std::string& equation) {
  const std::vector<std::string> sides =
      absl::StrSplit(absl::StrReplaceAll(equation, {{" ", ""}}), "->");
  const std::vector<std::string> terms = absl::StrSplit(sides[0], ',');
  if (sides.size() != 2 || terms.size() != 2 || Contains(equation, '.')) {
    return std::nullopt;
  }
  ProductOfLetters product{terms[0], terms[1], sides[1]};
  if (!IsOnce(terms[0]) || !IsOnce(terms[1])) return std::nullopt;
  for (char letter : product.out) {
    const bool is_first = Contains(product.first, letter);
    const bool is_second = Contains(product.second, letter);
    (is_first && is_second ? product.batch
     : is_first            ? product.rows
                           : product.columns) += letter;
  }
  for (char letter : product.first) {
    if (Contains(product.out, letter)) continue;
    if (!Contains(product.second, letter)) return std::nullopt;
    product.summed += letter;
  }
  for (char letter : product.second) {
    if (!Contains(product.out, letter) && !Contains(product.first, letter)) {
      return std::nullopt;
    }
  }
  return product;
}

class EinsumLowering {
 public:
  EinsumLowering(LoweringContext& context, const Node& node,
                 ProductOfLetters product)
      : context_(context), node_(node), product_(std::move(product)) {}

  absl::Status Run() {
    const ProductOfLetters& p = product_;
    const MemoryDesc first = Matrices(p.rows, p.summed);
    const MemoryDesc second = Matrices(p.summed, p.columns);
    const MemoryDesc out = Matrices(p.rows, p.columns);
    LATHE_ASSIGN_OR_RETURN(const Kernel kernel,
                           MakeMatMul(first, second, out, {}));
    LATHE_ASSIGN_OR_RETURN(const Copy a, Arranged(node_.inputs[0], p.first,
                                                  p.batch + p.rows + p.summed));
    LATHE_ASSIGN_OR_RETURN(
        const Copy b,
        Arranged(node_.inputs[1], p.second, p.batch + p.summed + p.columns));
    const Copy c = context_.NewCopy(FloatEncoding(), out);
    LATHE_RETURN_IF_ERROR(
        context_.AddKernel("einsum", kernel,
                           {Reads(DNNL_ARG_SRC, a, kernel.source),
                            Reads(DNNL_ARG_WEIGHTS, b, kernel.weights),
                            Writes(DNNL_ARG_DST, c, kernel.destination)}));
    return DefineResult(c);
  }

 private:
  int64_t Size(char letter) const {
    const size_t i = product_.first.find(letter);
    return i != std::string::npos
               ? context_.shape(node_.inputs[0])[i]
               : context_.shape(node_.inputs[1])[product_.second.find(letter)];
  }

  Shape Sizes(const std::string& letters) const {
    Shape sizes;
    for (char letter : letters) sizes.push_back(Size(letter));
    return sizes;
  }

  int64_t Count(const std::string& letters) const {
    return ElementCount(Sizes(letters));
  }

  MemoryDesc Matrices(const std::string& rows,
                      const std::string& columns) const {
    return PlainDesc({Count(product_.batch), Count(rows), Count(columns)},
                     DataType::kFloat32);
  }

  // Numbers of `from`, which lies row-major in the order `have`, in the order
  // `want`.
  absl::StatusOr<Copy> Reordered(const Copy& from, const std::string& have,
                                 const std::string& want) {
    if (have == want) return from;
    const Shape sizes = Sizes(have);
    std::vector<int64_t> strides(sizes.size(), 1);
    for (size_t d = sizes.size(); d-- > 1;) {
      strides[d - 1] = strides[d] * sizes[d];
    }
    std::vector<int64_t> walk;
    for (char letter : want) walk.push_back(strides[have.find(letter)]);
    Copy view = from;
    view.desc = StridedDesc(Sizes(want), walk, DataType::kFloat32);
    const Copy to = context_.NewCopy(
        FloatEncoding(), PlainDesc(Sizes(want), DataType::kFloat32));
    LATHE_RETURN_IF_ERROR(context_.AddReorder(view, to));
    return to;
  }

  absl::StatusOr<Copy> Arranged(ValueId value, const std::string& have,
                                const std::string& want) {
    LATHE_ASSIGN_OR_RETURN(const Copy plain, context_.FetchPlain(value));
    return Reordered(plain, have, want);
  }

  absl::Status DefineResult(const Copy& matrices) {
    const ProductOfLetters& p = product_;
    LATHE_ASSIGN_OR_RETURN(
        Copy result, Reordered(matrices, p.batch + p.rows + p.columns, p.out));
    result.desc =
        PlainDesc(context_.shape(node_.outputs[0]), DataType::kFloat32);
    context_.Define(node_.outputs[0], result);
    return absl::OkStatus();
  }

  LoweringContext& context_;
  const Node& node_;
  const ProductOfLetters product_;
};

}  // namespace

absl::StatusOr<bool> LowerEinsum(LoweringContext& context, const Node& node) {
  if (node.inputs.size() != 2 || !node.post_ops.empty()) return false;
  for (ValueId value : node.inputs) {
    if (context.type(value) != DataType::kFloat32) return false;
  }
  auto product = ParseProduct(node.StringOr("equation", ""));
  if (!product) return false;
  LATHE_RETURN_IF_ERROR(
      EinsumLowering(context, node, *std::move(product)).Run());
  return true;
}

}  // namespace lathe
