/* base64: standard alphabet, padded, one spelling only (RFC 4648, no blanks, unused bits zero).
 *
 * libsodium 1.0.18 takes bytes from 0x80 for letters, so the alphabet is checked here first.  Pure. */
#pragma once
#include "common/bytes.h"

#define BASE64_CHARS(n) (((n) + 2) / 3 * 4)             /* of n bytes */

/* `ret` must hold BASE64_CHARS(b.n) + 1. */
void base64_encode(struct bytes b, char *ret);
/* Any text is safe: false if it is not base64 or stands for more than `room` bytes. */
bool base64_decode(struct bytes text, void *ret, size_t room, size_t *ret_n);
/* Exactly n bytes. */
bool base64_decode_exact(struct bytes text, void *ret, size_t n);
