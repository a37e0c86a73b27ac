/* witness: what a log and its witness say to each other (C2SP tlog-witness), and when a head may be cosigned.
 *
 * The request: "old N" LF, at most 63 base64 hashes a line each, a blank line, the note.  A witness cosigns a head only if its tree
 * goes on from the last one that it cosigned for that log, and so never two histories of one log.  Pure. */
#pragma once
#include "common/checkpoint.h"

#define WITNESS_PATH_MAX 63
#define WITNESS_REQUEST_MAX_BYTES (NOTE_MAX_BYTES + 32 + 1 + WITNESS_PATH_MAX * 45)
#define WITNESS_SIZE_TYPE "text/x.tlog.size"    /* of the body of a 409: the size in decimal and LF */

struct witness_request { uint64_t old; unsigned path_n; struct digest path[WITNESS_PATH_MAX]; const char *note; };

/* The body of a request; NULL: a path that is too long, or the arena is full. */
char *witness_request_format(struct arena *a, uint64_t old, const struct digest *path, unsigned path_n, const char *note);
/* Any bytes are safe.  NULL and *ret, whose note is copied into `a`; or what is wrong.  The note's own form is not looked at. */
const char *witness_request_parse(struct arena *a, struct bytes body, struct witness_request *ret);

/* HTTP status of each answer. */
enum witness_answer { WITNESS_COSIGN = 200, WITNESS_FORM = 400, WITNESS_SIGNATURE = 403, WITNESS_UNKNOWN = 404, WITNESS_CONFLICT = 409, WITNESS_INCONSISTENT = 422 };
struct witness_head { uint64_t size; struct digest root; };     /* the last one cosigned; {0}: none yet */

/* May the head `c`, whose log signature holds, be cosigned after `known`?  CONFLICT: the request goes on from another size than known,
 * or the log has two roots of one size. */
enum witness_answer witness_judge(const struct witness_head *known, const struct witness_request *rq, const struct checkpoint *c);
