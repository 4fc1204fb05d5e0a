#include "ccm.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

enum { MAXIMUM_KEYS = 4, MIC = 4, NONCE = 13, LEVEL = 5, LEVEL_MASK = 7 };

struct contexts {
    EVP_CIPHER_CTX *sealing[MAXIMUM_KEYS];
    EVP_CIPHER_CTX *opening[MAXIMUM_KEYS];
};

static EVP_CIPHER_CTX *context(const EVP_CIPHER *cipher, const uint8_t *key, int sealing) {
    EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();
    if (made == NULL) return NULL;
    if (EVP_CipherInit_ex(made, cipher, NULL, NULL, NULL, sealing) == 1 &&
        EVP_CIPHER_CTX_ctrl(made, EVP_CTRL_AEAD_SET_IVLEN, NONCE, NULL) == 1 &&
        EVP_CIPHER_CTX_ctrl(made, EVP_CTRL_AEAD_SET_TAG, MIC, NULL) == 1 &&
        EVP_CipherInit_ex(made, NULL, NULL, key, NULL, -1) == 1)
        return made;
    EVP_CIPHER_CTX_free(made);
    return NULL;
}

static bool seal(EVP_CIPHER_CTX *with, uint8_t *bytes, const struct ccm_layer *layer) {
    int written;
    uint8_t *text = bytes + layer->text;
    bytes[layer->control] |= LEVEL;
    bool done = EVP_EncryptInit_ex(with, NULL, NULL, NULL, layer->nonce) == 1 &&
                EVP_EncryptUpdate(with, NULL, &written, NULL, layer->count) == 1 &&
           EVP_EncryptUpdate(with, NULL, &written, bytes + layer->header,
                             layer->text - layer->header) == 1 &&
           EVP_EncryptUpdate(with, text, &written, text, layer->count) == 1 &&
           EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_GET_TAG, MIC, text + layer->count) == 1;
    bytes[layer->control] &= ~LEVEL_MASK;
    return done;
}

static bool open(EVP_CIPHER_CTX *with, uint8_t *bytes, const struct ccm_layer *layer) {
    int written;
    uint8_t *text = bytes + layer->text;
    bytes[layer->control] |= LEVEL;
    bool done = EVP_DecryptInit_ex(with, NULL, NULL, NULL, layer->nonce) == 1 &&
                EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_AEAD_SET_TAG, MIC, text + layer->count) == 1 &&
           EVP_DecryptUpdate(with, NULL, &written, NULL, layer->count) == 1 &&
           EVP_DecryptUpdate(with, NULL, &written, bytes + layer->header,
                             layer->text - layer->header) == 1 &&
           EVP_DecryptUpdate(with, text, &written, text, layer->count) == 1;
    bytes[layer->control] &= ~LEVEL_MASK;
    return done;
}

static int64_t replay(struct ccm_frame *frames, size_t count, struct contexts *with) {
    int64_t differing = 0;
    for (size_t index = 0; index < count; index++) {
        struct ccm_frame *frame = &frames[index];
        const struct ccm_layer *inner = &frame->inner, *outer = &frame->outer;
        bool done = true;
        if (inner->text != 0) done = seal(with->sealing[inner->key], frame->bytes, inner);
        done = done && seal(with->sealing[outer->key], frame->bytes, outer);
        if (memcmp(frame->bytes + outer->text + outer->count, frame->mic, MIC) != 0) differing++;
        done = done && open(with->opening[outer->key], frame->bytes, outer);
        if (inner->text != 0) done = done && open(with->opening[inner->key], frame->bytes, inner);
        if (!done) return -1;
    }
    return differing;
}

int64_t ccm_replay(struct ccm_frame *frames, size_t count, const uint8_t (*keys)[16],
                   size_t key_count) {
    if (key_count > MAXIMUM_KEYS) return -1;
    struct contexts with = {0};
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CCM", NULL);
    bool ready = cipher != NULL;
    for (size_t index = 0; ready && index < key_count; index++) {
        with.sealing[index] = context(cipher, keys[index], 1);
        with.opening[index] = context(cipher, keys[index], 0);
        ready = with.sealing[index] != NULL && with.opening[index] != NULL;
    }
    int64_t differing = ready ? replay(frames, count, &with) : -1;
    for (size_t index = 0; index < key_count; index++) {
        EVP_CIPHER_CTX_free(with.sealing[index]);
        EVP_CIPHER_CTX_free(with.opening[index]);
    }
    EVP_CIPHER_free(cipher);
    return differing;
}
