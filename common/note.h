/* note: C2SP signed notes: names, key ids, verifier keys, signature lines.
 *
 * A note is a text that ends in LF, a blank line, then signature lines "DASH name SP base64(id | signature)".  A key is known by
 * its name and its id, the first four bytes of SHA-256(name LF type key); lines of other keys are skipped.  What is signed and
 * what a signature's blob holds is its type's business: heads (checkpoint.c) and cosignatures (cosignature.c).  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"

enum note_type { NOTE_ED25519 = 0x01, NOTE_COSIGNATURE = 0x04 };

#define NOTE_MAX_BYTES 16384
#define NOTE_LINES_MAX 40                       /* signature lines: the log's, and one for each witness that an anchor may have */
#define NOTE_NAME_MAX_BYTES 255
#define NOTE_ID_BYTES 4
#define NOTE_KEY_BYTES 32
#define NOTE_DASH "\xe2\x80\x94 "               /* U+2014 and a space begin a signature line */

/* A key's name: UTF-8, no space, plus or control character. */
bool note_name_check(const char *name);
void note_key_id(enum note_type type, const char *name, const uint8_t key[NOTE_KEY_BYTES], uint8_t ret[NOTE_ID_BYTES]);

/* "name+hex(id)+base64(type | key)"; NULL: no such name, or the arena is full. */
char *note_vkey(struct arena *a, enum note_type type, const char *name, const uint8_t key[NOTE_KEY_BYTES]);
/* The same read: exactly that spelling, that type, and the id must fit.  NULL or what is wrong; *ret_name is in `a`. */
const char *note_vkey_parse(struct arena *a, const char *vkey, enum note_type type, const char **ret_name, uint8_t ret_key[NOTE_KEY_BYTES]);

/* One signature line with its LF. */
char *note_line(struct arena *a, const char *name, struct bytes blob);

/* What stands between a position and the end; lines are taken one by one. */
struct note_cursor { const char *p, *end; };
/* The next line without its LF; false at the end or if the LF is missing. */
bool note_next_line(struct note_cursor *c, struct bytes *ret);
/* Decimal without leading zeros, within 64 bits. */
bool note_parse_number(struct bytes text, uint64_t *ret);

struct note_signature { struct bytes name, base64; uint8_t id[NOTE_ID_BYTES]; };
/* The next signature line; 1, 0 at the end, -1 if it is none.  Form only: `base64` is decoded by note_signature_blob(). */
int note_next_signature(struct note_cursor *c, struct note_signature *ret);
bool note_signature_is_by(const struct note_signature *s, const char *name, const uint8_t id[NOTE_ID_BYTES]);
/* The blob behind it, id included: exactly n bytes. */
bool note_signature_blob(const struct note_signature *s, void *ret, size_t n);
