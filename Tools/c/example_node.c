/*
 * A node of its own in C: takes a place in the roster, scans for the hub and associates with it.
 *
 *     cc -o example_node Tools/c/example_node.c -lzmq
 *     Tools/han run SCENARIO --transport zmq --without PPMID
 *     ./example_node ENDPOINT PPMID 0247420000000103
 *
 * It ends with the run: with 0 if it has an address, with 1 if not, with 69 without an air. What a
 * ZigBee stack would do from there on (Tools/python/zigbee_device.py) it leaves to one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "han_air.h"

enum { FIRST_CHANNEL = 11, LAST_CHANNEL = 26, HEADER = 3 };
enum { BEACON_TIME = 150000, ANSWER_TIME = 500000, PAUSE = 5000000 };

static struct {
    uint64_t eui64;
    enum { SCANNING, ASKING, POLLING, ASSOCIATED } phase;
    uint8_t channel, sequence, handle;
    uint16_t pan, parent, address;
} node;

static uint8_t memory[HAN_MESSAGE_LIMIT];
static struct han_buffer answer = {memory, sizeof memory, 0, 0};
static uint16_t actions;

static void act(const void *action, size_t length)
{
    han_put(&answer, action, length);
    actions++;
}

static void note(uint16_t event, const uint64_t *values, uint8_t count)
{
    struct han_note head = {HAN_DO_EVENT, event, count};
    act(&head, sizeof head);
    han_put(&answer, values, count * sizeof *values);
}

static void tune(void)
{
    struct han_configure action = {HAN_DO_CONFIGURE, node.channel, node.pan, node.address,
                                   node.eui64, HAN_RECEIVER_ON_WHEN_IDLE};
    act(&action, sizeof action);
}

static void transmit(const void *psdu, uint8_t length)
{
    struct han_transmit action = {HAN_DO_TRANSMIT, ++node.handle, 0, length};
    act(&action, sizeof action);
    han_put(&answer, psdu, length);
}

/* IEEE 802.15.4-2006 7.3.7: a beacon request on the next channel; when the answers are over. */
static int64_t scan(int64_t now)
{
    int is_last = node.channel == LAST_CHANNEL;
    uint8_t request[] = {0x03, 0x08, ++node.sequence, 0xFF, 0xFF, 0xFF, 0xFF, 0x07};
    node.phase = SCANNING;
    node.pan = node.address = 0xFFFF;
    node.channel = is_last || node.channel == 0 ? FIRST_CHANNEL : node.channel + 1;
    tune();
    transmit(request, sizeof request);
    return now + (is_last ? PAUSE : BEACON_TIME);
}

/* 7.3.1: with the receiver on, mains power, and the wish for an address. */
static void associate(void)
{
    struct HAN_PACKED {
        uint16_t control;
        uint8_t sequence;
        uint16_t pan, parent, own_pan;
        uint64_t own;
        uint8_t command, capability;
    } request = {0xC823,      ++node.sequence, node.pan, node.parent, 0xFFFF,
                 node.eui64, 0x01,            0x8C};
    tune();
    transmit(&request, sizeof request);
}

/* 7.3.4 */
static void poll_parent(void)
{
    struct HAN_PACKED {
        uint16_t control;
        uint8_t sequence;
        uint16_t pan, parent;
        uint64_t own;
        uint8_t command;
    } request = {0xC863, ++node.sequence, node.pan, node.parent, node.eui64, 0x04};
    transmit(&request, sizeof request);
}

/* A beacon of an open PAN, or the answer to the request; when the next thing is to be done. */
static int64_t take(const uint8_t *psdu, size_t length, int64_t now, int64_t deadline)
{
    uint16_t control = 0, beacon[3];
    han_get(psdu, length, 0, &control, sizeof control);
    if (node.phase == SCANNING && control == 0x8000 &&
        han_get(psdu, length, HEADER, beacon, sizeof beacon) && (beacon[2] & 0x8000)) {
        node.pan = beacon[0];
        node.parent = beacon[1];
        node.phase = ASKING;
        printf("heard PAN 0x%04X on channel %u\n", node.pan, node.channel);
        associate();
        return now + ANSWER_TIME;
    }
    if (node.phase == POLLING && control == 0xCC63 && length >= 25 && psdu[21] == 0x02 &&
        psdu[24] == 0) {
        uint64_t values[2];
        memcpy(&node.address, psdu + 22, sizeof node.address);
        node.phase = ASSOCIATED;
        printf("associated as 0x%04X\n", node.address);
        tune();
        values[0] = node.address;
        values[1] = node.parent;
        note(21, values, node.parent ? 2 : 1);
        return HAN_NEVER;
    }
    return deadline;
}

