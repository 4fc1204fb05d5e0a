#include "CXMLSec.h"

#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <string.h>
#include <xmlsec/crypto.h>
#include <xmlsec/errors.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>

static void ignore(
    const char *file, int line, const char *function, const char *object, const char *subject, int reason,
    const char *message) {
    (void)file, (void)line, (void)function, (void)object, (void)subject, (void)reason, (void)message;
}

// libxml2 has errors that belong to no parser, and prints those of each thread that does not say
// what else to do with them.
static void ignoreError(void *place, xmlErrorPtr error) { (void)place, (void)error; }

int han_xmlsec_start(void) {
    xmlSecErrorsSetCallback(ignore);
    if (xmlSecInit() < 0 || xmlSecCheckVersion() != 1 || xmlSecCryptoInit() < 0) return 0;
    // xmlsec sets it once more while it starts.
    xmlSecErrorsSetCallback(ignore);
    ERR_clear_error();
    return 1;
}

// The key takes over `made`.
static void *adopt(EVP_PKEY *made) {
    ERR_clear_error();
    if (!made) return NULL;
    xmlSecKeyDataPtr data = xmlSecOpenSSLEvpKeyAdopt(made);
    if (!data) {
        EVP_PKEY_free(made);
        return NULL;
    }
    xmlSecKeyPtr key = xmlSecKeyCreate();
    if (!key || xmlSecKeySetValue(key, data) < 0) {
        xmlSecKeyDataDestroy(data);
        if (key) xmlSecKeyDestroy(key);
        return NULL;
    }
    return key;
}

void *han_xmlsec_private_key(const uint8_t *pkcs8, size_t count) {
    const uint8_t *position = pkcs8;
    return adopt(d2i_AutoPrivateKey(NULL, &position, (long)count));
}

void *han_xmlsec_public_key(const uint8_t *spki, size_t count) {
    const uint8_t *position = spki;
    return adopt(d2i_PUBKEY(NULL, &position, (long)count));
}

void han_xmlsec_key_free(void *key) {
    if (key) xmlSecKeyDestroy(key);
}

