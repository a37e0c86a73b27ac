/* act: from what a person wants to a signed envelope at the agent.
 *
 * The text that is shown before signing is made from the very bytes that are signed.  An act that one person can complete
 * goes to the agent at once; one that needs a second signature becomes a draft there, which any workstation of the
 * department can show, complete and send (REGULATIONS 6.12). */
#pragma once
#include "agent/cli/cli.h"
#include "agent/cli/signer.h"
#include "common/envelope.h"
#include "common/times.h"

#define ACT_OPTIONS \
        SIGNER_OPTIONS, \
        { "as", "ROLE", "capacity to sign in, where the act allows several", false }, \
        { "wait", "SECONDS", "how long to wait for the center's receipt (default 20)", false }

struct act {
        struct cli *c;
        Shuyi__V1__Intent intent;               /* filled by act_begin: suite, id, kind, domain, from, times */
        const ProtobufCMessage *body;           /* NULL: none */
};

/* Starts an act of `kind` by a person of the agent's department.  0, or an exit code after a message. */
int act_begin(struct cli *c, enum kind_number kind, struct act *ret);
/* Shows, asks, signs, then sends or leaves a draft; prints how it ended and answers the exit code. */
int act_finish(struct act *a);

/* One more signature on a draft's bytes, and on if that completes it.  The agent lets the draft go when it keeps the act: one that it refuses
 * at once (the wrong person signed) is still there for the right one. */
int act_sign_draft(struct cli *c, struct bytes wire);
/* Sends a complete envelope and waits for its receipt. */
int act_send(struct cli *c, struct bytes wire);
/* Shows an envelope as people read it. */
int act_show(struct cli *c, struct bytes wire, FILE *out);

/* Credential id of a key, as the agent's directory has it, and when it ends (may be NULL).  An exit code. */
int act_credential(struct cli *c, const struct keyfile *key, struct digest *ret, struct wall_time *ret_not_after);

/* Operands: exactly n bytes of hex, or "RESOURCE" such as 300001/1.  0, or -1 after a message. */
int act_hex(struct cli *c, const char *text, const char *what, size_t n, ProtobufCBinaryData *ret);
/* "1,2,5-7" as ascending numbers. */
int act_numbers(struct cli *c, const char *text, uint32_t **ret, size_t *ret_n);
/* "YYYY-MM-DD" as 00:00 Shanghai. 0 where text is NULL. */
int act_day(struct cli *c, const char *text, uint64_t *ret_ms);
