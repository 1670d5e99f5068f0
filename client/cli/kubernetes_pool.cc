#include "client/cli/kubernetes_pool.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "client/cli/run_program.h"
#include "client/json_text.h"

namespace lathe {
namespace {

constexpr char kPoolLabel[] = "lathe.pool";
// A worker gives its lease back within seconds; an evaluation that runs on is
// stopped.
constexpr int kGraceSeconds = 60;

absl::StatusOr<std::string> Kubectl(std::vector<std::string> arguments,
                                    const std::string& name_space,
                                    absl::string_view input = "") {
  arguments.insert(arguments.begin(), "kubectl");
  if (!name_space.empty()) {
    arguments.push_back(absl::StrCat("--namespace=", name_space));
  }
  LATHE_ASSIGN_OR_RETURN(ProgramResult result, RunProgram(arguments, input));
  if (result.exit_code == 0) return std::move(result.output);
  const std::string message = absl::StrCat(
      "kubectl ended with ", result.exit_code, ": ",
      absl::StrReplaceAll(absl::StripAsciiWhitespace(result.errors),
                          {{"\n", "; "}}));
  if (absl::StrContains(message, "NotFound")) {
    return absl::NotFoundError(message);
  }
  // "connection refused", "Unable to connect", "no configuration".
  const bool is_away = absl::StrContains(message, "onnect") ||
                       absl::StrContains(message, "configuration");
  return is_away ? absl::UnavailableError(message)
                 : absl::InvalidArgumentError(message);
}

// Empty where there is no text.
std::string TextAt(const nlohmann::json& value,
                   const nlohmann::json::json_pointer& place) {
  if (!value.contains(place) || !value.at(place).is_string()) return "";
  return value.at(place).get<std::string>();
}

nlohmann::json Container(const PoolSpec& spec) {
  const nlohmann::json resources = {{"cpu", absl::StrCat(spec.threads)},
                                    {"memory", "4Gi"}};
  const nlohmann::json pod_name = {
      {"name", "LATHE_POD"},
      {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}};
  const nlohmann::json cache = {{"name", "cache"}, {"mountPath", spec.cache}};
  return {{"name", "worker"},
          {"image", spec.image},
          {"command", nlohmann::json::array({"lathe-worker"})},
          {"args", WorkerArguments(spec)},
          {"env", nlohmann::json::array({pod_name})},
          {"resources", {{"requests", resources}, {"limits", resources}}},
          {"volumeMounts", nlohmann::json::array({cache})}};
}

}  // namespace

nlohmann::json KubernetesManifest(const PoolSpec& spec, int workers) {
  PoolSpec filled = spec;
  if (filled.cache.empty()) filled.cache = "/var/cache/lathe";
  const std::string name = ScheduledName(spec.name);
  const nlohmann::json labels = {{kPoolLabel, spec.name}};
  const nlohmann::json cache = {{"name", "cache"},
                                {"emptyDir", nlohmann::json::object()}};
  const nlohmann::json pod = {
      {"terminationGracePeriodSeconds", kGraceSeconds},
      {"containers", nlohmann::json::array({Container(filled)})},
      {"volumes", nlohmann::json::array({cache})}};
  return {
      {"apiVersion", "apps/v1"},
      {"kind", "Deployment"},
      {"metadata", {{"name", name}, {"labels", labels}}},
      {"spec",
       {{"replicas", workers},
        {"selector", {{"matchLabels", labels}}},
        {"template", {{"metadata", {{"labels", labels}}}, {"spec", pod}}}}}};
}

absl::Status ApplyKubernetes(const PoolSpec& spec, int workers) {
  return Kubectl({"apply", "-f", "-"}, spec.name_space,
                 KubernetesManifest(spec, workers).dump())
      .status();
}

absl::Status ScaleKubernetes(const std::string& pool,
                             const std::string& name_space, int workers) {
  return Kubectl({"scale", absl::StrCat("deployment/", ScheduledName(pool)),
                  absl::StrCat("--replicas=", workers)},
                 name_space)
      .status();
}

absl::Status DeleteKubernetes(const std::string& pool,
                              const std::string& name_space) {
  return Kubectl({"delete", absl::StrCat("deployment/", ScheduledName(pool))},
                 name_space)
      .status();
}

absl::StatusOr<std::vector<PoolTask>> KubernetesTasks(
    const std::string& pool, const std::string& name_space) {
  LATHE_ASSIGN_OR_RETURN(const std::string output,
                         Kubectl({"get", "pods", "-o", "json", "-l",
                                  absl::StrCat(kPoolLabel, "=", pool)},
                                 name_space));
  LATHE_ASSIGN_OR_RETURN(const nlohmann::json pods, ParseJson(output));
  std::vector<PoolTask> tasks;
  if (!pods.contains("items")) return tasks;
  for (const nlohmann::json& pod : pods["items"]) {
    PoolTask& task = tasks.emplace_back();
    task.id = TextAt(pod, "/metadata/name"_json_pointer);
    task.state =
        absl::AsciiStrToUpper(TextAt(pod, "/status/phase"_json_pointer));
    task.node = TextAt(pod, "/spec/nodeName"_json_pointer);
    task.is_draining = pod.contains("/metadata/deletionTimestamp"_json_pointer);
    task.placement = absl::StrCat("kubernetes:", task.id);
  }
  return tasks;
}

}  // namespace lathe
