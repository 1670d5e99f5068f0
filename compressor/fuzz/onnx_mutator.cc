#include "compressor/fuzz/onnx_mutator.h"

#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <vector>

#include "compressor/reference_ops.h"
#include "google/protobuf/message.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int64_t kNumbers[] = {
    0,         1,         -1,        2,         3,         7,
    8,         16,        255,       256,       1 << 16,   1 << 20,
    1 << 30,   INT32_MAX, INT32_MIN, 1LL << 31, 1LL << 32, 1LL << 40,
    1LL << 62, INT64_MAX, INT64_MIN};
constexpr float kReals[] = {0.0f,  -0.0f, 1.0f,      -1.0f,      0.5f, 1e-40f,
                            1e30f, 3e38f, HUGE_VALF, -HUGE_VALF, NAN};

// A field of a message somewhere in the model.
struct Place {
  Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
};

class Mutator {
 public:
  Mutator(onnx::ModelProto& model, uint32_t seed)
      : model_(model), random_(seed) {
    Collect(model_);
    for (const auto& node : model_.graph().node()) {
      for (const auto& name : node.input()) names_.push_back(name);
      for (const auto& name : node.output()) names_.push_back(name);
    }
    names_.push_back("");
  }

  void Change() {
    if (places_.empty()) return;
    const Place place = places_[Below(places_.size())];
    const Reflection& reflection = *place.message->GetReflection();
    if (!place.field->is_repeated()) return Set(place, reflection);
    const int count = reflection.FieldSize(*place.message, place.field);
    switch (Below(count > 1 ? 4 : 3)) {
      case 0:
        return Add(place, reflection);
      case 1:
        if (count > 0) reflection.RemoveLast(place.message, place.field);
        return;
      case 2:
        if (count > 0) SetRepeated(place, reflection, Below(count));
        return;
      default:
        reflection.SwapElements(place.message, place.field, Below(count),
                                Below(count));
    }
  }

 private:
  size_t Below(size_t count) { return random_() % count; }

  // Fields that stand, and those that could, save what only describes.
  void Collect(Message& message) {
    const Reflection& reflection = *message.GetReflection();
    const auto* descriptor = message.GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor* field = descriptor->field(i);
      if (field->name() == "doc_string") continue;
      const bool stands = field->is_repeated()
                              ? reflection.FieldSize(message, field) > 0
                              : reflection.HasField(message, field);
      // Fields that stand are likelier to matter.
      if (stands || Below(8) == 0) places_.push_back({&message, field});
      if (!stands || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        continue;
      }
      if (!field->is_repeated()) {
        Collect(*reflection.MutableMessage(&message, field));
        continue;
      }
      for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
        Collect(*reflection.MutableRepeatedMessage(&message, field, k));
      }
    }
  }

  int64_t Number(int64_t now) {
    switch (Below(4)) {
      case 0:
        return static_cast<int64_t>(static_cast<uint64_t>(now) + 1);
      case 1:
        return static_cast<int64_t>(static_cast<uint64_t>(now) - 1);
      case 2:
        return static_cast<int64_t>(Below(26));
      default:
        return kNumbers[Below(std::size(kNumbers))];
    }
  }
  float Real() { return kReals[Below(std::size(kReals))]; }

  std::string Text(const FieldDescriptor* field, std::string now) {
    if (field->name() == "op_type") {
      static const auto* operators =
          new std::vector<std::string>(SupportedOperators());
      return (*operators)[Below(operators->size())];
    }
    if (field->type() != FieldDescriptor::TYPE_BYTES && Below(4) != 0) {
      return names_[Below(names_.size())];
    }
    if (now.empty() || Below(4) == 0)
      return now + std::string(1 + Below(16), 'x');
    if (Below(4) == 0) return now.substr(0, Below(now.size()));
    now[Below(now.size())] = static_cast<char>(random_());
    return now;
  }

  void Set(const Place& place, const Reflection& reflection) {
    Message* message = place.message;
    const FieldDescriptor* field = place.field;
    if (Below(8) == 0) return reflection.ClearField(message, field);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(
            message, field,
            static_cast<int32_t>(Number(reflection.GetInt32(*message, field))));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(
            message, field, Number(reflection.GetInt64(*message, field)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.SetFloat(message, field, Real());
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(message, field,
                                       static_cast<int>(Below(16)));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(
            message, field, Text(field, reflection.GetString(*message, field)));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        reflection.MutableMessage(message, field);
        return;
      default:
        return;
    }
  }

  void SetRepeated(const Place& place, const Reflection& reflection, int i) {
    Message* message = place.message;
    const FieldDescriptor* field = place.field;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetRepeatedInt32(
            message, field, i,
            static_cast<int32_t>(
                Number(reflection.GetRepeatedInt32(*message, field, i))));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetRepeatedInt64(
            message, field, i,
            Number(reflection.GetRepeatedInt64(*message, field, i)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.SetRepeatedFloat(message, field, i, Real());
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetRepeatedString(
            message, field, i,
            Text(field, reflection.GetRepeatedString(*message, field, i)));
      default:
        return;
    }
  }

  void Add(const Place& place, const Reflection& reflection) {
    Message* message = place.message;
    const FieldDescriptor* field = place.field;
    const int count = reflection.FieldSize(*message, field);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.AddInt32(message, field,
                                   static_cast<int32_t>(Number(1)));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.AddInt64(message, field, Number(1));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.AddFloat(message, field, Real());
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.AddString(message, field, Text(field, ""));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        if (count == 0) {
          reflection.AddMessage(message, field);
          return;
        }
        // Copied first: adding may move the elements.
        std::unique_ptr<Message> copy(
            reflection.GetRepeatedMessage(*message, field, Below(count)).New());
        copy->CopyFrom(
            reflection.GetRepeatedMessage(*message, field, Below(count)));
        reflection.AddMessage(message, field)->CopyFrom(*copy);
        return;
      }
      default:
        return;
    }
  }

  onnx::ModelProto& model_;
  std::mt19937 random_;
  std::vector<Place> places_;
  std::vector<std::string> names_;
};

}  // namespace

std::string MutateOnnx(absl::string_view bytes, uint32_t seed) {
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::string(bytes);
  }
  std::mt19937 random(seed);
  const int changes = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < changes; ++i) {
    // Anew each time: a change may take what others point to.
    Mutator(model, random()).Change();
  }
  return model.SerializePartialAsString();
}

}  // namespace lathe
