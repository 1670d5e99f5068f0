// A server that asks who calls, and clients that say who they are.
#ifndef LATHE_SERVER_TESTING_SECURITY_FIXTURE_H_
#define LATHE_SERVER_TESTING_SECURITY_FIXTURE_H_

#include <google/protobuf/empty.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/testing/certificates.h"
#include "server/testing/server_fixture.h"
#include "server/token_table.h"

namespace lathe::testing {

// Who a client says it is; empty strings leave that out.
struct Client {
  std::string certificate;
  std::string token;
};

// Tokens: one of each role by its name, "worker2", "late" (expired) and
// "wrong".
class Security : public ServerTest {
 protected:
  ~Security() override {
    StopServer();
    std::filesystem::remove_all(files_);
  }

  void MakeTokens() {
    std::filesystem::create_directories(files_);
    const absl::Time later = absl::Now() + absl::Hours(1);
    for (const Role role :
         {Role::kViewer, Role::kUser, Role::kWorker, Role::kAdmin}) {
      const std::string name(RoleName(role));
      tokens_[name] = AddToken(files_ + "/tokens", {name, role, later}).value();
    }
    tokens_["worker2"] =
        AddToken(files_ + "/tokens", {"worker2", Role::kWorker, later}).value();
    tokens_["late"] =
        AddToken(files_ + "/tokens", {"late", Role::kAdmin, absl::Now()})
            .value();
    tokens_["wrong"] = "lathe-wrong";
  }

  ServerOptions Options(bool has_tokens, bool has_client_ca) {
    std::filesystem::create_directories(files_);
    for (const char* end : {".pem", ".key"}) {
      std::filesystem::copy_file(
          Certificates().Path(std::string("server") + end),
          files_ + "/server" + end,
          std::filesystem::copy_options::overwrite_existing);
    }
    ServerOptions options;
    options.state_folder = folder_;
    options.tls.certificate = files_ + "/server.pem";
    options.tls.key = files_ + "/server.key";
    options.tls.reload_interval = absl::Seconds(1);
    if (has_client_ca) options.tls.client_ca = Certificates().Path("ca.pem");
    if (has_tokens) {
      MakeTokens();
      options.tokens_file = files_ + "/tokens";
    }
    return options;
  }

  void Start(bool has_tokens, bool has_client_ca) {
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start(Options(has_tokens, has_client_ca));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::shared_ptr<grpc::Channel> Connect(const std::string& certificate = "",
                                         const std::string& ca = "ca") {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Certificates().Text(ca + ".pem");
    if (!certificate.empty()) {
      options.pem_cert_chain = Certificates().Text(certificate + ".pem");
      options.pem_private_key = Certificates().Text(certificate + ".key");
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    return grpc::CreateCustomChannel(server_->address(),
                                     grpc::SslCredentials(options), arguments);
  }

  std::unique_ptr<grpc::ClientContext> ContextOf(const std::string& token) {
    auto context = NewContext();
    if (!token.empty()) {
      context->AddMetadata("authorization", "Bearer " + tokens_[token]);
    }
    return context;
  }

  CallError ListJobs(const Client& client) {
    v1::ListJobsResponse response;
    return ErrorOf(
        v1::Search::NewStub(Connect(client.certificate))
            ->ListJobs(ContextOf(client.token).get(), {}, &response));
  }
  CallError Drain(const Client& client) {
    google::protobuf::Empty response;
    return ErrorOf(
        v1::Admin::NewStub(Connect(client.certificate))
            ->DrainWorker(ContextOf(client.token).get(), {}, &response));
  }
  CallError Renew(const Client& client, const std::string& session) {
    v1::RenewLeasesRequest request;
    request.set_session(session);
    v1::RenewLeasesResponse response;
    return ErrorOf(
        v1::Workers::NewStub(Connect(client.certificate))
            ->RenewLeases(ContextOf(client.token).get(), request, &response));
  }

  const std::string files_ = folder_ + "-files";
  std::map<std::string, std::string> tokens_;
};

}  // namespace lathe::testing

#endif  // LATHE_SERVER_TESTING_SECURITY_FIXTURE_H_
