/* bytes: a borrowed run of bytes, and the few things done with one.
 *
 * A `struct bytes` owns nothing: whoever made it says how long it lives.  Pure, no allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes { const uint8_t *p; size_t n; };          /* {0} is empty */

#define DIGEST_BYTES 32
#define ID_BYTES 16

struct digest { uint8_t b[DIGEST_BYTES]; };             /* BLAKE2b-256 or SHA-256, by its name */
struct id     { uint8_t b[ID_BYTES]; };                 /* UUIDv7, person_id, agent_id */

static inline struct bytes bytes_of(const void *p, size_t n) { return (struct bytes){ p, n }; }
static inline struct bytes bytes_str(const char *s) { return (struct bytes){ (const uint8_t *)s, strlen(s) }; }
static inline struct bytes bytes_digest(const struct digest *d) { return (struct bytes){ d->b, DIGEST_BYTES }; }
static inline struct bytes bytes_id(const struct id *i) { return (struct bytes){ i->b, ID_BYTES }; }

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
        return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* <0, 0, >0 as memcmp; a prefix sorts before what it begins. */
int bytes_compare(struct bytes a, struct bytes b);
bool bytes_has_prefix(struct bytes b, struct bytes prefix);

/* Fixed-width integers in a byte string: big-endian in keys (they sort), little-endian in records. */
void put_be64(uint8_t *p, uint64_t v);
void put_be32(uint8_t *p, uint32_t v);
void put_be16(uint8_t *p, uint16_t v);
uint64_t get_be64(const uint8_t *p);
uint32_t get_be32(const uint8_t *p);
uint16_t get_be16(const uint8_t *p);
void put_le64(uint8_t *p, uint64_t v);
void put_le32(uint8_t *p, uint32_t v);
uint64_t get_le64(const uint8_t *p);
uint32_t get_le32(const uint8_t *p);

/* Copies exactly n bytes into `ret`; false, and nothing written, if `b` is not n long. */
bool bytes_copy_exact(struct bytes b, void *ret, size_t n);

/* Lower-case hex.  `ret` holds 2n + 1.  parse: even length, lower or upper case, nothing else. */
void hex_format(struct bytes b, char *ret);
bool hex_parse(const char *text, void *ret, size_t n);

/* How many of them, from the start, stand in a JSON string as they are: no quote, backslash or control character. */
size_t bytes_json_plain(struct bytes b);

/* Well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF), without NUL. */
bool utf8_check(struct bytes b);
