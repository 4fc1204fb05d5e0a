/* What libzmq alone can do: one message to and fro between two processes over an ipc socket.
 *
 * Usage: pingpong pair|router ROUNDS
 *   pair     PAIR and PAIR
 *   router   ROUTER and DEALER, as an air and its nodes have them
 *
 * Prints the number of round trips and the seconds that they took by the machine's clock.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    /* About what a turn with a frame and its answer have. */
    SIZE = 80,
    WARM_UP = 2000
};

static void check(int is_well, const char *what)
{
    if (is_well)
        return;
    fprintf(stderr, "pingpong: cannot %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(EXIT_FAILURE);
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void echo(const char *endpoint, int type, long rounds)
{
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, type);
    char message[SIZE] = {0};
    check(socket != NULL && zmq_connect(socket, endpoint) == 0, "connect");
    check(zmq_send(socket, message, SIZE, 0) == SIZE, "send");
    for (long round = 0; round < rounds; round++) {
        check(zmq_recv(socket, message, SIZE, 0) == SIZE, "receive");
        check(zmq_send(socket, message, SIZE, 0) == SIZE, "send");
    }
    zmq_close(socket);
    zmq_ctx_term(context);
}

/* Receives a message; with ROUTER, and whose it is, which is kept in `name`. */
static void take(void *socket, int is_router, char *name, int *name_size, char *message)
{
    if (is_router) {
        *name_size = zmq_recv(socket, name, 256, 0);
        check(*name_size > 0, "receive");
    }
    check(zmq_recv(socket, message, SIZE, 0) == SIZE, "receive");
}

static void play(void *socket, int is_router, char *name, int *name_size, long rounds)
{
    char message[SIZE];
    for (long round = 0; round < rounds; round++) {
        if (is_router)
            check(zmq_send(socket, name, (size_t)*name_size, ZMQ_SNDMORE) > 0, "send");
        check(zmq_send(socket, message, SIZE, 0) == SIZE, "send");
        take(socket, is_router, name, name_size, message);
    }
}

int main(int count, char **words)
{
    const int is_router = count == 3 && strcmp(words[1], "router") == 0;
    const long rounds = count == 3 ? atol(words[2]) : 0;
    if (rounds < 1 || (!is_router && strcmp(words[1], "pair") != 0)) {
        fprintf(stderr, "usage: pingpong pair|router ROUNDS\n");
        return 64;
    }
    char folder[] = "/tmp/pingpong-XXXXXX";
    char endpoint[64], name[256], message[SIZE];
    int name_size = 0;
    check(mkdtemp(folder) != NULL, "make a folder");
    snprintf(endpoint, sizeof endpoint, "ipc://%s/socket", folder);
    const pid_t parent = getpid();
    const pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        /* Nobody is left behind by a measurement that is broken off. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            echo(endpoint, is_router ? ZMQ_DEALER : ZMQ_PAIR, WARM_UP + rounds);
        return 0;
    }
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, is_router ? ZMQ_ROUTER : ZMQ_PAIR);
    check(socket != NULL && zmq_bind(socket, endpoint) == 0, "bind");
    take(socket, is_router, name, &name_size, message);
    play(socket, is_router, name, &name_size, WARM_UP);
    const double began = seconds();
    play(socket, is_router, name, &name_size, rounds);
    const double ended = seconds();
    zmq_close(socket);
    zmq_ctx_term(context);
    waitpid(child, NULL, 0);
    unlink(endpoint + strlen("ipc://"));
    rmdir(folder);
    printf("%ld %.6f\n", rounds, ended - began);
    return 0;
}
