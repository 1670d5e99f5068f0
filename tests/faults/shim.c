/* Preloaded into a server or worker by the fault tests: a clock that jumps, a
 * disk that refuses to sync, and an end at a step of one's choice, as the file
 * named by FAULT_FILE says at the time: "clock SECONDS" is added to the wall
 * clock, "sync" lets every sync fail, "kill N" ends the process by SIGKILL
 * before its Nth step since then, "count" adds a byte to FAULT_FILE.steps for
 * each. A step is what changes or syncs a file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void read_fault(char* text, size_t size) {
  const char* path = getenv("FAULT_FILE");
  text[0] = 0;
  if (path == NULL) return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t length = read(fd, text, size - 1);
  text[length < 0 ? 0 : length] = 0;
  close(fd);
}

static long clock_offset(void) {
  char text[64];
  long seconds = 0;
  read_fault(text, sizeof(text));
  sscanf(text, "clock %ld", &seconds);
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += clock_offset();
  return result;
}

int gettimeofday(struct timeval* now, void* zone) {
  struct timespec precise;
  int result = clock_gettime(CLOCK_REALTIME, &precise);
  (void)zone;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return result;
}

static void count_step(void) {
  char path[4096];
  snprintf(path, sizeof(path), "%s.steps", getenv("FAULT_FILE"));
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  ssize_t (*real)(int, const void*, size_t);
  *(void**)&real = dlsym(RTLD_NEXT, "write");
  if (fd < 0) return;
  (void)!real(fd, ".", 1);
  close(fd);
}

static void step(void) {
  static atomic_long steps;
  char text[64];
  long most = 0;
  read_fault(text, sizeof(text));
  if (strncmp(text, "count", 5) == 0) count_step();
  if (sscanf(text, "kill %ld", &most) != 1) return;
  if (atomic_fetch_add(&steps, 1) + 1 == most) kill(getpid(), SIGKILL);
}

static int sync_or_fail(const char* name, int fd) {
  char text[64];
  step();
  read_fault(text, sizeof(text));
  if (strncmp(text, "sync", 4) == 0) {
    errno = EIO;
    return -1;
  }
  int (*real)(int);
  *(void**)&real = dlsym(RTLD_NEXT, name);
  return real(fd);
}

int fsync(int fd) { return sync_or_fail("fsync", fd); }
int fdatasync(int fd) { return sync_or_fail("fdatasync", fd); }

#define STEP(type, name, parameters, arguments)   \
  type name parameters {                          \
    type(*real) parameters;                       \
    *(void**)&real = dlsym(RTLD_NEXT, #name);     \
    step();                                       \
    return real arguments;                        \
  }

STEP(ssize_t, pwrite, (int fd, const void* bytes, size_t size, off_t at),
     (fd, bytes, size, at))
STEP(ssize_t, pwrite64, (int fd, const void* bytes, size_t size, off64_t at),
     (fd, bytes, size, at))
STEP(int, ftruncate, (int fd, off_t size), (fd, size))
STEP(int, ftruncate64, (int fd, off64_t size), (fd, size))
STEP(int, link, (const char* from, const char* to), (from, to))
STEP(int, rename, (const char* from, const char* to), (from, to))
STEP(int, unlink, (const char* path), (path))
