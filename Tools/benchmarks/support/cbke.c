#include "cbke.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

struct side {
    BIGNUM *own, *ephemeral, *hash;
    uint8_t certificate_point[37], partner_ephemeral[37];
};

struct cbke_work {
    EC_GROUP *group;
    BN_CTX *context;
    EC_POINT *authority, *ephemeral, *key, *partner, *common;
    BIGNUM *own_associate, *partner_associate, *implicit, *x;
    struct side sides[2];
    // Bytes of a scalar, bits of half the order, doublings of the cofactor.
    size_t length;
    int half, doublings;
};

struct cbke_work *cbke_prepare(int suite, const uint8_t *authority,
                               const struct cbke_party parties[2]) {
    struct cbke_work *work = calloc(1, sizeof *work);
    if (work == NULL) return NULL;
    work->length = suite == 1 ? 21 : 36;
    work->half = suite == 1 ? 82 : 141;
    work->doublings = suite == 1 ? 1 : 2;
    work->group = EC_GROUP_new_by_curve_name(suite == 1 ? NID_sect163k1 : NID_sect283k1);
    work->context = BN_CTX_new();
    if (work->group == NULL || work->context == NULL) goto failed;
    EC_POINT **points[] = {&work->authority, &work->ephemeral, &work->key, &work->partner,
                           &work->common};
    for (size_t index = 0; index < sizeof points / sizeof *points; index++)
        if ((*points[index] = EC_POINT_new(work->group)) == NULL) goto failed;
    BIGNUM **numbers[] = {&work->own_associate, &work->partner_associate, &work->implicit,
                          &work->x};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
        if ((*numbers[index] = BN_new()) == NULL) goto failed;
    if (EC_POINT_oct2point(work->group, work->authority, authority, work->length + 1,
                           work->context) != 1)
        goto failed;
    for (int index = 0; index < 2; index++) {
        struct side *side = &work->sides[index];
        side->own = BN_bin2bn(parties[index].own, (int)work->length, NULL);
        side->ephemeral = BN_bin2bn(parties[index].ephemeral, (int)work->length, NULL);
        side->hash = BN_bin2bn(parties[index].certificate_hash, 16, NULL);
        if (side->own == NULL || side->ephemeral == NULL || side->hash == NULL) goto failed;
        memcpy(side->certificate_point, parties[index].certificate_point, work->length + 1);
        memcpy(side->partner_ephemeral, parties[index].partner_ephemeral, work->length + 1);
    }
    return work;
failed:
    cbke_free(work);
    return NULL;
}

// The lower half of a compressed point's x, and a one before it.
static int associate(const struct cbke_work *work, const uint8_t *point, BIGNUM *value) {
    return BN_bin2bn(point + 1, (int)work->length, value) != NULL &&
           (BN_num_bits(value) <= work->half || BN_mask_bits(value, work->half) == 1) &&
           BN_set_bit(value, work->half) == 1;
}

static int play(struct cbke_work *work, struct side *side, uint8_t *secret) {
    EC_GROUP *group = work->group;
    BN_CTX *context = work->context;
    uint8_t sent[37];
    size_t count = work->length + 1;
    // What is sent, and the partner's public key.
    if (EC_POINT_mul(group, work->ephemeral, side->ephemeral, NULL, NULL, context) != 1 ||
        EC_POINT_point2oct(group, work->ephemeral, POINT_CONVERSION_COMPRESSED, sent, count,
                           context) != count ||
        EC_POINT_oct2point(group, work->key, side->certificate_point, count, context) != 1 ||
        EC_POINT_mul(group, work->key, NULL, work->key, side->hash, context) != 1 ||
        EC_POINT_add(group, work->key, work->key, work->authority, context) != 1)
        return 0;
    // ECMQV.
    if (EC_POINT_oct2point(group, work->partner, side->partner_ephemeral, count, context) != 1 ||
        !associate(work, sent, work->own_associate) ||
        !associate(work, side->partner_ephemeral, work->partner_associate) ||
        BN_mod_mul(work->implicit, side->own, work->own_associate, EC_GROUP_get0_order(group),
                   context) != 1 ||
        BN_mod_add(work->implicit, work->implicit, side->ephemeral, EC_GROUP_get0_order(group),
                   context) != 1 ||
        EC_POINT_mul(group, work->common, NULL, work->key, work->partner_associate, context) != 1 ||
        EC_POINT_add(group, work->common, work->common, work->partner, context) != 1)
        return 0;
    for (int index = 0; index < work->doublings; index++)
        if (EC_POINT_dbl(group, work->common, work->common, context) != 1) return 0;
    return EC_POINT_mul(group, work->common, NULL, work->common, work->implicit, context) == 1 &&
           EC_POINT_get_affine_coordinates(group, work->common, work->x, NULL, context) == 1 &&
           BN_bn2binpad(work->x, secret, (int)work->length) == (int)work->length;
}

int cbke_do(struct cbke_work *work, uint8_t secrets[72]) {
    return play(work, &work->sides[0], secrets) && play(work, &work->sides[1], secrets + 36);
}

void cbke_free(struct cbke_work *work) {
    if (work == NULL) return;
    for (int index = 0; index < 2; index++) {
        BN_clear_free(work->sides[index].own);
        BN_clear_free(work->sides[index].ephemeral);
        BN_free(work->sides[index].hash);
    }
    BN_free(work->own_associate);
    BN_free(work->partner_associate);
    BN_clear_free(work->implicit);
    BN_clear_free(work->x);
    EC_POINT_free(work->authority);
    EC_POINT_free(work->ephemeral);
    EC_POINT_free(work->key);
    EC_POINT_free(work->partner);
    EC_POINT_clear_free(work->common);
    BN_CTX_free(work->context);
    EC_GROUP_free(work->group);
    free(work);
}
