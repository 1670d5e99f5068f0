// A server that asks who calls, with real certificates: every refusal.
#include <gmock/gmock.h>
#include <google/protobuf/empty.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"
#include "server/token_table.h"

namespace lathe::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What openssl(1) makes in a folder, once for all tests: an authority, a
// server's certificate, clients' certificates, and those that are wrong.
class CertificateFolder {
 public:
  CertificateFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-certs-XXXXXX")
            .string();
    folder_ = mkdtemp(pattern.data());
    MakeAuthority("ca");
    MakeAuthority("other-ca");
    Make("server", "ca", "/CN=server", "");
    Make("server2", "ca", "/CN=server", "");
    Make("worker", "ca", "/CN=w1/OU=worker", "");
    Make("admin", "ca", "/CN=root/OU=admin", "");
    Make("nobody", "ca", "/CN=nobody", "");
    Make("foreign", "other-ca", "/CN=w1/OU=worker", "");
    Make("expired", "ca", "/CN=w1/OU=worker",
         "-not_before 20200101000000Z -not_after 20200102000000Z");
    Make("expired-server", "ca", "/CN=server",
         "-not_before 20200101000000Z -not_after 20200102000000Z");
  }
  ~CertificateFolder() { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return absl::StrCat(folder_, "/", name);
  }
  std::string Text(const std::string& name) const {
    return ReadFile(Path(name)).value();
  }

 private:
  void Run(const std::string& command) {
    ASSERT_EQ(std::system(absl::StrCat("cd ", folder_, " && { ", command,
                                       "; } >log 2>&1")
                              .c_str()),
              0)
        << command << "\n"
        << ReadFile(folder_ + "/log").value_or("");
  }
  void MakeAuthority(const std::string& name) {
    Run(absl::StrCat(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-days 30 -subj /CN=",
        name, " -keyout ", name, ".key -out ", name, ".pem && mkdir ", name,
        ".db && touch ", name, ".db/index && echo 01 > ", name, ".db/serial"));
  }
  // `openssl ca`, because it can sign for a time that is over.
  void Make(const std::string& name, const std::string& ca,
            const std::string& subject, std::string times) {
    if (times.empty()) times = "-days 30";
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{
             {"-not_before", "-startdate"}, {"-not_after", "-enddate"}}) {
      const size_t at = times.find(from);
      if (at != std::string::npos) times.replace(at, from.size(), to);
    }
    EXPECT_TRUE(WriteFileAtomically(
                    Path("ca.cnf"),
                    absl::StrCat("[ca]\ndefault_ca=d\n[d]\ndatabase=", ca,
                                 ".db/index\nserial=", ca,
                                 ".db/serial\nnew_certs_dir=", ca,
                                 ".db\ndefault_md=sha256\nunique_subject=no\n"
                                 "policy=p\n[p]\ncommonName=supplied\n"
                                 "organizationalUnitName=optional\n[x]\n"
                                 "subjectAltName=IP:127.0.0.1,DNS:localhost\n"))
                    .ok());
    Run(absl::StrCat(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
        "'",
        subject, "' -keyout ", name, ".key -out ", name,
        ".csr && openssl ca -batch -config ca.cnf -cert ", ca, ".pem -keyfile ",
        ca, ".key -extensions x ", times, " -in ", name, ".csr -out ", name,
        ".pem -notext && chmod 600 ", name, ".key"));
  }

  std::string folder_;
};

const CertificateFolder& Certificates() {
  static const auto* const folder = new CertificateFolder;
  return *folder;
}

// Who a client says it is; empty strings leave that out.
struct Client {
  std::string certificate;
  std::string token;
};

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

// ---------------------------------------------- what a worker's leases name

class WorkerRights : public Security {
 protected:
  static constexpr char kSession[] = "session-0123456789";

  void SetUp() override {
    Start(/*has_tokens=*/true, /*has_client_ca=*/false);
    channel_ = Connect();
    search_ = v1::Search::NewStub(channel_);
    artifacts_ = v1::Artifacts::NewStub(channel_);
    workers_ = v1::Workers::NewStub(channel_);
    model_ = Write(Client{"", "user"}, "a model", {});
    secret_ = Write(Client{"", "user"}, "another's model", {});
    v1::CreateJobRequest request;
    request.mutable_spec()->set_model_digest(model_);
    request.mutable_spec()->mutable_dataset()->set_digest(model_);
    request.mutable_spec()->set_agent("random");
    request.mutable_spec()->set_trials(3);
    request.set_request_id("r");
    v1::Job job;
    ASSERT_TRUE(
        search_->CreateJob(ContextOf("user").get(), request, &job).ok());
    lease_ = LeaseOne();
  }

