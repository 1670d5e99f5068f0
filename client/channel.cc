#include "client/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"

namespace lathe {
namespace {

// Renewed certificates are taken over within so many seconds.
constexpr unsigned kReloadSeconds = 60;

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]");
}

int ToMilliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Adds who calls, and for which lease, to every call.
class IdentityInterceptor final : public grpc::experimental::Interceptor {
 public:
  IdentityInterceptor(const std::string& token_file,
                      const LeaseIdentity* identity)
      : token_file_(token_file), identity_(identity) {}

  void Intercept(
      grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::
                PRE_SEND_INITIAL_METADATA)) {
      auto* const metadata = methods->GetSendInitialMetadata();
      if (identity_ != nullptr) {
        metadata->insert({"lathe-session", identity_->session()});
        metadata->insert({"lathe-fence", absl::StrCat(identity_->fence())});
      }
      AddToken(metadata);
    }
    methods->Proceed();
  }

 private:
  void AddToken(std::multimap<std::string, std::string>* metadata) {
    if (token_file_.empty()) return;
    const absl::StatusOr<std::string> token = ReadFile(token_file_);
    if (!token.ok()) {
      // The server says that credentials are missing; this says why.
      LATHE_LOG(kWarning) << "token: " << token.status();
      return;
    }
    metadata->insert(
        {"authorization",
         absl::StrCat("Bearer ", absl::StripAsciiWhitespace(*token))});
  }

  const std::string& token_file_;
  const LeaseIdentity* const identity_;
};

class IdentityInterceptorFactory final
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  IdentityInterceptorFactory(std::string token_file,
                             std::shared_ptr<const LeaseIdentity> identity)
      : token_file_(std::move(token_file)), identity_(std::move(identity)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new IdentityInterceptor(token_file_, identity_.get());
  }

 private:
  const std::string token_file_;
  // Shared: channels outlive those who made them.
  const std::shared_ptr<const LeaseIdentity> identity_;
};

absl::Status CheckReadable(const std::string& path) {
  return path.empty() ? absl::OkStatus() : ReadFile(path).status();
}

absl::Status CheckCredentials(const std::string& address,
                              const Credentials& credentials) {
  if (credentials.certificate_file.empty() != credentials.key_file.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate needs both --tls-cert and --tls-key");
  }
  if (credentials.ca_file.empty() && !credentials.certificate_file.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate is for encrypted connections: give --tls-ca");
  }
  if (credentials.ca_file.empty() && !credentials.token_file.empty() &&
      !IsLoopback(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the token would go to ", address,
                     " unencrypted, for everybody to read; give --tls-ca"));
  }
  for (const std::string* file :
       {&credentials.ca_file, &credentials.certificate_file,
        &credentials.key_file, &credentials.token_file}) {
    LATHE_RETURN_IF_ERROR(CheckReadable(*file));
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ChannelCredentials> ChannelCredentialsOf(
    const Credentials& credentials) {
  if (credentials.ca_file.empty()) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          credentials.key_file, credentials.certificate_file,
          credentials.ca_file, kReloadSeconds));
  options.watch_root_certs();
  if (!credentials.certificate_file.empty()) {
    options.watch_identity_key_cert_pairs();
  }
  return grpc::experimental::TlsCredentials(options);
}

grpc::ChannelArguments ArgumentsFor(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   ToMilliseconds(kKeepaliveInterval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A restarted server is found within two seconds; the library's default
  // backs off to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  if (IsLoopback(address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMostMessageBytes);
  return arguments;
}

}  // namespace

void LeaseIdentity::SetFence(int64_t fence) {
  absl::MutexLock lock(&mu_);
  fence_ = fence;
}

int64_t LeaseIdentity::fence() const {
  absl::MutexLock lock(&mu_);
  return fence_;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const std::string& address, const Credentials& credentials,
    std::shared_ptr<const LeaseIdentity> identity) {
  LATHE_RETURN_IF_ERROR(CheckCredentials(address, credentials));
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      interceptors;
  if (identity != nullptr || !credentials.token_file.empty()) {
    interceptors.push_back(std::make_unique<IdentityInterceptorFactory>(
        credentials.token_file, std::move(identity)));
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, ChannelCredentialsOf(credentials), ArgumentsFor(address),
      std::move(interceptors));
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  return *OpenChannel(address, Credentials());
}

}  // namespace lathe
