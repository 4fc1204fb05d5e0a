/*
 * A node of its own in C: takes a place in the roster, associates with the hub, takes the network
 * key with the link key of its install code, and announces itself in the network. It has no OTA
 * client: Tools/python/zigbee_device.py shows what a device does from there on.
 *
 *     cc -o example_node Tools/c/example_node.c -lzmq -lcrypto
 *     Tools/han run SCENARIO --transport zmq --without PPMID
 *     ./example_node ENDPOINT PPMID 0247420000000103 D7DECF3ED55B2AFC922B4444D7A284469FA8
 *
 * The last argument is the install code of the home file, its CRC included. It ends with the run:
 * with 0 if it has joined, with 1 if not, with 69 without an air.
 * Clauses are those of IEEE 802.15.4-2006 (7.x) and of the ZigBee specification (053474r20).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "han_air.h"

enum { FIRST_CHANNEL = 11, LAST_CHANNEL = 26, HEADER = 3, DATA_HEADER = 9 };
enum { BEACON_TIME = 150000, ANSWER_TIME = 500000, KEY_TIME = 10000000, PAUSE = 5000000 };
enum { KEY = 16, CODE = 18, NONCE = 13, MIC = 4, NWK_HEADER = 8 };
enum { LEVEL = 5 }; /* ENC-MIC-32 (4.5.1.1.1); on the air these bits are 0 */
enum { FIRMWARE = 0x01000309, CAPABILITY = 0x8C, RX_ON_WHEN_IDLE = 0xFFFD, DEVICE_ANNCE = 0x0013 };

static struct {
    uint64_t eui64;
    uint8_t link_key[KEY];
    enum { SCANNING, ASKING, POLLING, ASSOCIATED, JOINED } phase;
    uint8_t channel, sequence, handle, network_sequence;
    uint16_t pan, parent, address;
    uint64_t trust_centre;
    uint8_t network_key[KEY], key_number;
    uint32_t counter;
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
    for (; count > 0 && values[count - 1] == 0; count--) {} /* zeros at the end are left out */
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

/* The Matyas-Meyer-Oseas hash over AES-128 (B.6), of up to 45 bytes. */
static void mmo(const uint8_t *data, size_t length, uint8_t *digest)
{
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    uint8_t padded[3 * KEY] = {0}, sealed[KEY];
    int count, total = (int)(length + 3 + KEY - 1) / KEY * KEY;
    memcpy(padded, data, length);
    padded[length] = 0x80;
    padded[total - 2] = (uint8_t)(8 * length >> 8);
    padded[total - 1] = (uint8_t)(8 * length);
    memset(digest, 0, KEY);
    for (uint8_t *block = padded; block < padded + total; block += KEY) {
        if (!aes || !EVP_EncryptInit_ex(aes, EVP_aes_128_ecb(), NULL, digest, NULL) ||
            !EVP_EncryptUpdate(aes, sealed, &count, block, KEY))
            abort();
        for (int index = 0; index < KEY; index++)
            digest[index] = sealed[index] ^ block[index];
    }
    EVP_CIPHER_CTX_free(aes);
}

/* The key-transport key: HMAC over that hash (B.1.4), of the byte 0 (4.5.3). */
static void key_transport_key(uint8_t *key)
{
    uint8_t inner[KEY + 1] = {0}, outer[2 * KEY];
    for (int index = 0; index < KEY; index++) {
        inner[index] = node.link_key[index] ^ 0x36;
        outer[index] = node.link_key[index] ^ 0x5C;
    }
    mmo(inner, sizeof inner, outer + KEY);
    mmo(outer, sizeof outer, key);
}

/* AES-CCM* with a MIC of 4 bytes (A.1, A.2) behind the text; 0 if what is opened is forged. */
static int ccm(int seals, const uint8_t *key, uint64_t sender, uint32_t counter, uint8_t control,
               const uint8_t *header, int header_length, uint8_t *text, int length)
{
    uint8_t nonce[NONCE];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int count, good;
    memcpy(nonce, &sender, sizeof sender);
    memcpy(nonce + 8, &counter, sizeof counter);
    nonce[12] = control;
    good = context && EVP_CipherInit_ex(context, EVP_aes_128_ccm(), NULL, NULL, NULL, seals) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_CCM_SET_IVLEN, NONCE, NULL) &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_CCM_SET_TAG, MIC, seals ? NULL : text + length) &&
           EVP_CipherInit_ex(context, NULL, NULL, key, nonce, seals) &&
           EVP_CipherUpdate(context, NULL, &count, NULL, length) &&
           EVP_CipherUpdate(context, NULL, &count, header, header_length) &&
           EVP_CipherUpdate(context, text, &count, text, length) > 0 &&
           (!seals || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_CCM_GET_TAG, MIC, text + length));
    EVP_CIPHER_CTX_free(context);
    return good;
}

