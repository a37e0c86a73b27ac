/* base_internal: what the files of base share: the form of one (base_format), its rows read and held against their checks
 * (base_scan), and what writes (base) and loads (base_load) it. */
#pragma once
#include "common/base.h"
#include "common/sign.h"
#include <sodium.h>
#include <stdio.h>

#define CHUNK_BYTES (256u << 10)                /* a row never spans two chunks, so one may be longer */
#define CHUNK_MAX (8u << 20)
#define CHECK_BYTES 16
#define CHUNK_OVERHEAD (4 + CHECK_BYTES)
#define ROW_OVERHEAD 7                          /* u8 section, u16 key length, u32 value length */
#define ROWS_A_COMMIT 65536

/* What is in a file, in this order; of each the database that it is of. */
enum section { SECTION_STATE = 1, SECTION_OUTCOMES, SECTION_DIGESTS, SECTION_HEADS, SECTION_END };
extern const unsigned base_databases[SECTION_END];
extern const uint8_t base_meta_key;             /* of the state's row that comes last when a BASE is loaded */

struct base_header { struct base b; struct digest content; uint64_t chunks; uint8_t signature[SIGNATURE_BYTES]; };

/* The length of what is signed: all up to the signature. */
size_t base_header_encode(const struct base_header *h, uint8_t ret[BASE_HEADER_BYTES]);
/* The same of a header read; 0: of no form known here. */
size_t base_header_decode(const uint8_t b[BASE_HEADER_BYTES], struct base_header *ret);
/* Signed by the log key, and of the very tree that its HEAD signs.  NULL, or what is wrong. */
const char *base_header_verify(const struct base_header *h, const uint8_t *raw, size_t signed_n, const char *origin, const uint8_t key[32]);
void base_chunk_check(const uint8_t *payload, size_t n, uint64_t number, uint8_t ret[CHECK_BYTES]);

/* A file's rows on their way in. */
struct base_scan {
        FILE *f;
        uint8_t *p;
        size_t room;
        uint64_t chunk, rows, outcomes, found;
        enum section section;                   /* of the last row */
        struct digest state;
        crypto_generichash_state content;
        struct store *store;                    /* NULL: only digests */
        struct bytes meta;                      /* held back; malloc'ed */
        uint64_t pending;                       /* rows since the last commit */
};

/* All chunks from behind the header to the end of the file.  0, -EBADMSG, -ECANCELED once *stop is set (may be NULL), or a fault. */
int base_scan_rows(struct base_scan *s, const _Atomic bool *stop, struct digest *ret_content);
/* As many rows of each kind as the header says? */
bool base_same_counts(const struct base_scan *s, const struct base_header *h);
