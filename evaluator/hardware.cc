// The functions of executor.h that are about the machine.
#include <cpuid.h>
#include <omp.h>

#include <cstring>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "evaluator/denormals.h"
#include "evaluator/executor.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {
namespace {

constexpr unsigned kBrandFirst = 0x80000002;
constexpr unsigned kBrandLast = 0x80000004;

// The brand string of cpuid, or "unknown".
std::string CpuModel() {
  if (static_cast<unsigned>(__get_cpuid_max(0x80000000, nullptr)) < kBrandLast)
    return "unknown";
  std::string brand;
  for (unsigned leaf = kBrandFirst; leaf <= kBrandLast; ++leaf) {
    unsigned registers[4] = {};
    __get_cpuid(leaf, &registers[0], &registers[1], &registers[2],
                &registers[3]);
    brand.append(reinterpret_cast<const char*>(registers), sizeof(registers));
  }
  brand = brand.c_str();  // Up to the first NUL.
  absl::RemoveExtraAsciiWhitespace(&brand);
  return brand.empty() ? "unknown" : brand;
}

// "avx512_core_bf16, vnni, bf16".
std::string IsaText(const OneDnnIsa& isa) {
  return absl::StrCat(isa.name, isa.has_vnni ? ", vnni" : "",
                      isa.has_bf16 ? ", bf16" : "", isa.has_amx ? ", amx" : "");
}

}  // namespace

void SetThreads(int threads) {
  omp_set_num_threads(threads);
  // Runs look after the thread that they are called on; the others stay with
  // oneDNN for good.
#pragma omp parallel
  {
    if (omp_get_thread_num() != 0) DenormalsAsZero::SetForThread();
  }
}

v1::HardwareProfile ProbeHardware(int threads) {
  v1::HardwareProfile profile;
  profile.set_cpu(CpuModel());
  profile.set_isa(IsaText(EffectiveIsa()));
  profile.set_threads(threads);
  profile.set_onednn(OneDnnVersion());
  return profile;
}

bool HasNativeBf16() { return EffectiveIsa().has_bf16; }

bool HasExactInt8() { return EffectiveIsa().has_vnni; }

}  // namespace lathe