  v1::Lease LeaseOne() {
    v1::RegisterWorkerRequest request;
    request.set_session(kSession);
    *request.mutable_capabilities()->mutable_profile() = SimulatedProfile();
    v1::RegisterWorkerResponse registered;
    EXPECT_TRUE(
        workers_
            ->RegisterWorker(ContextOf("worker").get(), request, &registered)
            .ok());
    v1::LeaseTrialsRequest wish;
    wish.set_session(kSession);
    wish.set_slots(1);
    wish.set_wait_seconds(20);
    v1::LeaseTrialsResponse granted;
    EXPECT_TRUE(
        workers_->LeaseTrials(ContextOf("worker").get(), wish, &granted).ok());
    return granted.leases_size() == 1 ? granted.leases(0) : v1::Lease();
  }

  std::unique_ptr<grpc::ClientContext> ForLease(const std::string& token,
                                                int64_t fence) {
    auto context = ContextOf(token);
    if (fence != 0) {
      context->AddMetadata("lathe-session", kSession);
      context->AddMetadata("lathe-fence", absl::StrCat(fence));
    }
    return context;
  }

  std::string ReadReason(const std::string& token, int64_t fence,
                         const std::string& digest) {
    v1::ReadRequest request;
    request.set_digest(digest);
    const auto context = ForLease(token, fence);
    const auto reader = artifacts_->Read(context.get(), request);
    v1::ReadResponse response;
    while (reader->Read(&response)) {
    }
    return ErrorOf(reader->Finish()).reason;
  }

  // Its digest when it was taken, else the reason.
  std::string Write(const Client& client, const std::string& bytes,
                    int64_t fence) {
    v1::WriteRequest request;
    request.set_digest(Sha256Hex(bytes));
    request.set_data(bytes);
    v1::WriteResponse response;
    const auto context = ForLease(client.token, fence);
    const auto writer = artifacts_->Write(context.get(), &response);
    writer->Write(request);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    return status.ok() ? request.digest() : ErrorOf(status).reason;
  }

  std::unique_ptr<v1::Workers::Stub> workers_;
  std::string model_, secret_;
  v1::Lease lease_;
};

TEST_F(WorkerRights, ReadsOnlyWhatItsLeaseNames) {
  const int64_t fence = lease_.fence();
  EXPECT_EQ(ReadReason("worker", fence, model_), "");
  EXPECT_EQ(ReadReason("worker", fence, secret_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", 0, model_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", fence + 1, model_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker2", fence, model_), "SESSION_NOT_YOURS");
  EXPECT_EQ(ReadReason("viewer", 0, secret_), "");
}

TEST_F(WorkerRights, WritesOnlyForItsLease) {
  const int64_t fence = lease_.fence();
  const Client worker{"", "worker"};
  EXPECT_EQ(Write(worker, "stats", fence), Sha256Hex("stats"));
  EXPECT_EQ(Write(worker, "x", 0), "NOT_LEASED");
  EXPECT_EQ(Write({"", "worker2"}, "x", fence), "SESSION_NOT_YOURS");
  EXPECT_EQ(Write({"", "viewer"}, "x", 0), "ROLE_DENIED");
  // Given back, the lease gives no right any more.
  v1::ReleaseLeasesRequest release;
  release.set_session(kSession);
  release.add_fences(fence);
  google::protobuf::Empty empty;
  ASSERT_TRUE(
      workers_->ReleaseLeases(ContextOf("worker").get(), release, &empty).ok());
  EXPECT_EQ(Write(worker, "y", fence), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", fence, model_), "NOT_LEASED");
}

TEST_F(WorkerRights, NobodyElseSpeaksForItsSession) {
  v1::CompleteTrialRequest complete;
  complete.set_session(kSession);
  complete.set_fence(lease_.fence());
  *complete.mutable_outcome() = SimulatedOutcome(lease_);
  v1::CompleteTrialResponse done;
  EXPECT_EQ(ErrorOf(workers_->CompleteTrial(ContextOf("worker2").get(),
                                            complete, &done))
                .reason,
            "SESSION_NOT_YOURS");
  EXPECT_EQ(Renew({"", "worker2"}, kSession).reason, "SESSION_NOT_YOURS");
  v1::RegisterWorkerRequest again;
  again.set_session(kSession);
  *again.mutable_capabilities()->mutable_profile() = SimulatedProfile();
  v1::RegisterWorkerResponse registered;
  EXPECT_EQ(ErrorOf(workers_->RegisterWorker(ContextOf("worker2").get(), again,
                                             &registered))
                .reason,
            "SESSION_NOT_YOURS");
  EXPECT_TRUE(
      workers_->CompleteTrial(ContextOf("worker").get(), complete, &done).ok());
}

}  // namespace
}  // namespace lathe::testing
