#include "p256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

struct p256_work {
    EVP_PKEY *signer, *own, *peer;
    EVP_PKEY_CTX *verifying, *deriving;
    uint8_t digest[32];
    unsigned char *signature;
    int signature_size;
};

static EVP_PKEY *key(const uint8_t *point, const uint8_t *scalar) {
    EVP_PKEY *made = NULL;
    BIGNUM *number = scalar ? BN_bin2bn(scalar, 32, NULL) : NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *parameters = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (builder != NULL && context != NULL && (number != NULL || scalar == NULL) &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 65) == 1 &&
        (number == NULL ||
         OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1) &&
        (parameters = OSSL_PARAM_BLD_to_param(builder)) != NULL &&
        EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &made, number ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          parameters) != 1)
        made = NULL;
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BN_clear_free(number);
    return made;
}

static int encode(struct p256_work *work, const uint8_t *signature) {
    ECDSA_SIG *made = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
    if (made == NULL || ECDSA_SIG_set0(made, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(made);
        return 0;
    }
    work->signature_size = i2d_ECDSA_SIG(made, &work->signature);
    ECDSA_SIG_free(made);
    return work->signature_size > 0;
}

struct p256_work *p256_prepare(const uint8_t signer[65], const uint8_t digest[32],
                               const uint8_t signature[64], const uint8_t scalar[32],
                               const uint8_t own[65], const uint8_t peer[65]) {
    struct p256_work *work = calloc(1, sizeof *work);
    if (work == NULL) return NULL;
    for (int index = 0; index < 32; index++) work->digest[index] = digest[index];
    work->signer = key(signer, NULL);
    work->own = key(own, scalar);
    work->peer = key(peer, NULL);
    if (work->signer != NULL && work->own != NULL && work->peer != NULL &&
        encode(work, signature) == 1 &&
        (work->verifying = EVP_PKEY_CTX_new(work->signer, NULL)) != NULL &&
        (work->deriving = EVP_PKEY_CTX_new(work->own, NULL)) != NULL &&
        EVP_PKEY_verify_init(work->verifying) == 1 && EVP_PKEY_derive_init(work->deriving) == 1 &&
        // The peer's point was checked when the key was made.
        EVP_PKEY_derive_set_peer_ex(work->deriving, work->peer, 0) == 1)
        return work;
    p256_free(work);
    return NULL;
}

int p256_do(struct p256_work *work, uint8_t secret[32]) {
    size_t size = 32;
    int valid = EVP_PKEY_verify(work->verifying, work->signature, (size_t)work->signature_size,
                                work->digest, sizeof work->digest);
    if (EVP_PKEY_derive(work->deriving, secret, &size) != 1 || size != 32) return -1;
    return valid == 1 ? 1 : 0;
}

void p256_free(struct p256_work *work) {
    if (work == NULL) return;
    EVP_PKEY_CTX_free(work->verifying);
    EVP_PKEY_CTX_free(work->deriving);
    EVP_PKEY_free(work->signer);
    EVP_PKEY_free(work->own);
    EVP_PKEY_free(work->peer);
    OPENSSL_free(work->signature);
    free(work);
}
