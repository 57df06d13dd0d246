#define _GNU_SOURCE  // affinity
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

// How often a waiting thread looks before it sleeps: about the length of a small kernel, so that
// a chain of kernels finds the threads awake, and an idle pool costs nothing.
enum { CK_SPINS = 4000 };

typedef struct {
  ck_pool *pool;
  ck_workspace space;
  pthread_t thread;
} ck_member;

struct ck_pool {
  int threads;
  ck_isa isa;
  const ck_kernels *kernels;
  ck_member *members;      // [0] is whoever calls
  pthread_mutex_t turn;    // held by the caller during a run
  pthread_mutex_t sleep;   // guards the two conditions
  pthread_cond_t started, finished;
  // The run in progress; written by the caller before `generation` rises.
  ck_task *task;
  void *context;
  size_t count;
  bool stop;
  ck_buffer shared;        // guarded by `turn`
  _Atomic size_t next;
  _Atomic uint64_t generation;
  _Atomic int busy;        // threads of the pool that have not finished this run
};

float *ck_buffer_reserve(ck_buffer *buffer, size_t count) {
  if (buffer->count < count) {
    free(buffer->data);
    // What is larger than a few dozen pages comes in huge ones, where the system has some.
    const size_t asked = count * sizeof(float), huge = (size_t)2 << 20;
    const size_t unit = asked >= huge / 8 ? huge : 64;
    const size_t size = (asked + unit - 1) / unit * unit;
    buffer->data = aligned_alloc(unit, size);
    if (!buffer->data) {
      fprintf(stderr, "out of memory: %zu bytes of scratch refused\n", size);
      abort();
    }
#if defined(MADV_HUGEPAGE)
    if (unit == huge) (void)madvise(buffer->data, size, MADV_HUGEPAGE);
#endif
    buffer->count = size / sizeof(float);
  }
  return buffer->data;
}

static void ck_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void ck_work(ck_pool *pool, ck_workspace *space) {
  for (;;) {
    const size_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (index >= pool->count) return;
    pool->task(pool->context, index, space);
  }
}

static void *ck_member_main(void *argument) {
  ck_member *member = argument;
  ck_pool *pool = member->pool;
  uint64_t seen = 0;
  for (;;) {
    for (int i = 0; i < CK_SPINS && atomic_load(&pool->generation) == seen; i++) ck_relax();
    if (atomic_load(&pool->generation) == seen) {
      pthread_mutex_lock(&pool->sleep);
      while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->started, &pool->sleep);
      pthread_mutex_unlock(&pool->sleep);
    }
    seen++;
    if (pool->stop) return NULL;
    ck_work(pool, &member->space);
    if (atomic_fetch_sub(&pool->busy, 1) == 1) {
      pthread_mutex_lock(&pool->sleep);
      pthread_cond_signal(&pool->finished);
      pthread_mutex_unlock(&pool->sleep);
    }
  }
}

/// Starts a run on the pool's own threads, `count`, `task`, `context` and `stop` being set.
static void ck_pool_release(ck_pool *pool) {
  atomic_store(&pool->next, 0);
  atomic_store(&pool->busy, pool->threads - 1);
  pthread_mutex_lock(&pool->sleep);
  atomic_fetch_add(&pool->generation, 1);
  pthread_cond_broadcast(&pool->started);
  pthread_mutex_unlock(&pool->sleep);
}

/// A run of who has the turn.
static void ck_run(ck_pool *pool, size_t count, ck_task *task, void *context) {
  ck_workspace *space = &pool->members[0].space;
  if (pool->threads == 1 || count == 1) {
    for (size_t i = 0; i < count; i++) task(context, i, space);
  } else {
    pool->task = task;
    pool->context = context;
    pool->count = count;
    ck_pool_release(pool);
    ck_work(pool, space);
    for (int i = 0; i < CK_SPINS && atomic_load(&pool->busy) != 0; i++) ck_relax();
    if (atomic_load(&pool->busy) != 0) {
      pthread_mutex_lock(&pool->sleep);
      while (atomic_load(&pool->busy) != 0) pthread_cond_wait(&pool->finished, &pool->sleep);
      pthread_mutex_unlock(&pool->sleep);
    }
  }
}

void ck_pool_run(ck_pool *pool, size_t count, ck_task *task, void *context) {
  if (count == 0) return;
  pthread_mutex_lock(&pool->turn);
  ck_run(pool, count, task, context);
  pthread_mutex_unlock(&pool->turn);
}

float *ck_pool_take(ck_pool *pool, size_t floats) {
  pthread_mutex_lock(&pool->turn);
  return ck_buffer_reserve(&pool->shared, floats);
}

void ck_pool_step(ck_pool *pool, size_t count, ck_task *task, void *context) {
  if (count > 0) ck_run(pool, count, task, context);
}

void ck_pool_give(ck_pool *pool) { pthread_mutex_unlock(&pool->turn); }

static void ck_pool_free(ck_pool *pool, int started) {
  if (started > 1) {
    pool->stop = true;
    ck_pool_release(pool);
    for (int i = 1; i < started; i++) pthread_join(pool->members[i].thread, NULL);
  }
  for (int i = 0; i < pool->threads; i++) {
    ck_workspace *space = &pool->members[i].space;
    free(space->packed_a.data);
    free(space->packed_b.data);
    free(space->scores.data);
    free(space->tiles.data);
  }
  free(pool->shared.data);
  pthread_mutex_destroy(&pool->turn);
  pthread_mutex_destroy(&pool->sleep);
  pthread_cond_destroy(&pool->started);
  pthread_cond_destroy(&pool->finished);
  free(pool->members);
  free(pool);
}

/// Leaves a thread the `index`-th of the cores that this process may use.
static bool ck_pin(pthread_t thread, int index) {
#if defined(__linux__)
  cpu_set_t may, one;
  if (sched_getaffinity(0, sizeof may, &may) != 0) return false;
  int left = index % CPU_COUNT(&may), core = 0;
  while (!CPU_ISSET(core, &may) || left-- > 0) core++;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  return pthread_setaffinity_np(thread, sizeof one, &one) == 0;
#else
  (void)thread;
  (void)index;
  return true;
#endif
}

ck_pool *ck_pool_create(int threads, ck_isa isa, bool pinned) {
  ck_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->members = calloc((size_t)threads, sizeof *pool->members);
  if (!pool->members) {
    free(pool);
    return NULL;
  }
  pool->threads = threads;
  pool->isa = isa;
  pool->kernels = ck_kernels_for(isa);
  pthread_mutex_init(&pool->turn, NULL);
  pthread_mutex_init(&pool->sleep, NULL);
  pthread_cond_init(&pool->started, NULL);
  pthread_cond_init(&pool->finished, NULL);
  for (int i = 1; i < threads; i++) {
    pool->members[i].pool = pool;
    if (pthread_create(&pool->members[i].thread, NULL, ck_member_main, &pool->members[i]) != 0) {
      ck_pool_free(pool, i);
      return NULL;
    }
    if (pinned && !ck_pin(pool->members[i].thread, i)) {
      ck_pool_free(pool, i + 1);
      return NULL;
    }
  }
  return pool;
}

void ck_pool_destroy(ck_pool *pool) { ck_pool_free(pool, pool->threads); }

const ck_kernels *ck_pool_kernels(const ck_pool *pool) { return pool->kernels; }
int ck_pool_threads(const ck_pool *pool) { return pool->threads; }
