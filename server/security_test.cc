// A server that asks who calls, with real certificates: every refusal.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "server/testing/security_fixture.h"

namespace lathe::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Security, OffLoopbackEncryptionAndCredentialsAreNeededOrInsecure) {
  ServerOptions options;
  options.state_folder = folder_;
  options.listen = "0.0.0.0:0";
  EXPECT_THAT(std::string(Server::Start(options).status().message()),
              HasSubstr("--tls-cert"));
  options = Options(/*has_tokens=*/false, /*has_client_ca=*/false);
  options.listen = "0.0.0.0:0";
  EXPECT_THAT(std::string(Server::Start(options).status().message()),
              HasSubstr("--tokens"));
  options.is_insecure_allowed = true;
  EXPECT_TRUE(Server::Start(options).ok());
  options = Options(/*has_tokens=*/true, /*has_client_ca=*/false);
  options.listen = "0.0.0.0:0";
  EXPECT_TRUE(Server::Start(options).ok());
}

TEST_F(Security, FilesThatMakeNoSenseAreRefusedAtTheStart) {
  const auto start_error =
      [this](const std::function<void(ServerOptions&)>& spoil) {
        ServerOptions options =
            Options(/*has_tokens=*/true, /*has_client_ca=*/true);
        spoil(options);
        const auto server = Server::Start(options);
        return std::string(server.status().message());
      };
  EXPECT_EQ(start_error([](ServerOptions&) {}), "");
  EXPECT_THAT(start_error([](auto& o) { o.tls.key = ""; }),
              HasSubstr("--tls-key"));
  EXPECT_THAT(start_error([](auto& o) {
                o.tls.key = Certificates().Path("worker.key");
              }),
              HasSubstr("is not the key of"));
  EXPECT_THAT(start_error([](auto& o) {
                o.tls.certificate = Certificates().Path("expired-server.pem");
                o.tls.key = Certificates().Path("expired-server.key");
              }),
              HasSubstr("expired"));
  EXPECT_THAT(start_error([](auto& o) { o.tls.client_ca = "/dev/null"; }),
              HasSubstr("no PEM certificate"));
  EXPECT_THAT(start_error([](auto& o) { o.tls.certificate = "/nowhere.pem"; }),
              HasSubstr("/nowhere.pem"));
  EXPECT_THAT(start_error([](auto& o) {
                std::filesystem::permissions(
                    o.tls.key, std::filesystem::perms::others_read,
                    std::filesystem::perm_options::add);
              }),
              HasSubstr("everybody"));
  EXPECT_THAT(start_error([](auto& o) { o.tokens_file = "/nowhere"; }),
              HasSubstr("/nowhere"));
}

TEST_F(Security, AStrangerMayCallNothing) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/false);
  const auto channel = Connect();
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel);
  for (const auto* file : {v1::GetJobRequest::descriptor()->file(),
                           v1::LeaseTrialsRequest::descriptor()->file(),
                           v1::ServerInfo::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const auto* method = file->service(s)->method(m);
        const std::string path = absl::StrCat(
            "/", file->service(s)->full_name(), "/", method->name());
        const auto context = NewContext();
        grpc::CompletionQueue queue;
        // On the wire a stream of one message is the same.
        const grpc::Slice nothing;
        const auto call = stub.PrepareUnaryCall(
            context.get(), path, grpc::ByteBuffer(&nothing, 1), &queue);
        call->StartCall();
        grpc::ByteBuffer answer;
        grpc::Status status;
        call->Finish(&answer, &status, nullptr);
        void* tag = nullptr;
        bool is_ok = false;
        queue.Next(&tag, &is_ok);
        EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED)
            << path << ": " << status.error_message();
        EXPECT_EQ(ErrorOf(status).reason, "CREDENTIALS_MISSING") << path;
      }
    }
  }
}

TEST_F(Security, WrongAndExpiredTokensAndRolesAreRefused) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/false);
  EXPECT_EQ(ListJobs({"", "viewer"}).code, grpc::StatusCode::OK);
  EXPECT_EQ(ListJobs({"", "wrong"}).reason, "TOKEN_UNKNOWN");
  EXPECT_EQ(ListJobs({"", "late"}).reason, "TOKEN_EXPIRED");
  EXPECT_EQ(ListJobs({"", "worker"}).reason, "ROLE_DENIED");
  EXPECT_EQ(Drain({"", "user"}).code, grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Drain({"", "admin"}).reason, "WORKER_NOT_FOUND");
  const std::string audit = ReadFile(folder_ + "/audit.log").value();
  EXPECT_THAT(audit, HasSubstr("\"caller\":\"user\""));
  EXPECT_THAT(audit, HasSubstr("\"code\":\"UNAUTHENTICATED\""));
  EXPECT_THAT(audit, HasSubstr("\"method\":\"Admin.DrainWorker\""));
  for (const auto& [name, token] : tokens_) {
    EXPECT_THAT(audit, Not(HasSubstr(token))) << name;
  }
}

