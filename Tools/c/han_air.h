/*
 * The message layouts of the air protocol of han, version 1, for firmware that is built for the
 * host. docs/air-protocol.md says what every message and field means.
 *
 * Every struct is packed and little-endian, as the bytes are on the wire, so it can be copied
 * from and to a message (memcpy; a message need not be aligned). Where a struct ends in a length
 * or a count, so many bytes or things follow it. HAN_... names are the numbers of the document.
 * C11 and C++11 with GCC or Clang, on little-endian hosts.
 */
#ifndef HAN_AIR_H
#define HAN_AIR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the structs of han_air.h are laid out for little-endian hosts"
#endif

#define HAN_PACKED __attribute__((packed))

enum {
    HAN_VERSION = 1,
    HAN_MESSAGE_LIMIT = 131072,
    HAN_ACTION_LIMIT = 256,
    HAN_TARGET_LIMIT = 64,
    HAN_CHUNK_LIMIT = 65535,
    HAN_PSDU_LIMIT = 125,
    HAN_FRAME_LIMIT = 127,
    HAN_EVENT_VALUES = 6,
    HAN_MEASUREMENT_LIMIT = 251673600
};

/* The time that never comes; all times and spans are microseconds. */
#define HAN_NEVER INT64_MAX

/* The first byte of every message. */
enum {
    HAN_HELLO = 0x01,
    HAN_ANSWER = 0x02,
    HAN_WAKE = 0x03,
    HAN_LEAVE = 0x04,
    HAN_STATUS_REQUEST = 0x20,
    HAN_WAN_REQUEST = 0x21,
    HAN_ORDER_REQUEST = 0x22,
    HAN_POWER_REQUEST = 0x23,
    HAN_LINK_REQUEST = 0x24,
    HAN_INJECT_REQUEST = 0x25,
    HAN_END_REQUEST = 0x26,
    HAN_HOME_WAN_REQUEST = 0x27,
    HAN_WELCOME = 0x81,
    HAN_TURN = 0x82,
    HAN_ERROR = 0x83,
    HAN_ENDED = 0x84,
    HAN_PING = 0x85,
    HAN_STATUS = 0xA0,
    HAN_DONE = 0xA1,
    HAN_FRAME = 0xC0,
    HAN_EVENT = 0xC1,
    HAN_KEY = 0xC2,
    HAN_FEED_ENDED = 0xC3,
    HAN_MEMBER = 0xC4
};

/* The tags of inputs, which follow han_turn. */
enum {
    HAN_IN_POWER_ON = 0,
    HAN_IN_TICK = 1,
    HAN_IN_RECEIVED = 2,
    HAN_IN_TRANSMITTED = 3,
    HAN_IN_ENERGY = 4,
    HAN_IN_WAN = 5,
    HAN_IN_ORDER = 6,
    HAN_IN_OBSERVED = 7
};

/* The tags of actions, which follow han_answer. */
enum {
    HAN_DO_CONFIGURE = 0,
    HAN_DO_RECEIVER = 1,
    HAN_DO_PENDING = 2,
    HAN_DO_TRANSMIT = 3,
    HAN_DO_MEASURE_ENERGY = 4,
    HAN_DO_PROGRAM = 5,
    HAN_DO_ERASE = 6,
    HAN_DO_WAN = 7,
    HAN_DO_ORDER = 8,
    HAN_DO_POWER = 9,
    HAN_DO_LINK = 10,
    HAN_DO_EVENT = 11,
    HAN_DO_RESTART = 12,
    HAN_DO_END_RUN = 13,
    HAN_DO_NETWORK_KEY = 14,
    HAN_DO_LINK_KEY = 15
};

enum {
    HAN_WAN_BEGIN_IMAGE = 0,
    HAN_WAN_IMAGE_CHUNK = 1,
    HAN_WAN_END_IMAGE = 2,
    HAN_WAN_ACTIVATE_HUB = 3,
    HAN_WAN_READ_VERSION = 4,
    HAN_WAN_IMAGE_STORED = 5,
    HAN_WAN_IMAGE_REFUSED = 6,
    HAN_WAN_MESSAGE = 7
};

