/*
 * Holds han_air.h against the examples of docs/air-protocol.md.
 * usage: test_han_air DOCUMENT
 */
#include "han_air.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t example[4096];
static size_t length;
static const char *name;
static int checks, failures, used;

static const uint64_t esme = 0x0247420000000101u;
static const uint8_t psdu[] = {0x61, 0x88, 0x2A, 0x62, 0x1A, 0x00, 0x00, 0x34, 0x12, 1, 2, 3};

static void check(int holds, const char *what, int line)
{
    checks++;
    if (!holds) {
        failures++;
        fprintf(stderr, "test_han_air.c:%d: %s: %s\n", line, name, what);
    }
}

#define CHECK(condition) check(condition, #condition, __LINE__)
/* The example begins with this struct, behind `before` bytes, and `after` bytes follow it. */
#define AS_AT(type, value, before, after)                                                          \
    struct type value;                                                                             \
    memset(&value, 0, sizeof value);                                                               \
    CHECK(han_get(example, length, before, &value, sizeof value));                                 \
    CHECK(length == (before) + sizeof value + (after))
#define AS(type, value, after) AS_AT(type, value, 0, after)

static int is(const char *wanted)
{
    int same = strcmp(name, wanted) == 0;
    used += same;
    return same;
}

static int is_run_of(const uint8_t *bytes, uint8_t first, int count)
{
    for (int index = 0; index < count; index++)
        if (bytes[index] != first + index)
            return 0;
    return 1;
}

static void check_messages(void)
{
    if (is("hello") || is("dialogue-1")) {
        AS(han_hello, it, 4);
        CHECK(it.kind == HAN_HELLO && memcmp(it.signature, "HAN", 3) == 0);
        CHECK(it.version == HAN_VERSION && it.flags == 0 && it.process_id == 1234);
        CHECK(it.eui64 == esme && it.name_length == 4);
    } else if (is("answer")) {
        AS(han_answer, it, sizeof(struct han_receiver) + sizeof(struct han_note));
        CHECK(it.kind == HAN_ANSWER && it.turn == 7 && it.next_deadline == 1250000);
        CHECK(it.lost == 0 && it.action_count == 2);
    } else if (is("dialogue-4") || is("dialogue-6") || is("dialogue-8")) {
        struct han_answer it = {0};
        CHECK(han_get(example, length, 0, &it, sizeof it));
        CHECK(it.kind == HAN_ANSWER && it.turn == (uint32_t)(name[9] - '2') / 2);
    } else if (is("wake")) {
        CHECK(length == 1 && example[0] == HAN_WAKE);
    } else if (is("leave")) {
        CHECK(length == 1 && example[0] == HAN_LEAVE);
    } else if (is("ping")) {
        CHECK(length == 1 && example[0] == HAN_PING);
    } else if (is("welcome") || is("dialogue-2")) {
        AS(han_welcome, it, 0);
        CHECK(it.kind == HAN_WELCOME && it.version == HAN_VERSION);
        CHECK(it.flags == HAN_WANTS_DETAIL && it.index == 1 && it.members == 6);
        CHECK(it.pace == HAN_VIRTUAL && it.scale == 0 && it.seed == 1 && it.start == 825757200);
        CHECK(it.flash_size == 1 << 20 && it.page_size == 4096);
        CHECK(it.program_time == 3 && it.erase_time == 45000);
    } else if (is("turn")) {
        AS(han_turn, it, 1);
        CHECK(it.kind == HAN_TURN && it.number == 7 && it.time == 1000000 && it.frames == 42);
    } else if (is("dialogue-3") || is("dialogue-5") || is("dialogue-7")) {
        struct han_turn it = {0};
        CHECK(han_get(example, length, 0, &it, sizeof it));
        CHECK(it.kind == HAN_TURN && it.number == (uint32_t)(name[9] - '1') / 2);
    } else if (is("error")) {
        AS(han_error, it, 25);
        CHECK(it.kind == HAN_ERROR && it.flags == 1 && it.request == 0);
        CHECK(it.code == HAN_UNSUPPORTED_VERSION && it.text_length == 25);
    } else if (is("ended")) {
        AS(han_ended, it, 6);
        CHECK(it.kind == HAN_ENDED && it.reason == 0 && it.time == 1000000);
        CHECK(it.frames == 42 && it.text_length == 6);
    } else if (is("feed-ended")) {
        AS(han_ended, it, 0);
        CHECK(it.kind == HAN_FEED_ENDED && it.reason == 1 && it.text_length == 0);
    } else if (is("frame")) {
        AS(han_frame, it, 14);
        CHECK(it.kind == HAN_FRAME && it.number == 42 && it.start == 999360 && it.end == 1000000);
        CHECK(it.sender == 1 && it.channel == 11 && it.flags == 1 && it.rssi == -60);
        CHECK(it.lqi == 145 && it.psdu_length == 14);
    } else if (is("event")) {
        AS(han_event, it, 4 * 8);
        CHECK(it.kind == HAN_EVENT && it.time == 1000000 && it.member == 1);
        CHECK(it.event == HAN_EVENT_OTA_PROGRESS && it.count == 4);
    } else if (is("key")) {
        AS(han_key, it, 0);
        CHECK(it.kind == HAN_KEY && it.time == 1000000 && is_run_of(it.key, 0xA0, 16));
    } else if (is("member")) {
        AS(han_member, it, 4 + 1 + 4);
        CHECK(it.kind == HAN_MEMBER && it.index == 1 && it.eui64 == esme && it.role_length == 4);
    }
}

