/* market: catalog entries, grants and streams in a city, for tests of the nouns (tests/lib/city.h).
 *
 * Civil affairs provides, public health consumes.  Everything that a test may want to spoil is handed out before it is
 * signed: an entry, an intent, the rows of an epoch.  Failures end the program unless the call answers a result. */
#pragma once
#include "common/exchange/rows.h"
#include "proto/request.pb-c.h"
#include "proto/stream.pb-c.h"
#include "tests/lib/city.h"

struct market {
        struct city *c;
        struct party *civil_officer, *civil_approver, *civil_agent;
        struct party *health_officer, *health_user, *health_approver, *health_agent;
        struct party *authority_approver;
};

/* Departments, persons and agents are there (the authority has an APPROVER, too); health's agent has published a seal key. */
struct market *market_new(void);
struct market *market_of(struct city *c);       /* in a founded city with a policy of its own */
/* The same under the Zhongshan profile with other values: "key = value" lines, ended by NULL. */
struct market *market_under(const char *const *lines);
void market_free(struct market *m);             /* with its city */
void market_freep(struct market **m);

/* ---- catalog ---- */

/* 行政区划: base, geo-spatial, UNCONDITIONAL; items 1 code (key), 2 name, 3 parent, 4 level. */
Shuyi__V1__Entry *market_open_entry(struct market *m);
/* The same data as CONDITIONAL, DEPARTMENT class, items SECONDARY, one municipal document as basis. */
Shuyi__V1__Entry *market_conditional_entry(struct market *m);
struct city_result market_submit(struct market *m, const Shuyi__V1__Entry *entry, const struct digest *matter);  /* NULL: first */
struct city_result market_approve(struct market *m, const struct digest *matter, const struct digest *submit);
/* SUBMIT and APPROVE; the resource code. */
const char *market_publish(struct market *m, const Shuyi__V1__Entry *entry);
Shuyi__V1__MatterRow *market_matter(struct market *m, const struct digest *matter);

/* ---- grants ---- */

/* Items 1, 2, 3 of version 1 for "CHILD_HEALTH", all fields filled; fresh at each call. */
Shuyi__V1__Intent *market_ask(struct market *m, const char *resource);
struct city_result market_get(struct market *m, const Shuyi__V1__Intent *i);
struct city_result market_apply(struct market *m, const Shuyi__V1__Intent *i);
/* Of `n` items out of `items`; KIND_CONSENT, KIND_CONSENT_PART, KIND_REFUSE. */
Shuyi__V1__Intent *market_answer(struct market *m, const struct digest *request, const uint32_t *items, size_t n);
struct city_result market_reply(struct market *m, uint16_t kind, const Shuyi__V1__Intent *i, const Shuyi__V1__ReplyBody *body);
struct city_result market_reason(struct market *m, uint16_t kind, const struct digest *grant, const struct digest *request,
                                 uint32_t reason, const struct party *who, enum role as);
Shuyi__V1__RequestRow *market_request(struct market *m, const struct digest *request);
Shuyi__V1__GrantRow *market_grant(struct market *m, const struct digest *grant);
Shuyi__V1__SubscriptionRow *market_subscription(struct market *m, const struct digest *grant);

/* ---- streams ---- */

struct market_stream {
        const char *resource;
        struct digest id, view, key_id, head_digest;
        uint64_t head;
        uint32_t epoch;
        uint32_t items[4];
        size_t items_n;
};

struct city_result market_subscribe(struct market *m, const struct digest *grant);
/* The stream that serves the grant's view; no link yet. */
struct market_stream market_stream_of(struct market *m, const struct digest *grant);
/* A row as the grant has it, sealed to the agent's key in force. */
Shuyi__V1__AudienceRow *market_row(struct market *m, const struct digest *grant);
/* The next link as an intent.  Of a VIEW_EPOCH for these rows, with the root over them. */
Shuyi__V1__Intent *market_link(struct market *m, const struct market_stream *s);
Shuyi__V1__Intent *market_epoch_intent(struct market *m, const struct market_stream *s, Shuyi__V1__AudienceRow **rows, size_t n);
Shuyi__V1__Intent *market_update_intent(struct market *m, const struct market_stream *s, uint32_t records);
/* Send; what was accepted becomes the head of `s`. */
struct city_result market_send_epoch(struct market *m, struct market_stream *s, const Shuyi__V1__Intent *i, Shuyi__V1__AudienceRow **rows, size_t n);
struct city_result market_send(struct market *m, struct market_stream *s, uint16_t kind, const Shuyi__V1__Intent *i);
struct city_result market_epoch(struct market *m, struct market_stream *s, const struct digest *const *grants, size_t n);
struct city_result market_update(struct market *m, struct market_stream *s, uint32_t records);
/* GET, SUBSCRIBE and the first epoch. */
struct digest market_live(struct market *m, const char *resource, struct market_stream *ret);
/* A receipt for first..last, acquired now, that ends with the link of this digest. */
Shuyi__V1__DeliveryReceiptBody *market_receipt(struct market *m, uint64_t first, uint64_t last, const struct digest *last_digest);
struct city_result market_send_receipt(struct market *m, const struct digest *grant, const struct digest *stream, const Shuyi__V1__DeliveryReceiptBody *body);
