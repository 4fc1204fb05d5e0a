#include <poll.h>
#include <signal.h>
#include <time.h>
#include <zmq.h>

/* poll.h has it only for _GNU_SOURCE: waiting to the nanosecond. */
extern int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