/* 7.3.7: a beacon request on the next channel; when the answers are over. */
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
                 node.eui64, 0x01,            CAPABILITY};
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

/* Device_annce (2.4.3.1.11), broadcast through the parent and secured with the network key. */
static void announce(void)
{
    struct HAN_PACKED {
        uint16_t control;
        uint8_t sequence;
        uint16_t pan, to, from;
        struct HAN_PACKED {
            uint16_t control, destination, source;
            uint8_t radius, sequence, security;
            uint32_t counter;
            uint64_t sender;
            uint8_t key_number;
        } network;
        struct HAN_PACKED {
            uint8_t control, endpoint;
            uint16_t cluster, profile;
            uint8_t source_endpoint, counter, number;
            uint16_t address;
            uint64_t eui64;
            uint8_t capability;
        } text;
        uint8_t mic[MIC];
    } frame = {0x8861, ++node.sequence, node.pan, node.parent, node.address,
               {0x2208, RX_ON_WHEN_IDLE, node.address, 30, ++node.network_sequence, 0x28 | LEVEL,
                ++node.counter, node.eui64, node.key_number},
               {0x08, 0, DEVICE_ANNCE, 0, 0, node.network_sequence, node.network_sequence,
                node.address, node.eui64, CAPABILITY},
               {0}};
    uint8_t *bytes = (uint8_t *)&frame;
    if (!ccm(1, node.network_key, node.eui64, node.counter, 0x28 | LEVEL, bytes + DATA_HEADER,
             sizeof frame.network, bytes + DATA_HEADER + sizeof frame.network, sizeof frame.text))
        abort();
    frame.network.security = 0x28;
    transmit(&frame, sizeof frame);
}

/* Transport Key of the standard network key (4.4.9.1), under the key-transport key; 0 if a frame
 * is anything else. */
static int take_key(const uint8_t *psdu, size_t length)
{
    uint8_t frame[HAN_PSDU_LIMIT], key[KEY];
    uint16_t control = 0;
    uint32_t counter;
    uint64_t sender = node.trust_centre;
    size_t start, text;
    if (length > sizeof frame || !han_get(psdu, length, DATA_HEADER, &control, sizeof control) ||
        (control & 0x0603)) /* network security and source routes: not before there is a key */
        return 0;
    memcpy(frame, psdu, length);
    start = DATA_HEADER + NWK_HEADER + (control & 0x0800 ? 8 : 0) + (control & 0x1000 ? 8 : 0);
    /* An APS command (4.4.1): control and counter, then the auxiliary header (4.5.1). */
    if (length < start + 3 || (frame[start] & 0x23) != 0x21 || (frame[start + 2] & 0x18) != 0x10)
        return 0;
    text = start + 7;
    if (frame[start + 2] & 0x20) {
        if (!han_get(frame, length, text, &sender, sizeof sender))
            return 0;
        text += sizeof sender;
    }
    if (length < text + 19 + MIC)
        return 0;
    memcpy(&counter, frame + start + 3, sizeof counter);
    frame[start + 2] |= LEVEL;
    key_transport_key(key);
    if (!ccm(0, key, sender, counter, frame[start + 2], frame + start, (int)(text - start),
             frame + text, (int)(length - text - MIC)) ||
        frame[text] != 0x05 || frame[text + 1] != 0x01)
        return 0;
    memcpy(node.network_key, frame + text + 2, KEY);
    node.key_number = frame[text + 18];
    return 1;
}