static void check_control(void)
{
    if (is("status-request")) {
        AS(han_request, it, 0);
        CHECK(it.kind == HAN_STATUS_REQUEST && it.request == 9);
    } else if (is("end-request")) {
        AS(han_request, it, 0);
        CHECK(it.kind == HAN_END_REQUEST && it.request == 9);
    } else if (is("wan-request")) {
        AS(han_request, it, sizeof(struct han_read_version));
        CHECK(it.kind == HAN_WAN_REQUEST && it.request == 9);
    } else if (is("home-wan-request")) {
        AS(han_home_wan_request, it, sizeof(struct han_read_version));
        CHECK(it.head.kind == HAN_HOME_WAN_REQUEST && it.head.request == 9 && it.member == 7);
    } else if (is("order-request")) {
        AS(han_order_request, it, 1);
        CHECK(it.head.kind == HAN_ORDER_REQUEST && it.head.request == 9 && it.to == 1);
    } else if (is("power-request")) {
        AS(han_power_request, it, 0);
        CHECK(it.head.kind == HAN_POWER_REQUEST && it.of == 1 && it.on == 0);
    } else if (is("link-request")) {
        AS(han_link_request, it, 0);
        CHECK(it.head.kind == HAN_LINK_REQUEST && it.a == 0 && it.b == 1);
        CHECK(it.rssi == -90 && it.loss == 50000);
    } else if (is("inject-request")) {
        AS(han_inject_request, it, sizeof psdu);
        CHECK(it.head.kind == HAN_INJECT_REQUEST && it.channel == 11);
        CHECK(it.psdu_length == sizeof psdu);
    } else if (is("status")) {
        struct han_status it = {0};
        struct han_member_status first = {0}, second = {0};
        const size_t behind = sizeof it + sizeof first + 2 + 1 + 2;
        CHECK(han_get(example, length, 0, &it, sizeof it));
        CHECK(it.head.kind == HAN_STATUS && it.head.request == 9 && it.state == 1);
        CHECK(it.pace == HAN_VIRTUAL && it.scale == 0 && it.time == 1000000);
        CHECK(it.frames == 42 && it.member_count == 2);
        CHECK(han_get(example, length, sizeof it, &first, sizeof first));
        CHECK(first.index == 0 && first.state == 1 && first.process_id == 1234);
        CHECK(first.firmware == 0x01050200 && first.role_length == 2);
        CHECK(han_get(example, length, behind, &second, sizeof second));
        CHECK(second.index == 1 && second.eui64 == esme && second.role_length == 4);
        CHECK(length == behind + sizeof second + 4 + 1 + 4 + sizeof(uint64_t));
        CHECK(example[length - sizeof(uint64_t)] == 7);
    } else if (is("done")) {
        AS(han_done, it, 0);
        CHECK(it.head.kind == HAN_DONE && it.head.request == 9 && it.time == 1000000);
    }
}

static void check_inputs(void)
{
    if (is("input-power-on")) {
        AS(han_power_on, it, 0);
        CHECK(it.tag == HAN_IN_POWER_ON && it.cut == 900000);
    } else if (is("input-tick")) {
        CHECK(length == 1 && example[0] == HAN_IN_TICK);
    } else if (is("input-received")) {
        AS(han_received, it, sizeof psdu);
        CHECK(it.tag == HAN_IN_RECEIVED && it.frame == 42 && it.rssi == -60 && it.lqi == 145);
        CHECK(it.psdu_length == sizeof psdu);
        CHECK(memcmp(example + sizeof it, psdu, sizeof psdu) == 0);
    } else if (is("input-transmitted")) {
        AS(han_transmitted, it, 0);
        CHECK(it.tag == HAN_IN_TRANSMITTED && it.handle == 5 && it.status == HAN_SUCCESS);
        CHECK(it.frame_pending == 1);
    } else if (is("input-energy")) {
        AS(han_energy, it, 0);
        CHECK(it.tag == HAN_IN_ENERGY && it.channel == 11 && it.level == -97);
    } else if (is("input-wan")) {
        AS_AT(han_end_image, it, 1, 0);
        CHECK(example[0] == HAN_IN_WAN && it.tag == HAN_WAN_END_IMAGE && it.delivery == 3);
    } else if (is("input-order")) {
        CHECK(length == 2 && example[0] == HAN_IN_ORDER);
        CHECK(example[1] == HAN_ORDER_QUERY_NEXT_IMAGE);
    } else if (is("input-observed")) {
        AS(han_observed, it, 0);
        CHECK(it.tag == HAN_IN_OBSERVED && it.time == 999000 && it.member == 2);
        CHECK(it.event == HAN_EVENT_OTA_PROGRESS && it.values[0] == 480);
        CHECK(it.values[3] == 0x03020001 && it.values[5] == 0);
    }
}

