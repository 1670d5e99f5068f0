// Times every call.
#ifndef LATHE_SERVER_METRICS_INTERCEPTOR_H_
#define LATHE_SERVER_METRICS_INTERCEPTOR_H_

#include <grpcpp/support/server_interceptor.h>

#include "server/metrics.h"

namespace lathe {

// For ServerBuilder. Thread-safe.
class MetricsInterceptorFactory
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `metrics` must outlive the server.
  explicit MetricsInterceptorFactory(Metrics* metrics) : metrics_(*metrics) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  Metrics& metrics_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_METRICS_INTERCEPTOR_H_
