/* checkpoint: the one form of tree head, a C2SP tlog-checkpoint signed note, and the cosignatures of witnesses on it.
 *
 * text = origin LF size LF base64(root) LF, a blank line, then signature lines: the log's, then one for each witness.
 * A cosignature (C2SP tlog-cosignature, type 0x04) says: at this time this was the largest tree of this log that I saw, and it
 * goes on from all I saw before.  It does not bind the witness's name, so a witness has one key.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/note.h"
#include "proto/identity.pb-c.h"

struct checkpoint { const char *origin; uint64_t size; struct digest root; };

/* The whole note with one Ed25519 signature (type 0x01) by the log key, in `a`; NULL when full. */
char *checkpoint_sign(struct arena *a, const struct checkpoint *c, const uint8_t secret[64], const uint8_t key[32]);
/* Parses strictly and checks the signature of `origin` by `key`; unknown signatures are skipped, a known one that fails
 * refuses the note.  NULL or what is wrong; ret->origin points into `a`. */
const char *checkpoint_verify(struct arena *a, const char *note, const char *origin, const uint8_t key[32], struct checkpoint *ret);
/* What a note says, signatures unchecked: to find whose key it needs.  NULL or what is wrong with its form. */
const char *checkpoint_peek(struct arena *a, const char *note, struct checkpoint *ret);
/* The text that is signed, with its last LF; {0}: no blank line follows it. */
struct bytes checkpoint_text(const char *note);
/* vkey line: name+hex(id)+base64(type || key). */
char *checkpoint_vkey(struct arena *a, const char *name, const uint8_t key[32]);

/* ---- cosignatures ---- */

#define COSIGNATURE_TIME_MAX INT64_MAX

/* A witness's signature line over the note's text at `time_s` (seconds since 1970, not 0), with its LF; NULL: no note, name or time, or the arena is full. */
char *checkpoint_cosign(struct arena *a, const char *note, const char *name, uint64_t time_s, const uint8_t secret[64], const uint8_t key[32]);
/* Does this line (with or without its LF) hold for the note?  NULL and its time, or what is wrong. */
const char *checkpoint_check_cosignature(const char *note, struct bytes line, const char *name, const uint8_t key[32], uint64_t *ret_time_s);

/* Who has seen it: distinct witnesses of the anchor with a good cosignature, and the first and last of their times in seconds. */
struct checkpoint_quorum { unsigned count; uint64_t first_s, last_s; };
/* Of a note that checkpoint_verify() took.  Lines of keys that the anchor does not name are skipped; one of a witness of the anchor that does not
 * hold, or stands twice, refuses the note.  NULL and *ret, or what is wrong.  Whether count is enough is the caller's: anchor->witness_quorum. */
const char *checkpoint_quorum(const char *note, const Shuyi__V1__Anchor *anchor, struct checkpoint_quorum *ret);