static void check_actions(void)
{
    if (is("action-configure")) {
        AS(han_configure, it, 0);
        CHECK(it.tag == HAN_DO_CONFIGURE && it.channel == 11 && it.pan == 0x1A62);
        CHECK(it.short_address == 0x1234 && it.eui64 == esme);
        CHECK(it.flags == HAN_RECEIVER_ON_WHEN_IDLE);
    } else if (is("action-receiver")) {
        AS(han_receiver, it, 0);
        CHECK(it.tag == HAN_DO_RECEIVER && it.on == 1);
    } else if (is("action-pending-short")) {
        AS(han_pending_short, it, 0);
        CHECK(it.tag == HAN_DO_PENDING && it.pending == 1 && it.mode == 2 && it.address == 0x1234);
    } else if (is("action-pending-extended")) {
        AS(han_pending_extended, it, 0);
        CHECK(it.tag == HAN_DO_PENDING && it.pending == 0 && it.mode == 3 && it.address == esme);
    } else if (is("action-transmit")) {
        uint8_t bytes[sizeof(struct han_transmit) + sizeof psdu];
        struct han_buffer buffer = {bytes, sizeof bytes, 0, 0};
        AS(han_transmit, it, sizeof psdu);
        CHECK(it.tag == HAN_DO_TRANSMIT && it.handle == 5 && it.flags == 0);
        han_put(&buffer, &it, sizeof it);
        han_put(&buffer, psdu, sizeof psdu);
        CHECK(!buffer.overflowed && memcmp(bytes, example, length) == 0);
        han_put(&buffer, psdu, 1);
        CHECK(buffer.overflowed && buffer.length == length);
    } else if (is("action-measure-energy")) {
        AS(han_measure_energy, it, 0);
        CHECK(it.tag == HAN_DO_MEASURE_ENERGY && it.channel == 11 && it.duration == 138240);
    } else if (is("action-program")) {
        AS(han_program, it, 0);
        CHECK(it.tag == HAN_DO_PROGRAM && it.address == 4096 && it.count == 16);
    } else if (is("action-erase")) {
        AS(han_erase, it, 0);
        CHECK(it.tag == HAN_DO_ERASE && it.page == 1);
    } else if (is("action-wan")) {
        AS_AT(han_end_image, it, 1, 0);
        CHECK(example[0] == HAN_DO_WAN && it.tag == HAN_WAN_IMAGE_STORED && it.delivery == 3);
    } else if (is("action-order")) {
        AS(han_give_order, it, 1);
        CHECK(it.tag == HAN_DO_ORDER && it.to == 1 && example[3] == HAN_ORDER_CANCEL_DOWNLOAD);
    } else if (is("action-power")) {
        AS(han_power, it, 0);
        CHECK(it.tag == HAN_DO_POWER && it.of == 1 && it.on == 0);
    } else if (is("action-link")) {
        AS(han_link, it, 0);
        CHECK(it.tag == HAN_DO_LINK && it.a == 0 && it.b == 1 && it.rssi == -90);
        CHECK(it.loss == 50000);
    } else if (is("action-event")) {
        AS(han_note, it, 8);
        CHECK(it.tag == HAN_DO_EVENT && it.event == HAN_EVENT_JOINED && it.count == 1);
    } else if (is("action-restart")) {
        AS(han_restart, it, 0);
        CHECK(it.tag == HAN_DO_RESTART && it.after == 3000000);
    } else if (is("action-end-run")) {
        CHECK(length == 1 && example[0] == HAN_DO_END_RUN);
    } else if (is("action-network-key")) {
        AS(han_network_key, it, 0);
        CHECK(it.tag == HAN_DO_NETWORK_KEY && is_run_of(it.key, 0xA0, 16));
    } else if (is("action-link-key")) {
        AS(han_link_key, it, 0);
        CHECK(it.tag == HAN_DO_LINK_KEY && is_run_of(it.key, 0xA0, 16));
        CHECK(it.partner == 0x0247420000000101);
    }
}