// A context that does what DUIS needs and nothing else.
static xmlSecDSigCtxPtr context(void *key) {
    xmlSetStructuredErrorFunc(NULL, ignoreError);
    xmlSecDSigCtxPtr made = xmlSecDSigCtxCreate(NULL);
    if (!made) return NULL;
    made->enabledReferenceUris = xmlSecTransformUriTypeEmpty;
    // Without a list of keys to look into, what the signature says of its key is not followed.
    made->keyInfoReadCtx.enabledKeyData.use = 0;
    if (xmlSecDSigCtxEnableSignatureTransform(made, xmlSecTransformExclC14NId) < 0
        || xmlSecDSigCtxEnableSignatureTransform(made, xmlSecTransformEcdsaSha256Id) < 0
        || xmlSecDSigCtxEnableReferenceTransform(made, xmlSecTransformEnvelopedId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(made, xmlSecTransformInclC14NId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(made, xmlSecTransformExclC14NId) < 0
        || xmlSecDSigCtxEnableReferenceTransform(made, xmlSecTransformSha256Id) < 0
        || !(made->signKey = xmlSecKeyDuplicate(key))) {
        xmlSecDSigCtxDestroy(made);
        return NULL;
    }
    return made;
}

// MARK: Texts that the document has not got

enum { maximumTexts = 8 };

typedef struct {
    const han_xmlsec_text *texts;
    size_t count;
} Texts;

static int pushText(xmlSecTransformPtr next, const han_xmlsec_text *text, xmlSecTransformCtxPtr context) {
    const uint8_t *position = text->bytes, *end = text->bytes + text->count;
    while (position < end) {
        const uint8_t *stop = memchr(position, '\r', (size_t)(end - position));
        const uint8_t *until = stop ? stop : end;
        if (until > position
            && xmlSecTransformPushBin(next, position, (xmlSecSize)(until - position), 0, context) < 0) {
            return -1;
        }
        // Canonical XML 2.3
        if (stop && xmlSecTransformPushBin(next, (const xmlSecByte *)"&#xD;", 5, 0, context) < 0) return -1;
        position = stop ? stop + 1 : end;
    }
    return 0;
}

// What comes from the canonicalisation goes on to the digest, each text in its place.
static int pushExpanded(
    xmlSecTransformPtr transform, const xmlSecByte *data, xmlSecSize size, int isLast,
    xmlSecTransformCtxPtr context) {
    const Texts *texts = context->userData;
    xmlSecTransformPtr next = transform->next;
    if (!texts || !next) return -1;
    xmlSecSize start = 0;
    for (xmlSecSize index = 0; index < size; index++) {
        if (data[index] == 0 || data[index] > texts->count) continue;
        if (index > start && xmlSecTransformPushBin(next, data + start, index - start, 0, context) < 0) return -1;
        if (pushText(next, &texts->texts[data[index] - 1], context) < 0) return -1;
        start = index + 1;
    }
    if (isLast) return xmlSecTransformPushBin(next, data + start, size - start, 1, context);
    return start == size ? 0 : xmlSecTransformPushBin(next, data + start, size - start, 0, context);
}

static xmlSecTransformKlass expansion = {
    .klassSize = sizeof(xmlSecTransformKlass),
    .objSize = sizeof(xmlSecTransform),
    .name = (const xmlChar *)"han-texts",
    // A URI under which no signature can ask for it.
    .href = NULL,
    .usage = xmlSecTransformUsageDSigTransform,
    .getDataType = xmlSecTransformDefaultGetDataType,
    .pushBin = pushExpanded,
};

// Puts the expansion before the digest.
static int prepare(xmlSecTransformCtxPtr context) {
    // A reference has its context in its own, and that knows the signature's.
    const char *place = (const char *)context - offsetof(xmlSecDSigReferenceCtx, transformCtx);
    context->userData = ((const xmlSecDSigReferenceCtx *)place)->dsigCtx->userData;
    xmlSecTransformPtr digest = context->first;
    while (digest && !(digest->id->usage & xmlSecTransformUsageDigestMethod)) digest = digest->next;
    if (!digest || !digest->prev) return -1;
    xmlSecTransformPtr made = xmlSecTransformCreate(&expansion);
    if (!made) return -1;
    made->prev = digest->prev;
    made->next = digest;
    digest->prev->next = made;
    digest->prev = made;
    return 0;
}

// A context that puts the texts where they belong.
static xmlSecDSigCtxPtr contextWith(void *key, Texts *texts) {
    if (texts->count > maximumTexts) return NULL;
    xmlSecDSigCtxPtr made = context(key);
    if (made && texts->count > 0) {
        made->userData = texts;
        made->referencePreExecuteCallback = prepare;
    }
    return made;
}

int han_xmlsec_sign(void *signature, void *key, const han_xmlsec_text *texts, size_t count) {
    Texts all = {texts, count};
    xmlSecDSigCtxPtr made = contextWith(key, &all);
    int isDone = made && xmlSecDSigCtxSign(made, signature) == 0
        && made->status == xmlSecDSigStatusSucceeded;
    if (made) xmlSecDSigCtxDestroy(made);
    ERR_clear_error();
    return isDone;
}

int han_xmlsec_verify(void *signature, void *key, const han_xmlsec_text *texts, size_t count) {
    Texts all = {texts, count};
    int verdict = -1;
    xmlSecDSigCtxPtr made = contextWith(key, &all);
    if (made) {
        if (xmlSecDSigCtxVerify(made, signature) == 0) {
            verdict = made->status == xmlSecDSigStatusSucceeded ? 1 : made->status == xmlSecDSigStatusInvalid ? 0 : -1;
        }
        xmlSecDSigCtxDestroy(made);
    }
    ERR_clear_error();
    return verdict;
}
