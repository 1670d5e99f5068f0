// Certificates for tests, right ones and wrong ones.
#ifndef LATHE_SERVER_TESTING_CERTIFICATES_H_
#define LATHE_SERVER_TESTING_CERTIFICATES_H_

#include <string>

namespace lathe::testing {

// What openssl(1) makes in a folder: an authority ("ca") and another
// ("other-ca"), and by them the certificates NAME.pem with NAME.key of servers
// ("server", "server2"), of clients whose OU is a role ("worker", "admin") or
// that have none ("nobody"), of the other authority ("foreign"), and expired
// ones ("expired", "expired-server").
class CertificateFolder {
 public:
  CertificateFolder();
  ~CertificateFolder();
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  std::string Path(const std::string& name) const;
  std::string Text(const std::string& name) const;

 private:
  void Run(const std::string& command);
  void MakeAuthority(const std::string& name);
  void Make(const std::string& name, const std::string& ca,
            const std::string& subject, std::string times);

  std::string folder_;
};

// Made once for all tests of a program.
const CertificateFolder& Certificates();

}  // namespace lathe::testing

#endif  // LATHE_SERVER_TESTING_CERTIFICATES_H_
