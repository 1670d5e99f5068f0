// The metrics page of a real server.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/metrics_page.h"
#include "server/testing/server_fixture.h"

namespace lathe::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  return fd;
}

// What a GET answers, headers included.
std::string Get(int port, const std::string& path) {
  const int fd = Connect(port);
  const std::string request =
      absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: localhost\r\n\r\n");
  // A caller may be cut off while it speaks.
  EXPECT_GT(send(fd, request.data(), request.size(), MSG_NOSIGNAL), 0);
  std::string answer;
  char buffer[4096];
  for (ssize_t count; (count = read(fd, buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<size_t>(count));
  }
  close(fd);
  return answer;
}

class MetricsTest : public ServerTest {
 protected:
  void StartWithMetrics(const Quotas& quotas = {}) {
    ServerOptions options;
    options.quotas = quotas;
    options.state_folder = absl::StrCat(folder_, "/metered");
    options.http = "127.0.0.1:0";
    ServeWith(options);
  }
};

TEST_F(MetricsTest, TellTrialsWorkersOutcomesCallsAndCommits) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  const std::string job = CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 2);
  ASSERT_EQ(worker.Lease().size(), 1u);
  const std::string page = Get(server_->http_port(), "/metrics");
  EXPECT_THAT(page, HasSubstr("lathe_trials{state=\"MEASURED\"} 2"));
  EXPECT_THAT(page, HasSubstr("lathe_trials{state=\"LEASED\"} 1"));
  EXPECT_THAT(page, HasSubstr("lathe_jobs{state=\"RUNNING\"} 1"));
  EXPECT_THAT(page, HasSubstr("lathe_workers{state=\"busy\"} 1"));
  EXPECT_THAT(page, HasSubstr("lathe_leases_active 1"));
  EXPECT_THAT(page, HasSubstr("lathe_leases_granted_total 3"));
  EXPECT_THAT(page, HasSubstr("lathe_outcomes_total{kind=\"MEASURED\"} 2"));
  EXPECT_THAT(page, HasSubstr("lathe_evaluation_seconds_count 2"));
  EXPECT_THAT(page, HasSubstr("lathe_call_seconds_count{method=\"Workers/"
                              "CompleteTrial\"} 2"));
  EXPECT_THAT(page,
              HasSubstr("lathe_agent_seconds_count{thought=\"propose\"}"));
  EXPECT_THAT(page, HasSubstr("lathe_database_commit_writes_count"));
}

TEST_F(MetricsTest, TellWhatCallersUseOfWhichQuota) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics({/*most_active_jobs=*/5,
                                            /*most_running_trials=*/7,
                                            /*most_blob_bytes=*/1000}));
  CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  ASSERT_EQ(worker.Lease().size(), 1u);
  const std::string page = Get(server_->http_port(), "/metrics");
  EXPECT_THAT(page, HasSubstr("lathe_caller_active_jobs{caller=\"\"} 1"));
  EXPECT_THAT(page, HasSubstr("lathe_caller_running_trials{caller=\"\"} 1"));
  EXPECT_THAT(page, HasSubstr("lathe_caller_blob_bytes{caller=\"\"} "));
  EXPECT_THAT(page, HasSubstr("\nlathe_quota_active_jobs 5"));
  EXPECT_THAT(page, HasSubstr("\nlathe_quota_running_trials 7"));
  EXPECT_THAT(page, HasSubstr("\nlathe_quota_blob_bytes 1000"));
}

TEST_F(MetricsTest, AQuotaThatIsNotSetHasNoLimit) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  EXPECT_THAT(Get(server_->http_port(), "/metrics"),
              Not(HasSubstr("lathe_quota_")));
}

TEST_F(MetricsTest, CountFailedCallsByTheirCode) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  v1::GetJobRequest request;
  request.set_name("jobs/99");
  v1::Job job;
  EXPECT_FALSE(search_->GetJob(NewContext().get(), request, &job).ok());
  EXPECT_THAT(Get(server_->http_port(), "/metrics"),
              HasSubstr("lathe_calls_failed_total{code=\"5\",method=\"Search/"
                        "GetJob\"} 1"));
}

TEST_F(MetricsTest, ATakenAddressIsAnErrorNotAnEnd) {
  const auto first = MetricsPage::Serve("127.0.0.1", 0, {});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MetricsPage::Serve("127.0.0.1", (*first)->port(), {});
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
}

TEST_F(MetricsTest, TheServerOutlivesSilentCallersAndOtherRequests) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  const int port = server_->http_port();
  EXPECT_THAT(Get(port, "/"), HasSubstr("404"));
  EXPECT_THAT(Get(port, std::string(100'000, 'x')), Not(HasSubstr("200 OK")));
  EXPECT_THAT(Get(port, "/metrics"), HasSubstr("200 OK"));
}

// One that speaks slowly, for ever, neither keeps others from their answers
// nor the server from its end.
TEST_F(MetricsTest, ACallerHasTwoSecondsAndNoMore) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  const int port = server_->http_port();
  std::atomic<bool> is_cut_off{false};
  std::thread slow([&] {
    const int fd = Connect(port);
    constexpr int kMostBytes = 600;
    for (int i = 0; i < kMostBytes && !is_cut_off; ++i) {
      is_cut_off = send(fd, "x", 1, MSG_NOSIGNAL) != 1;
      absl::SleepFor(absl::Milliseconds(100));
    }
    close(fd);
  });
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_THAT(Get(port, "/metrics"), HasSubstr("200 OK"));
  slow.join();
  EXPECT_TRUE(is_cut_off);
}

TEST_F(MetricsTest, TheServerEndsWhileACallerIsSilent) {
  ASSERT_NO_FATAL_FAILURE(StartWithMetrics());
  const int fd = Connect(server_->http_port());
  ASSERT_EQ(send(fd, "GET ", 4, MSG_NOSIGNAL), 4);
  absl::SleepFor(absl::Milliseconds(100));
  StopServer();
  char byte;
  EXPECT_EQ(read(fd, &byte, 1), 0);
  close(fd);
}

TEST_F(MetricsTest, OtherMachinesSeeThemOnlyWhenAllowed) {
  ServerOptions options;
  options.state_folder = absl::StrCat(folder_, "/refused");
  options.http = "0.0.0.0:0";
  EXPECT_TRUE(absl::IsInvalidArgument(Server::Start(options).status()));
}

}  // namespace
}  // namespace lathe::testing
