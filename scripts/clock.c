// A time of day of its own for one process, preloaded by chaos.py: the machine's, and the seconds more
// that are in the file CLOCK_OFFSET_FILE. They may change at any time: a step of the clock. As in the
// kernel, whoever waits until a time of day waits longer after a step back, and the monotonic clocks
// go on as they were. Files keep the machine's time.
//
// libfaketime 0.9.10 will not do: it moves timers of the monotonic clocks (timerfd_settime) as well, and
// with them everything that libdispatch does later.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000, SLICE = 20000000 };

static const volatile int64_t *offset;

__attribute__((constructor)) static void open_clock(void) {
  const char *path = getenv("CLOCK_OFFSET_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) offset = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*machine)(clockid_t, struct timespec *);
  if (!machine) machine = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = machine(clock, time);
  if (!failed && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += *offset;
  return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (place) *place = now.tv_sec;
  return now.tv_sec;
}

// Until when, by the monotonic clock, to wait before the time of day is looked at again; false when
// `until` has come.
static int next_look(const struct timespec *until, struct timespec *look) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_MONOTONIC, look);
  int64_t seconds = until->tv_sec - now.tv_sec, left = until->tv_nsec - now.tv_nsec;
  if (seconds > 1) left = SLICE;
  else left += seconds * SECOND;
  if (seconds < -1 || left <= 0) return 0;
  look->tv_nsec += left < SLICE ? left : SLICE;
  if (look->tv_nsec >= SECOND) look->tv_sec += 1, look->tv_nsec -= SECOND;
  return 1;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  for (;;) {
    struct timespec look;
    int last = !next_look(until, &look);
    if (!sem_clockwait(semaphore, CLOCK_MONOTONIC, &look)) return 0;
    if (last || errno != ETIMEDOUT) return -1;
  }
}

// Between two looks the waiting thread wakes without need, as any wait for a condition may.
int pthread_cond_timedwait(
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
    const struct timespec *restrict until) {
  struct timespec look;
  // A small time is one of the monotonic clock, which the condition was made with.
  if (until->tv_sec < SECOND) return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, until);
  int last = !next_look(until, &look);
  int error = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &look);
  return error == ETIMEDOUT && !last ? 0 : error;
}