/* A beacon of an open PAN, the answer to the request, or the network key; when the next thing is
 * to be done. */
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
        memcpy(&node.trust_centre, psdu + 13, sizeof node.trust_centre);
        memcpy(&node.address, psdu + 22, sizeof node.address);
        node.phase = ASSOCIATED;
        printf("associated as 0x%04X\n", node.address);
        tune();
        note(21, (uint64_t[]){node.address, node.parent}, 2);
        return now + KEY_TIME;
    }
    if (node.phase == ASSOCIATED && (control & 7) == 1 && take_key(psdu, length)) {
        node.phase = JOINED;
        printf("joined PAN 0x%04X as 0x%04X\n", node.pan, node.address);
        note(HAN_EVENT_NETWORK_KEY_RECEIVED, (uint64_t[]){node.key_number}, 1);
        note(HAN_EVENT_JOINED, (uint64_t[]){node.address, node.parent}, 2);
        note(HAN_EVENT_OTA_CLIENT_ABSENT, (uint64_t[]){FIRMWARE}, 1); /* none to wait for */
        announce();
        return HAN_NEVER;
    }
    return deadline;
}

static int64_t tick(int64_t now)
{
    switch (node.phase) {
    case ASKING: node.phase = POLLING; poll_parent(); return now + ANSWER_TIME;
    case JOINED: announce(); return HAN_NEVER;
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
    struct han_transmitted transmitted;
    size_t body = sizeof turn + sizeof received;
    if (!han_get(message, length, 0, &turn, sizeof turn) || length == sizeof turn)
        return 0;
    answer.length = sizeof head;
    actions = 0;
    switch (message[sizeof turn]) {
    case HAN_IN_POWER_ON:
        node.channel = 0;
        note(HAN_EVENT_POWERED_ON, (uint64_t[]){FIRMWARE}, 1);
        note(HAN_EVENT_BOOTED, NULL, 0);
        deadline = scan(turn.time);
        break;
    case HAN_IN_TICK: deadline = tick(turn.time); break;
    case HAN_IN_RECEIVED:
        if (!han_get(message, length, sizeof turn, &received, sizeof received))
            return 0;
        deadline = take(message + body, length - body, turn.time, deadline);
        break;
    case HAN_IN_TRANSMITTED:
        if (!han_get(message, length, sizeof turn, &transmitted, sizeof transmitted))
            return 0;
        /* The announcement has not got through to the parent. */
        if (node.phase == JOINED && transmitted.status != HAN_SUCCESS)
            deadline = turn.time + ANSWER_TIME;
        break;
    default: break;
    }
    head = (struct han_answer){HAN_ANSWER, 0, turn.number, deadline, 0, actions};
    memcpy(memory, &head, sizeof head);
    return !answer.overflowed && zmq_send(socket, memory, answer.length, 0) >= 0;
}

/* The link key of an install code (its CRC included), in hex; 0 if it is none. */
static int read_code(const char *text)
{
    uint8_t code[CODE];
    for (int index = 0; index < CODE; index++)
        if (sscanf(text + 2 * index, "%2hhx", &code[index]) != 1)
            return 0;
    mmo(code, sizeof code, node.link_key);
    return 1;
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
    if (count != 5 || strlen(arguments[2]) > 255 || strlen(arguments[4]) != 2 * CODE ||
        !read_code(arguments[4])) {
        fprintf(stderr, "usage: example_node ENDPOINT NAME EUI64 INSTALL-CODE\n");
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
            return node.phase == JOINED ? 0 : 1;
        default: break;
        }
    }
}
