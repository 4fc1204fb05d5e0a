#pragma once
#include <stddef.h>
#include <stdint.h>

// The bare curve operations of checking a GBCS command: what libcrypto alone takes for them, with
// keys, contexts and the signature's form made ready beforehand.

// One ECDSA verification and one ECDH on P-256.
struct p256_work;

// `signer` and `peer` are points, 04 then x then y; `scalar` is a private key, `signature` r then
// s, `digest` what was signed. Returns NULL if libcrypto does not take one of them.
struct p256_work *p256_prepare(const uint8_t signer[65], const uint8_t digest[32],
                               const uint8_t signature[64], const uint8_t scalar[32],
                               const uint8_t own[65], const uint8_t peer[65]);

// Does both once, and writes the x coordinate that they agree on. Returns 1 if the signature is
// valid, 0 if it is not, and -1 if libcrypto failed.
int p256_do(struct p256_work *work, uint8_t secret[32]);

void p256_free(struct p256_work *work);