TEST_F(Security, CertificatesOfOthersAndExpiredOnesDoNotConnect) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/true);
  EXPECT_EQ(ListJobs({"admin", ""}).code, grpc::StatusCode::OK);
  EXPECT_EQ(ListJobs({"foreign", "admin"}).code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ListJobs({"expired", "admin"}).code, grpc::StatusCode::UNAVAILABLE);
  // A client that does not trust the server's authority.
  v1::ListJobsResponse response;
  EXPECT_EQ(v1::Search::NewStub(Connect("", "other-ca"))
                ->ListJobs(ContextOf("admin").get(), {}, &response)
                .error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Security, WorkersAndAdministratorsNeedACertificateToo) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/true);
  EXPECT_EQ(ListJobs({"", "viewer"}).code, grpc::StatusCode::OK);
  EXPECT_EQ(Drain({"", "admin"}).reason, "CERTIFICATE_MISSING");
  EXPECT_EQ(Renew({"", "worker"}, "a-session-of-a-worker").reason,
            "CERTIFICATE_MISSING");
  EXPECT_EQ(Renew({"nobody", "worker"}, "a-session-of-a-worker").code,
            grpc::StatusCode::OK);
  // The certificate alone is enough where its OU names the role.
  EXPECT_EQ(Renew({"worker", ""}, "a-session-of-a-worker").code,
            grpc::StatusCode::OK);
  EXPECT_EQ(Drain({"worker", ""}).reason, "ROLE_DENIED");
  EXPECT_EQ(Renew({"nobody", ""}, "a-session-of-a-worker").reason,
            "CREDENTIALS_MISSING");
}

TEST_F(Security, PlaintextGarbageAndOldTlsGetNothing) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/false);
  v1::ListJobsResponse response;
  const auto plain = grpc::CreateChannel(server_->address(),
                                         grpc::InsecureChannelCredentials());
  EXPECT_EQ(v1::Search::NewStub(plain)
                ->ListJobs(ContextOf("admin").get(), {}, &response)
                .error_code(),
            grpc::StatusCode::UNAVAILABLE);
  const auto s_client = [this](const std::string& flags) {
    return std::system(absl::StrCat("openssl s_client -connect ",
                                    server_->address(), " ", flags,
                                    " -alpn h2 </dev/null >/dev/null 2>&1")
                           .c_str());
  };
  EXPECT_EQ(s_client("-tls1_2"), 0);
  EXPECT_NE(s_client("-tls1_1 -cipher DEFAULT@SECLEVEL=0"), 0);
  EXPECT_EQ(std::system(absl::StrCat("head -c 100000 /dev/urandom | timeout 5 "
                                     "bash -c 'cat >/dev/tcp/127.0.0.1/",
                                     server_->port(), "' 2>/dev/null; true")
                            .c_str()),
            0);
  EXPECT_EQ(ListJobs({"", "viewer"}).code, grpc::StatusCode::OK);
}

TEST_F(Security, ACertificateIsRenewedWithoutARestart) {
  Start(/*has_tokens=*/true, /*has_client_ca=*/false);
  const auto served = [this] {
    const std::string out = files_ + "/served";
    std::system(absl::StrCat("openssl s_client -connect ", server_->address(),
                             " -alpn h2 </dev/null 2>/dev/null | openssl x509 "
                             "-outform pem >",
                             out, " 2>/dev/null")
                    .c_str());
    return ReadFile(out).value_or("");
  };
  EXPECT_EQ(served(), Certificates().Text("server.pem"));
  for (const char* end : {".key", ".pem"}) {
    ASSERT_TRUE(
        WriteFileAtomically(absl::StrCat(files_, "/server", end),
                            Certificates().Text(std::string("server2") + end))
            .ok());
  }
  EXPECT_TRUE(Eventually(
      [&] { return served() == Certificates().Text("server2.pem"); }));
  EXPECT_EQ(ListJobs({"", "viewer"}).code, grpc::StatusCode::OK);
}

}  // namespace
}  // namespace lathe::testing
