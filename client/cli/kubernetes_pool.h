// Pools of workers under Kubernetes: a Deployment.
#ifndef LATHE_CLIENT_CLI_KUBERNETES_POOL_H_
#define LATHE_CLIENT_CLI_KUBERNETES_POOL_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/pool_spec.h"

namespace lathe {

// The pool's Deployment. Requests equal limits, so that a node with the static
// CPU policy gives each worker cores of its own.
nlohmann::json KubernetesManifest(const PoolSpec& spec, int workers);

// Errors of all below: Unavailable - kubectl is not installed here, or no
// cluster answers; NotFound - no such pool; InvalidArgument - it refuses.
absl::Status ApplyKubernetes(const PoolSpec& spec, int workers);
absl::Status ScaleKubernetes(const std::string& pool,
                             const std::string& name_space, int workers);
absl::Status DeleteKubernetes(const std::string& pool,
                              const std::string& name_space);
// The pool's pods.
absl::StatusOr<std::vector<PoolTask>> KubernetesTasks(
    const std::string& pool, const std::string& name_space);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_KUBERNETES_POOL_H_
