#include "client/cli/run_program.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe {
namespace {

// A file in memory: unlike a pipe it takes and gives any amount at any time.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("lathe", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (fd_ >= 0) close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }

  absl::Status Write(absl::string_view bytes) {
    if (fd_ < 0) return ErrnoToStatus(errno, "memfd_create");
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0) return ErrnoToStatus(errno, "a file in memory");
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    lseek(fd_, 0, SEEK_SET);
    return absl::OkStatus();
  }

  std::string ReadAll() {
    lseek(fd_, 0, SEEK_SET);
    std::string all;
    char buffer[4096];
    for (ssize_t count; (count = read(fd_, buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(count));
    }
    return all;
  }

 private:
  const int fd_;
};

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments,
                            const MemoryFile (&files)[3]) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i) {
    posix_spawn_file_actions_adddup2(&actions, files[i].fd(), i);
  }
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, pointers[0], &actions,
                                 /*attrp=*/nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return pid;
  if (error == ENOENT) {
    return absl::UnavailableError(absl::StrCat(
        arguments[0], " is not installed on this machine (it is not in PATH)"));
  }
  return ErrnoToStatus(error, arguments[0]);
}

}  // namespace

absl::StatusOr<ProgramResult> RunProgram(
    const std::vector<std::string>& arguments, absl::string_view input) {
  MemoryFile files[3];
  LATHE_RETURN_IF_ERROR(files[0].Write(input));
  LATHE_RETURN_IF_ERROR(files[1].Write(""));
  LATHE_RETURN_IF_ERROR(files[2].Write(""));
  LATHE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(arguments, files));
  int wait_status = 0;
  while (waitpid(pid, &wait_status, 0) < 0) {
    if (errno != EINTR) return ErrnoToStatus(errno, arguments[0]);
  }
  ProgramResult result;
  result.exit_code = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                              : WEXITSTATUS(wait_status);
  result.output = files[1].ReadAll();
  result.errors = files[2].ReadAll();
  return result;
}

}  // namespace lathe
