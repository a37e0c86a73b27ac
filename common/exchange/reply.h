/* reply: what a CONSENT, CONSENT_PART or REFUSE must give as reasons and basis (REGULATIONS 6.2).
 *
 * Without one of the legal grounds a department may not refuse (ZS 20(4)): each reason code says what counts as its
 * basis.  A REFUSE that has none is no reply at all, so silence goes on.  Pure. */
#pragma once
#include "common/exchange/rows.h"
#include "common/policy.h"
#include "proto/request.pb-c.h"

struct reply {
        struct arena *arena;
        const struct policy *policy;
        const Shuyi__V1__Entry *entry;
        const Shuyi__V1__RequestRow *request;
        const Shuyi__V1__Intent *intent;
        const Shuyi__V1__ReplyBody *body;
        const char *detail;                     /* what the refusal is about */
};

/* Refused items of a CONSENT_PART: every asked item that is not granted, each once, ascending; none in a CONSENT. */
enum refusal reply_check_items(struct reply *r);
/* G_REASON: a code is missing or not allowed in this event under this profile. */
enum refusal reply_check_reasons(struct reply *r);
/* G_BASIS: a reason without what it must rest on, where the profile asks for a basis. */
enum refusal reply_check_basis(struct reply *r);