enum {
    HAN_ORDER_ACTIVATE = 0,
    HAN_ORDER_QUERY_NEXT_IMAGE = 1,
    HAN_ORDER_QUERY_DEVICE_FILE = 2,
    HAN_ORDER_CANCEL_DOWNLOAD = 3,
    HAN_ORDER_PERMIT_JOINING = 4,
    HAN_ORDER_UPDATE_NETWORK_KEY = 5,
    HAN_ORDER_ADD_DEVICE = 6,
    HAN_ORDER_REMOVE_DEVICE = 7,
    HAN_ORDER_CHANGE_SUPPLIER = 8
};

/* han_transmitted.status */
enum {
    HAN_SUCCESS = 0,
    HAN_NO_ACK = 1,
    HAN_CHANNEL_ACCESS_FAILURE = 2,
    HAN_REFUSED = 3
};

/* han_error.code */
enum {
    HAN_MALFORMED = 1,
    HAN_OVERSIZE = 2,
    HAN_UNSUPPORTED_VERSION = 3,
    HAN_UNKNOWN_MEMBER = 4,
    HAN_TAKEN = 5,
    HAN_OUT_OF_TURN = 6,
    HAN_OUT_OF_TIME = 7,
    HAN_NOT_JOINED = 8,
    HAN_NOT_ALLOWED = 9,
    HAN_UNANSWERED = 10,
    HAN_ROSTER = 11,
    HAN_BUSY = 12
};

/* Those kinds of events that most nodes need; the document has them all. */
enum {
    HAN_EVENT_POWERED_ON = 1,
    HAN_EVENT_BOOTED = 6,
    HAN_EVENT_NETWORK_KEY_RECEIVED = 23,
    HAN_EVENT_JOINED = 24,
    HAN_EVENT_REJOINED = 25,
    HAN_EVENT_LINK_KEY_ESTABLISHED = 42,
    HAN_EVENT_LINK_KEY_REFUSED = 43,
    HAN_EVENT_OTA_SERVER_FOUND = 60,
    HAN_EVENT_OTA_NOT_OFFERED = 62,
    HAN_EVENT_OTA_DOWNLOAD_STARTED = 63,
    HAN_EVENT_OTA_DOWNLOAD_RESUMED = 64,
    HAN_EVENT_OTA_PROGRESS = 65,
    HAN_EVENT_OTA_VERIFIED = 67,
    HAN_EVENT_OTA_REJECTED = 68,
    HAN_EVENT_OTA_AWAITING_ACTIVATION = 69,
    HAN_EVENT_OTA_GAVE_UP = 71,
    HAN_EVENT_ACTIVATED = 75,
    HAN_EVENT_OTA_CLIENT_ABSENT = 76
};

/* Messages of nodes. HAN_WAKE, HAN_LEAVE and HAN_PING are their kind alone. */

struct HAN_PACKED han_hello {
    uint8_t kind;
    uint8_t signature[3]; /* "HAN" */
    uint16_t version;
    uint8_t flags; /* 0 */
    uint32_t process_id;
    uint64_t eui64; /* 0: the name says whose place */
    uint8_t name_length;
};

struct HAN_PACKED han_answer {
    uint8_t kind;
    uint8_t flags; /* 0 */
    uint32_t turn;
    int64_t next_deadline;
    uint16_t lost;
    uint16_t action_count;
};

enum { HAN_WANTS_DETAIL = 1, HAN_OBSERVES = 2, HAN_REJOINS = 4 }; /* han_welcome.flags */
enum { HAN_VIRTUAL = 0, HAN_REAL = 1, HAN_SCALED = 2 };           /* pace */

struct HAN_PACKED han_welcome {
    uint8_t kind;
    uint16_t version;
    uint8_t flags;
    uint16_t index;
    uint16_t members;
    uint8_t pace;
    uint64_t scale; /* virtual microseconds in a real second */
    uint64_t seed;
    uint32_t start; /* seconds since 2000-01-01T00:00:00Z */
    uint32_t flash_size;
    uint32_t page_size;
    uint32_t program_time; /* for each byte */
    uint32_t erase_time;   /* for each page */
};

struct HAN_PACKED han_turn {
    uint8_t kind;
    uint8_t flags; /* 0 */
    uint32_t number;
    int64_t time;
    uint64_t frames;
};

enum { HAN_FATAL = 1 }; /* han_error.flags */

struct HAN_PACKED han_error {
    uint8_t kind;
    uint8_t flags;
    uint32_t request;
    uint8_t code;
    uint16_t text_length;
};

