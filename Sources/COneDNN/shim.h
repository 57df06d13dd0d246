#ifndef COMD_CONEDNN_H
#define COMD_CONEDNN_H

#include <dlfcn.h>
#include <dnnl.h>

/// One OpenMP thread for the calling thread's regions, where the library was built with OpenMP.
static inline void comd_one_openmp_thread(void) {
  void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (set) set(1);
}

#endif