static void check_port_messages(void)
{
    if (is("wan-begin-image")) {
        AS(han_begin_image, it, 8 + 2 + 4);
        CHECK(it.tag == HAN_WAN_BEGIN_IMAGE && it.delivery == 3 && it.size == 12345);
        CHECK(it.target_count == 1);
    } else if (is("wan-image-chunk")) {
        AS(han_image_chunk, it, 4);
        CHECK(it.tag == HAN_WAN_IMAGE_CHUNK && it.delivery == 3 && it.offset == 1024);
        CHECK(it.length == 4);
    } else if (is("wan-end-image")) {
        AS(han_end_image, it, 0);
        CHECK(it.tag == HAN_WAN_END_IMAGE && it.delivery == 3);
    } else if (is("wan-activate-hub")) {
        AS(han_activate_hub, it, 0);
        CHECK(it.tag == HAN_WAN_ACTIVATE_HUB && is_run_of(it.hash, 0, 32));
    } else if (is("wan-read-version")) {
        AS(han_read_version, it, 0);
        CHECK(it.tag == HAN_WAN_READ_VERSION && it.device == esme);
    } else if (is("wan-image-stored")) {
        AS(han_end_image, it, 0);
        CHECK(it.tag == HAN_WAN_IMAGE_STORED && it.delivery == 3);
    } else if (is("wan-image-refused")) {
        AS(han_image_refused, it, 0);
        CHECK(it.tag == HAN_WAN_IMAGE_REFUSED && it.delivery == 3 && it.reason == 46);
    } else if (is("wan-message")) {
        AS(han_wan_message, it, 4);
        CHECK(it.tag == HAN_WAN_MESSAGE && it.device == esme && it.length == 4);
    } else if (is("order-activate")) {
        AS(han_activate, it, 0);
        CHECK(it.tag == HAN_ORDER_ACTIVATE && is_run_of(it.hash, 0, 32));
    } else if (is("order-query-next-image")) {
        CHECK(length == 1 && example[0] == HAN_ORDER_QUERY_NEXT_IMAGE);
    } else if (is("order-query-device-file")) {
        AS(han_query_device_file, it, 0);
        CHECK(it.tag == HAN_ORDER_QUERY_DEVICE_FILE && it.image_type == 0xFFC1);
    } else if (is("order-cancel-download")) {
        CHECK(length == 1 && example[0] == HAN_ORDER_CANCEL_DOWNLOAD);
    } else if (is("order-permit-joining")) {
        AS(han_permit_joining, it, 0);
        CHECK(it.tag == HAN_ORDER_PERMIT_JOINING && it.duration == 180000000);
    } else if (is("order-update-network-key")) {
        CHECK(length == 1 && example[0] == HAN_ORDER_UPDATE_NETWORK_KEY);
    } else if (is("order-add-device")) {
        AS(han_add_device, it, 0);
        CHECK(it.tag == HAN_ORDER_ADD_DEVICE && it.device == esme);
        CHECK(is_run_of(it.link_key, 0xA0, 16));
    } else if (is("order-remove-device")) {
        AS(han_remove_device, it, 0);
        CHECK(it.tag == HAN_ORDER_REMOVE_DEVICE && it.device == esme);
    } else if (is("order-change-supplier")) {
        AS(han_change_supplier, it, 2);
        CHECK(it.tag == HAN_ORDER_CHANGE_SUPPLIER && it.length == 2);
    }
}

int main(int count, char **arguments)
{
    char line[512], title[64];
    int examples = 0, inside = 0;
    FILE *document = count == 2 ? fopen(arguments[1], "r") : NULL;
    if (document == NULL) {
        fprintf(stderr, "usage: test_han_air DOCUMENT\n");
        return 64;
    }
    while (fgets(line, sizeof line, document) != NULL) {
        if (sscanf(line, "```hex %63s", title) == 1) {
            name = title;
            length = 0;
            inside = 1;
        } else if (inside && strncmp(line, "```", 3) == 0) {
            int before = used;
            inside = 0;
            examples++;
            check_messages();
            check_control();
            check_inputs();
            check_actions();
            check_port_messages();
            CHECK(used == before + 1);
        } else if (inside) {
            char *rest = line, *end;
            while (length < sizeof example) {
                unsigned long byte = strtoul(rest, &end, 16);
                if (end == rest)
                    break;
                example[length++] = (uint8_t)byte;
                rest = end;
            }
        }
    }
    fclose(document);
    name = "the document";
    CHECK(examples >= 70);
    printf("%d examples, %d checks, %d failures\n", examples, checks, failures);
    return failures == 0 ? 0 : 1;
}