static int64_t tick(int64_t now)
{
    switch (node.phase) {
    case ASKING:
        node.phase = POLLING;
        poll_parent();
        return now + ANSWER_TIME;
    case ASSOCIATED: return HAN_NEVER;
    default: return scan(now);
    }
}

/* Answers a turn; 0 if it cannot be read. */
static int play(void *socket, const uint8_t *message, size_t length)
{
    static int64_t deadline = HAN_NEVER;
    struct han_turn turn;
    struct han_answer head;
    struct han_received received;
    size_t body = sizeof turn + sizeof received;
    if (!han_get(message, length, 0, &turn, sizeof turn) || length == sizeof turn)
        return 0;
    answer.length = sizeof head;
    actions = 0;
    switch (message[sizeof turn]) {
    case HAN_IN_POWER_ON:
        node.channel = 0;
        deadline = scan(turn.time);
        break;
    case HAN_IN_TICK: deadline = tick(turn.time); break;
    case HAN_IN_RECEIVED:
        if (!han_get(message, length, sizeof turn, &received, sizeof received))
            return 0;
        deadline = take(message + body, length - body, turn.time, deadline);
        break;
    default: break;
    }
    head = (struct han_answer){HAN_ANSWER, 0, turn.number, deadline, 0, actions};
    memcpy(memory, &head, sizeof head);
    return !answer.overflowed && zmq_send(socket, memory, answer.length, 0) >= 0;
}

static void join(void *socket, const char *name)
{
    struct han_hello hello = {HAN_HELLO, {'H', 'A', 'N'}, HAN_VERSION, 0, (uint32_t)getpid(),
                              node.eui64, (uint8_t)strlen(name)};
    han_put(&answer, &hello, sizeof hello);
    han_put(&answer, name, hello.name_length);
    zmq_send(socket, memory, answer.length, 0);
}

int main(int count, char **arguments)
{
    static uint8_t message[HAN_MESSAGE_LIMIT];
    int silence = 5000, first = 60000, linger = 500;
    void *context, *socket;
    if (count != 4 || strlen(arguments[2]) > 255) {
        fprintf(stderr, "usage: example_node ENDPOINT NAME EUI64\n");
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    node.eui64 = strtoull(arguments[3], NULL, 16);
    context = zmq_ctx_new();
    socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &first, sizeof first);
    if (zmq_connect(socket, arguments[1]) != 0) {
        fprintf(stderr, "example_node: %s: %s\n", arguments[1], zmq_strerror(errno));
        return 64;
    }
    join(socket, arguments[2]);
    for (;;) {
        int length = zmq_recv(socket, message, sizeof message, 0);
        if (length < 1 || (size_t)length > sizeof message) {
            fprintf(stderr, "example_node: the air is gone\n");
            return 69;
        }
        switch (message[0]) {
        case HAN_WELCOME:
            printf("took the place of %s\n", arguments[2]);
            zmq_setsockopt(socket, ZMQ_RCVTIMEO, &silence, sizeof silence);
            break;
        case HAN_TURN:
            if (!play(socket, message, (size_t)length)) {
                fprintf(stderr, "example_node: a turn that cannot be read\n");
                return 65;
            }
            break;
        case HAN_ERROR:
            fprintf(stderr, "example_node: %.*s\n", length - (int)sizeof(struct han_error),
                    (const char *)message + sizeof(struct han_error));
            if (message[1] & HAN_FATAL)
                return 65;
            break;
        case HAN_ENDED:
            zmq_close(socket);
            zmq_ctx_term(context);
            return node.phase == ASSOCIATED ? 0 : 1;
        default: break;
        }
    }
}
