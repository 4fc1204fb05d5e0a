#pragma once
#include <stddef.h>
#include <stdint.h>

// The bare AES-CCM* work of ZigBee frames: what libcrypto alone takes for it, with a context and
// a key schedule kept for each key and direction.

// One layer of security of one frame, as offsets into its bytes. `key` is an index into the keys;
// `text` is 0 where the layer is absent. 4 bytes of integrity code follow the text, which may be
// empty.
struct ccm_layer {
    uint8_t key;
    uint8_t header;
    uint8_t text;
    uint8_t count;
    // The security control byte, whose level is 5 in the computation and 0 on the air.
    uint8_t control;
    uint8_t nonce[13];
};

// A frame with both layers open, and the integrity code that its outer layer had on the air.
struct ccm_frame {
    struct ccm_layer outer;
    struct ccm_layer inner;
    uint8_t mic[4];
    uint8_t bytes[128];
};

// Seals each frame, inner layer first, and opens it again, which leaves its bytes as they were.
// Returns how many frames came out other than they were on the air, or -1 if libcrypto failed.
int64_t ccm_replay(struct ccm_frame *frames, size_t count, const uint8_t (*keys)[16],
                   size_t key_count);