/* Also HAN_FEED_ENDED. */
struct HAN_PACKED han_ended {
    uint8_t kind;
    uint8_t reason; /* 0 the run ended, 1 the air was stopped, 2 put off */
    int64_t time;
    uint64_t frames;
    uint16_t text_length;
};

/* Inputs. HAN_IN_TICK is its tag alone; HAN_IN_WAN and HAN_IN_ORDER are a tag before a WAN
 * message or an order. */

struct HAN_PACKED han_power_on {
    uint8_t tag;
    int64_t cut;
};

struct HAN_PACKED han_received {
    uint8_t tag;
    uint64_t frame;
    int8_t rssi;
    uint8_t lqi;
    uint8_t psdu_length;
};

struct HAN_PACKED han_transmitted {
    uint8_t tag;
    uint8_t handle;
    uint8_t status;
    uint8_t frame_pending;
};

struct HAN_PACKED han_energy {
    uint8_t tag;
    uint8_t channel;
    int8_t level;
};

struct HAN_PACKED han_observed {
    uint8_t tag;
    int64_t time;
    uint16_t member;
    uint16_t event;
    uint64_t values[HAN_EVENT_VALUES];
};

/* Actions. HAN_DO_END_RUN is its tag alone; HAN_DO_WAN is a tag before a WAN message. */

enum { HAN_COORDINATOR = 1, HAN_RECEIVER_ON_WHEN_IDLE = 2 }; /* han_configure.flags */

struct HAN_PACKED han_configure {
    uint8_t tag;
    uint8_t channel;
    uint16_t pan;
    uint16_t short_address;
    uint64_t eui64;
    uint8_t flags;
};

struct HAN_PACKED han_receiver {
    uint8_t tag;
    uint8_t on;
};

struct HAN_PACKED han_pending_short {
    uint8_t tag;
    uint8_t pending;
    uint8_t mode; /* 2 */
    uint16_t address;
};

struct HAN_PACKED han_pending_extended {
    uint8_t tag;
    uint8_t pending;
    uint8_t mode; /* 3 */
    uint64_t address;
};

enum { HAN_INDIRECT = 1 }; /* han_transmit.flags */

struct HAN_PACKED han_transmit {
    uint8_t tag;
    uint8_t handle;
    uint8_t flags;
    uint8_t psdu_length;
};

struct HAN_PACKED han_measure_energy {
    uint8_t tag;
    uint8_t channel;
    int64_t duration;
};

struct HAN_PACKED han_program {
    uint8_t tag;
    uint32_t address;
    uint32_t count;
};

struct HAN_PACKED han_erase {
    uint8_t tag;
    uint32_t page;
};

/* An order follows. */
struct HAN_PACKED han_give_order {
    uint8_t tag;
    uint16_t to;
};

struct HAN_PACKED han_power {
    uint8_t tag;
    uint16_t of;
    uint8_t on;
};

struct HAN_PACKED han_link {
    uint8_t tag;
    uint16_t a;
    uint16_t b;
    int8_t rssi;
    uint32_t loss; /* of a million */
};

/* So many u64 follow; the last one is not 0. */
struct HAN_PACKED han_note {
    uint8_t tag;
    uint16_t event;
    uint8_t count;
};

struct HAN_PACKED han_restart {
    uint8_t tag;
    int64_t after;
};

struct HAN_PACKED han_network_key {
    uint8_t tag;
    uint8_t key[16];
};

struct HAN_PACKED han_link_key {
    uint8_t tag;
    uint8_t key[16];
    uint64_t partner;
};

/* WAN messages. */

/* So many u64 follow, then the count of versions as u16 and so many u32. */
struct HAN_PACKED han_begin_image {
    uint8_t tag;
    uint32_t delivery;
    uint32_t size;
    uint16_t target_count;
};

struct HAN_PACKED han_image_chunk {
    uint8_t tag;
    uint32_t delivery;
    uint32_t offset;
    uint16_t length;
};

/* Also HAN_WAN_IMAGE_STORED. */
struct HAN_PACKED han_end_image {
    uint8_t tag;
    uint32_t delivery;
};

struct HAN_PACKED han_activate_hub {
    uint8_t tag;
    uint8_t hash[32];
};

struct HAN_PACKED han_read_version {
    uint8_t tag;
    uint64_t device;
};

struct HAN_PACKED han_image_refused {
    uint8_t tag;
    uint32_t delivery;
    uint8_t reason;
};

