/* checkpoint: the one form of tree head, a C2SP tlog-checkpoint signed note.
 *
 * text = origin LF size LF base64(root) LF, a blank line, then signature lines.  Pure. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"

struct checkpoint { const char *origin; uint64_t size; struct digest root; };

/* The whole note with one Ed25519 signature (type 0x01) by the log key, in `a`; NULL when full. */
char *checkpoint_sign(struct arena *a, const struct checkpoint *c, const uint8_t secret[64], const uint8_t key[32]);
/* Parses strictly and checks the signature of `origin` by `key`; unknown signatures are skipped, a known one that fails
 * refuses the note.  NULL or what is wrong; ret->origin points into `a`. */
const char *checkpoint_verify(struct arena *a, const char *note, const char *origin, const uint8_t key[32], struct checkpoint *ret);
/* vkey line: name+hex(id)+base64(type || key). */
char *checkpoint_vkey(struct arena *a, const char *name, const uint8_t key[32]);
