/* stream: what the files of the stream machine share: its links, subscriptions and delivery receipts (DESIGN 6).
 *
 * A stream is one chain of links; apply takes exactly head + 1.  Its rows are few and constant in number for each link:
 * the stream, the place of the link, and at a VIEW_EPOCH one subscription for each of a bounded audience.  Inside the
 * exchange library only. */
#pragma once
#include "common/exchange/rows.h"
#include "proto/stream.pb-c.h"

#define AUDIENCE_MAX 256
#define UPDATE_RECORDS_MAX 256
#define RECEIPT_LINKS_MAX 256
#define STREAM_RUNNING 1u               /* the one state of a stream that exists */

/* One consumer of an epoch. */
struct listener {
        struct bytes grant_id;
        const Shuyi__V1__AudienceRow *row;      /* VIEW_EPOCH only */
        Shuyi__V1__GrantRow *grant;
        Shuyi__V1__SubscriptionRow *sub;        /* read where it is needed; NULL: not read */
};

struct stream_act {
        struct rows rows;
        struct bytes id;                        /* stream id; empty for a subscription that never was LIVE */
        Shuyi__V1__StreamRow *stream;           /* NULL: none yet */
        Shuyi__V1__VersionRow *version;         /* VIEW_EPOCH only */
        struct listener *audience;              /* of the open epoch (UPDATE), or of the one that begins (VIEW_EPOCH) */
        size_t audience_n;
        struct bytes grant_id;                  /* SUBSCRIBE, DELIVERY_RECEIPT */
        Shuyi__V1__GrantRow *grant;
        Shuyi__V1__SubscriptionRow *sub;
        bool stopped;                           /* the receipt carried a NACK */
};

/* Detail of a refusal about one consumer: "grant=<hex>". */
enum refusal stream_refuse_grant(struct turn *t, enum refusal code, struct bytes grant);

/* Are the consumer's user, approver and receiving agent of this grant in force at t->now? */
bool listener_in_force(struct turn *t, struct rows *rows, const Shuyi__V1__GrantRow *grant);

/* Records that count against the grant's rate today. */
uint64_t listener_count(const Shuyi__V1__StreamRow *stream, const Shuyi__V1__SubscriptionRow *sub, uint32_t today);

/* What it heard today is settled in its row, when it stops hearing. */
void listener_settle(struct turn *t, const Shuyi__V1__StreamRow *stream, Shuyi__V1__SubscriptionRow *sub);

/* The link just accepted becomes the head: stream row, place of the link, wake. */
void stream_advance(struct turn *t, struct stream_act *s);

/* Reads the audience of the open epoch: grants, and subscriptions where the stream has a rate.  E_STALE_EPOCH,
 * E_SUSPENDED where all of it waits, or ACCEPTED. */
enum refusal update_load(struct turn *t, struct stream_act *s);
enum refusal view_epoch_load(struct turn *t, struct stream_act *s);

/* Guards and effects of the rows, for the table in stream.c. */
enum refusal guard_epoch_fields(struct turn *t, void *matter);
enum refusal guard_epoch_secrecy(struct turn *t, void *matter);
enum refusal guard_epoch_rows(struct turn *t, void *matter);
void view_epoch_apply(struct turn *t, void *matter);

enum refusal guard_update_fields(struct turn *t, void *matter);
enum refusal guard_update_secrecy(struct turn *t, void *matter);
enum refusal guard_update_items(struct turn *t, void *matter);
enum refusal guard_update_method(struct turn *t, void *matter);
enum refusal guard_update_medium(struct turn *t, void *matter);
enum refusal guard_update_purpose(struct turn *t, void *matter);
enum refusal guard_update_period(struct turn *t, void *matter);
enum refusal guard_update_rate(struct turn *t, void *matter);
enum refusal guard_update_filter(struct turn *t, void *matter);
enum refusal guard_update_mask(struct turn *t, void *matter);
void update_apply(struct turn *t, void *matter);

enum refusal guard_receipt_fields(struct turn *t, void *matter);
enum refusal guard_receipt_range(struct turn *t, void *matter);
enum refusal guard_receipt_digest(struct turn *t, void *matter);
enum refusal guard_receipt_times(struct turn *t, void *matter);
void receipt_apply(struct turn *t, void *matter);
