#pragma once
#include <stddef.h>
#include <stdint.h>

/// Enveloped XML signatures by xmlsec: ECDSA over P-256 with SHA-256. Nothing here writes to
/// standard error, reads a file or uses the network. Everything but `han_xmlsec_start` may be
/// called by several threads, each with a document of its own.

/// To be called once, before anything else. Returns 1, or 0 if xmlsec cannot be used.
int han_xmlsec_start(void);

/// A key that xmlsec can use; free it with `han_xmlsec_key_free`. It may be used by several
/// threads. NULL for bytes that are no key.
void *han_xmlsec_private_key(const uint8_t *pkcs8, size_t count);
void *han_xmlsec_public_key(const uint8_t *spki, size_t count);
void han_xmlsec_key_free(void *key);

/// A text of the document that it has not got at the moment: one byte stands in its place, the
/// text's index plus one, which no XML document can have. The text must need no escaping but for
/// carriage returns.
typedef struct {
    const uint8_t *bytes;
    size_t count;
} han_xmlsec_text;

/// Fills in the digest and the signature value of `signature`, the xmlNode of a ds:Signature in
/// its document, with `texts` (at most eight) taken for what stands in their place. Returns 1, or 0
/// if the template is not one that can be signed.
int han_xmlsec_sign(void *signature, void *key, const han_xmlsec_text *texts, size_t count);

/// Whether `signature`, the xmlNode of a ds:Signature in its document, was made by the holder of
/// `key`, with `texts` (at most eight) taken for what stands in their place. Returns 1 if so, 0 if
/// the digest or the signature is wrong, and -1 if it is none that can be checked.
int han_xmlsec_verify(void *signature, void *key, const han_xmlsec_text *texts, size_t count);
