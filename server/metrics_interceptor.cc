#include "server/metrics_interceptor.h"

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/steady.h"

namespace lathe {
namespace {

namespace hooks = grpc::experimental;

// gRPC deletes it when the call is over.
class MetricsInterceptor : public hooks::Interceptor {
 public:
  MetricsInterceptor(Metrics* metrics, absl::string_view method)
      : metrics_(*metrics), method_(method), start_(SteadyNow()) {}

  void Intercept(hooks::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            hooks::InterceptionHookPoints::PRE_SEND_STATUS)) {
      metrics_.ObserveCall(
          method_, static_cast<int>(methods->GetSendStatus().error_code()),
          SteadyNow() - start_);
    }
    methods->Proceed();
  }

 private:
  Metrics& metrics_;
  const absl::string_view method_;  // Of the service, which outlives the call.
  const absl::Time start_;
};

}  // namespace

hooks::Interceptor* MetricsInterceptorFactory::CreateServerInterceptor(
    hooks::ServerRpcInfo* info) {
  // "/lathe.v1.Workers/LeaseTrials"; others are not ours.
  absl::string_view method = info->method();
  absl::ConsumePrefix(&method, "/lathe.v1.");
  return new MetricsInterceptor(&metrics_, method);
}

}  // namespace lathe
