#include <zmq.h>
// Wakes a thread out of zmq_poll; Swift's Glibc module does not have it.
#include <sys/eventfd.h>
