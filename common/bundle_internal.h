/* bundle_internal: what the files of the check share.  Included by bundle*.c alone. */
#pragma once
#include "common/bundle.h"
#include "common/exchange/rows.h"

/* The small state: rows by key, in the arena. */
struct bundle_rows { struct arena *a; struct effect *rows; size_t n, room; };

struct state bundle_rows_state(struct bundle_rows *r);
int bundle_rows_put(struct bundle_rows *r, struct bytes key, struct bytes value);       /* 0 or -ENOMEM */
int bundle_rows_put_row(struct bundle_rows *r, enum table table, const struct bytes *parts, size_t n, const ProtobufCMessage *row);
int bundle_rows_apply(struct bundle_rows *r, const struct effect *effects, size_t n);

struct bundle_walk {
        struct arena *a;
        const Shuyi__V1__Bundle *bundle;
        const Shuyi__V1__Anchor *anchor;        /* the caller's */
        struct bytes anchor_bytes;              /* its Anchor */
        struct bundle_rows rows;
        struct exchange *exchange;
        struct bundle_step *steps, *last;
        size_t n;
        struct bundle_step *act, *update, *epoch, *receipt;
        const char *resource;                   /* that entries name; "" */
        struct bytes matter;                    /* of the catalog version; {0} before its CAT_APPROVE */
        const struct bundle_step *approve;
        const Shuyi__V1__AudienceRow *row;
        bool receipt_holds;                     /* who signed the receipt may, and it is of this grant and stream */
        struct bundle_report *report;
        int fault;                              /* -ENOMEM sticks */
};

/* The first fault of an item counts. */
void bundle_note(struct bundle_walk *w, enum bundle_item item, enum bundle_fault fault, enum refusal code, const struct bundle_step *s, const char *detail);
/* It does not apply, unless something is wrong with it already. */
void bundle_spare(struct bundle_walk *w, enum bundle_item item);
/* An entry before `s` that stands, of that header digest; NULL. */
const struct bundle_step *bundle_find(const struct bundle_walk *w, const struct bundle_step *s, struct bytes header_digest);
/* Subject of a credential that the state holds; NULL. */
const Shuyi__V1__Subject *bundle_subject(struct bundle_walk *w, struct bytes credential);
bool bundle_is_refused(const struct bundle_step *s);

/* ---- stages, in this order ---- */
const char *bundle_form(struct bundle_walk *w);         /* NULL or what is wrong; fills steps */
void bundle_included(struct bundle_walk *w);            /* and witnessed */
void bundle_acts(struct bundle_walk *w);                /* signed and authorised: the walk */
/* One act, judged over the rows of all before it: what it does enters the rows.  Was it by the rules? */
bool bundle_act(struct bundle_walk *w, struct bundle_step *s);
bool bundle_stream(struct bundle_walk *w, struct bundle_step *s);       /* VIEW_EPOCH, UPDATE, DELIVERY_RECEIPT */
void bundle_status(struct bundle_walk *w);
void bundle_delivered(struct bundle_walk *w);
void bundle_opened(struct bundle_walk *w);
