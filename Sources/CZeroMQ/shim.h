#include <zmq.h>
// Wakes a thread out of zmq_poll; Swift's Glibc module does not have it.
#include <sys/eventfd.h>
// Memory without a name that another process opens; glibc shows it to programs that ask for GNU's
// extensions alone.
#include <linux/memfd.h>
int memfd_create(const char *name, unsigned int flags);
enum {
  comd_add_seals = 1033,  // F_ADD_SEALS
  comd_get_seals = 1034,  // F_GET_SEALS
  comd_seals = 1 | 2 | 4,  // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW
};
