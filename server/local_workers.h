// Workers on this machine, as children of the server.
#ifndef LATHE_SERVER_LOCAL_WORKERS_H_
#define LATHE_SERVER_LOCAL_WORKERS_H_

#include <sys/types.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "server/steady.h"

namespace lathe {

// Keeps `count` processes of one program running: what ends is started again,
// after a wait that grows while it keeps ending at once. The processes end
// with this object, and with this process however that ends.
class LocalWorkers {
 public:
  // `command`: program and arguments. Their standard output goes to standard
  // error.
  LocalWorkers(std::vector<std::string> command, int count);
  // Asks the processes to end (SIGTERM), and after some seconds kills them.
  ~LocalWorkers();
  LocalWorkers(const LocalWorkers&) = delete;
  LocalWorkers& operator=(const LocalWorkers&) = delete;

 private:
  struct Child {
    pid_t pid = 0;  // 0 while none runs.
    absl::Time started;
    absl::Time next_start;
    absl::Duration wait;
  };

  // The thread that starts children is the one whose end would kill them, so
  // it lives as long as they do.
  void Supervise();
  void StartChild(Child& child);
  void NoteEnded(Child& child, int wait_status);
  void EndAll();

  const std::vector<std::string> command_;
  std::vector<Child> children_;  // Used by the thread only.
  std::atomic<bool> is_stopping_{false};
  Wakeup wakeup_;
  std::thread thread_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_LOCAL_WORKERS_H_
