#pragma once
#include <stddef.h>
#include <stdint.h>

// The bare work of an 11.1: libxml2 parses the document into a tree, which is freed again, and
// libcrypto hashes the image (SHA-256). Returns 1, or 0 if one of them failed.
int xml_parse_and_hash(const uint8_t *document, size_t document_length, const uint8_t *image,
                       size_t image_length, uint8_t digest[32]);
