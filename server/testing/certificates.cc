#include "server/testing/certificates.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace lathe::testing {

CertificateFolder::CertificateFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "lathe-certs-XXXXXX").string();
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

CertificateFolder::~CertificateFolder() {
  std::filesystem::remove_all(folder_);
}

std::string CertificateFolder::Path(const std::string& name) const {
  return absl::StrCat(folder_, "/", name);
}

std::string CertificateFolder::Text(const std::string& name) const {
  return ReadFile(Path(name)).value();
}

void CertificateFolder::Run(const std::string& command) {
  ASSERT_EQ(std::system(
                absl::StrCat("cd ", folder_, " && { ", command, "; } >log 2>&1")
                    .c_str()),
            0)
      << command << "\n"
      << ReadFile(folder_ + "/log").value_or("");
}

void CertificateFolder::MakeAuthority(const std::string& name) {
  Run(absl::StrCat(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
      "-days 30 -subj /CN=",
      name, " -keyout ", name, ".key -out ", name, ".pem && mkdir ", name,
      ".db && touch ", name, ".db/index && echo 01 > ", name, ".db/serial"));
}

// `openssl ca`, because it can sign for a time that is over.
void CertificateFolder::Make(const std::string& name, const std::string& ca,
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

const CertificateFolder& Certificates() {
  static const auto* const folder = new CertificateFolder;
  return *folder;
}

}  // namespace lathe::testing
