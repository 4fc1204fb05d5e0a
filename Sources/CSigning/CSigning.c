// ECDSA_do_sign_ex is deprecated in OpenSSL 3.0 and has no replacement there that takes a nonce.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "CSigning.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

int han_p256_sign(const uint8_t *key, const uint8_t *nonce, const uint8_t *digest, uint8_t *signature) {
    int done = 0;
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    BN_CTX *context = BN_CTX_new();
    BIGNUM *d = BN_bin2bn(key, 32, NULL);
    BIGNUM *k = BN_bin2bn(nonce, 32, NULL);
    BIGNUM *x = BN_new();
    BIGNUM *inverse = BN_new();
    EC_POINT *point = NULL;
    ECDSA_SIG *made = NULL;
    if (!ec || !context || !d || !k || !x || !inverse) goto out;
    const EC_GROUP *group = EC_KEY_get0_group(ec);
    const BIGNUM *order = EC_GROUP_get0_order(group);
    if (BN_is_zero(d) || BN_cmp(d, order) >= 0 || BN_is_zero(k) || BN_cmp(k, order) >= 0) goto out;
    point = EC_POINT_new(group);
    if (!point || !EC_KEY_set_private_key(ec, d)) goto out;
    if (!EC_POINT_mul(group, point, k, NULL, NULL, context)) goto out;
    if (!EC_POINT_get_affine_coordinates(group, point, x, NULL, context)) goto out;
    if (!BN_nnmod(x, x, order, context) || !BN_mod_inverse(inverse, k, order, context)) goto out;
    made = ECDSA_do_sign_ex(digest, 32, inverse, x, ec);
    if (!made) goto out;
    const BIGNUM *r, *s;
    ECDSA_SIG_get0(made, &r, &s);
    done = BN_bn2binpad(r, signature, 32) == 32 && BN_bn2binpad(s, signature + 32, 32) == 32;
out:
    ECDSA_SIG_free(made);
    EC_POINT_free(point);
    BN_clear_free(inverse);
    BN_free(x);
    BN_clear_free(k);
    BN_clear_free(d);
    BN_CTX_free(context);
    EC_KEY_free(ec);
    return done;
}
