#include "COpenBLAS.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
static comd_openblas library;
static bool loaded;

/// Fills `library`; returns what is missing, or NULL.
static const char *load(const char *prefer) {
  if (prefer) setenv("OPENBLAS_CORETYPE", prefer, 0);
  void *handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!handle) return "libopenblas.so.0 cannot be loaded (package libopenblas0)";
  char *(*core)(void) = (char *(*)(void))dlsym(handle, "openblas_get_corename");
  char *(*config)(void) = (char *(*)(void))dlsym(handle, "openblas_get_config");
  void (*threads)(int) = (void (*)(int))dlsym(handle, "openblas_set_num_threads");
  *(void **)&library.sgemm = dlsym(handle, "cblas_sgemm");
  if (!core || !config || !threads || !library.sgemm)
    return "libopenblas.so.0 has no cblas_sgemm or openblas_get_corename";
  threads(1);
  library.core = core();
  library.config = config();
  return NULL;
}

const comd_openblas *comd_openblas_load(const char *prefer, const char **reason) {
  pthread_mutex_lock(&once);
  *reason = loaded ? NULL : load(prefer);
  loaded = *reason == NULL;
  pthread_mutex_unlock(&once);
  return *reason ? NULL : &library;
}
