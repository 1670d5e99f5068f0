/* Preloaded into a server by the fault tests: a clock that jumps and a disk
 * that refuses to sync, as the file named by FAULT_FILE says at the time:
 * "clock SECONDS" is added to the wall clock, "sync" lets every sync fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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

static int sync_or_fail(const char* name, int fd) {
  char text[64];
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
