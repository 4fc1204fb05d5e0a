#pragma once
#include <stddef.h>
#include <stdint.h>

// The bare curve operations of Certificate-Based Key Establishment on both sides: what libcrypto
// alone takes for them, with the curve, its context and all numbers made ready beforehand.

// What one side has and is sent. Scalars have 21 or 36 bytes (suite 1 or 2), points are compressed
// and have one more; the hash has 16.
struct cbke_party {
    const uint8_t *own, *ephemeral;
    // The partner's: the point in its certificate, the certificate's hash, its ephemeral key.
    const uint8_t *certificate_point, *certificate_hash, *partner_ephemeral;
};

struct cbke_work;

// `authority` is the public key of both certificates' authority. Returns NULL if libcrypto does not
// take one of the values.
struct cbke_work *cbke_prepare(int suite, const uint8_t *authority,
                               const struct cbke_party parties[2]);

// Does it once for both sides: each makes its ephemeral public key, reconstructs the other's
// public key, and comes to the shared secret, whose 21 or 36 bytes are written, those of the second
// side from byte 36 on. Returns 1, or 0 if
// libcrypto failed.
int cbke_do(struct cbke_work *work, uint8_t secrets[72]);

void cbke_free(struct cbke_work *work);
