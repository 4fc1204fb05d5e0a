#pragma once
#include <stddef.h>
#include <stdint.h>

/// ECDSA over P-256 with a nonce of the caller's choosing (RFC 6979 wants one that repeats;
/// libcrypto 3.0 always draws its own). `key`, `nonce` and `digest` are 32 big-endian bytes;
/// `signature` takes r then s, 64 bytes. Returns 1, or 0 if the key or the nonce is out of range.
int han_p256_sign(const uint8_t *key, const uint8_t *nonce, const uint8_t *digest, uint8_t *signature);