/* So many bytes follow. */
struct HAN_PACKED han_wan_message {
    uint8_t tag;
    uint64_t device;
    uint16_t length;
};

/* Orders. Those that are not here are their tag alone. */

struct HAN_PACKED han_activate {
    uint8_t tag;
    uint8_t hash[32];
};

struct HAN_PACKED han_query_device_file {
    uint8_t tag;
    uint16_t image_type;
};

struct HAN_PACKED han_permit_joining {
    uint8_t tag;
    int64_t duration;
};

struct HAN_PACKED han_add_device {
    uint8_t tag;
    uint64_t device;
    uint8_t link_key[16];
};

struct HAN_PACKED han_remove_device {
    uint8_t tag;
    uint64_t device;
};

/* The trust anchor follows. */
struct HAN_PACKED han_change_supplier {
    uint8_t tag;
    uint16_t length;
};

/* The feed. */

struct HAN_PACKED han_frame {
    uint8_t kind;
    uint64_t number;
    int64_t start;
    int64_t end;
    uint16_t sender;
    uint8_t channel;
    uint8_t flags; /* 1: RSSI and LQI are known */
    int8_t rssi;
    uint8_t lqi;
    uint8_t psdu_length;
};

/* So many u64 follow; the last one is not 0. */
struct HAN_PACKED han_event {
    uint8_t kind;
    int64_t time;
    uint16_t member;
    uint16_t event;
    uint8_t count;
};

struct HAN_PACKED han_key {
    uint8_t kind;
    int64_t time;
    uint8_t key[16];
};

/* The role follows, then the name with a length of its own. */
struct HAN_PACKED han_member {
    uint8_t kind;
    uint16_t index;
    uint64_t eui64;
    uint8_t role_length;
};

/* Control. Every request begins so; HAN_STATUS_REQUEST and HAN_END_REQUEST are no more, and
 * HAN_WAN_REQUEST has a WAN message behind it. */

struct HAN_PACKED han_request {
    uint8_t kind;
    uint32_t request;
};

/* A WAN message follows, for the hub of this member's home. */
struct HAN_PACKED han_home_wan_request {
    struct han_request head;
    uint16_t member;
};

/* An order follows. */
struct HAN_PACKED han_order_request {
    struct han_request head;
    uint16_t to;
};

struct HAN_PACKED han_power_request {
    struct han_request head;
    uint16_t of;
    uint8_t on;
};

struct HAN_PACKED han_link_request {
    struct han_request head;
    uint16_t a;
    uint16_t b;
    int8_t rssi;
    uint32_t loss;
};

struct HAN_PACKED han_inject_request {
    struct han_request head;
    uint8_t channel;
    uint8_t psdu_length;
};

/* So many han_member_status follow, each with its role and its name, and then the number of turns
 * as uint64_t. */
struct HAN_PACKED han_status {
    struct han_request head;
    uint8_t state; /* 0 waiting, 1 running, 2 ended */
    uint8_t pace;
    uint64_t scale;
    int64_t time;
    uint64_t frames;
    uint16_t member_count;
};

/* The role follows, then the name with a length of its own. */
struct HAN_PACKED han_member_status {
    uint16_t index;
    uint8_t state; /* 0 absent, 1 on the air, 2 power off, 3 gone, 4 put off */
    uint32_t process_id;
    uint64_t eui64;
    uint32_t firmware;
    uint32_t offset;
    uint32_t size;
    uint8_t role_length;
};

struct HAN_PACKED han_done {
    struct han_request head;
    int64_t time;
};

/* A message that is being put together. */
struct han_buffer {
    uint8_t *bytes;
    size_t capacity;
    size_t length;
    int overflowed;
};

/* Appends bytes; what has no room leaves the buffer as it is and marks it as overflowed. */
static inline void han_put(struct han_buffer *buffer, const void *bytes, size_t length)
{
    if (buffer->overflowed || length > buffer->capacity - buffer->length) {
        buffer->overflowed = 1;
        return;
    }
    if (length > 0)
        memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

/* Copies a struct from `offset` of a message; 0 if the message ends before it does. */
static inline int han_get(const void *message, size_t message_length, size_t offset, void *out,
                          size_t length)
{
    if (offset > message_length || length > message_length - offset)
        return 0;
    memcpy(out, (const uint8_t *)message + offset, length);
    return 1;
}

#endif
