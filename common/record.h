/* record: what a record of an UPDATE is, and its proof (DESIGN 4, 6).
 *
 * Salts come from the seed inside the sealed body, so no unsalted digest of a value stands outside a seal.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "proto/catalog.pb-c.h"
#include "proto/stream.pb-c.h"

#define RECORDS_MAX 256                         /* an UPDATE */
#define RECORD_MAX_BYTES (64 * 1024)

struct digest record_leaf(const uint8_t seed[32], uint32_t index, struct bytes record);
/* Root over the records of a content; `leaves` must hold n. */
struct digest record_root(const uint8_t seed[32], const ProtobufCBinaryData *records, size_t n, struct digest *leaves);
struct digest row_leaf(struct bytes row);       /* of an AudienceRow */

/* Does the value fit its item (4.4: type, length, scale, nullable; identifiers 5.3)?  NULL, or a code such as "type",
 * "length", "null", "checksum"; never the value.  `today` is Shanghai's, for birth dates. */
const char *value_check(const Shuyi__V1__Item *item, const Shuyi__V1__Value *v, int32_t today);
/* A record against an entry and the items granted: NULL or the code, and at ret_item the item it is about. */
const char *record_check(const Shuyi__V1__Entry *entry, const uint32_t *items, size_t n, const Shuyi__V1__Record *r, int32_t today, uint32_t *ret_item);
/* Leaves only the values of `items`; the record's key stays.  In place. */
void record_project(Shuyi__V1__Record *r, const uint32_t *items, size_t n);
