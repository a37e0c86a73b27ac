/* city: a whole exchange without sockets or disks, to play with in tests.
 *
 * A founded city has a root (2 of 3), a broker key, the authority with its three officers and an agent, the Zhongshan
 * profile and the holiday calendar; departments, persons and agents are one line each, and so is an act:
 *
 *         struct city *c = city_founded();
 *         const struct party *zhang = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
 *         struct city_result r = city_act(c, &(struct city_act){ .kind = KIND_GET, .intent = &i, .by = { { zhang, ROLE_USER } } });
 *
 * Keys and ids come from names, so that a failure repeats.  Envelopes are built, signed, verified and applied as the broker
 * does; a fault ends the program.  Everything that a city hands out lives until city_free().  One thread. */
#pragma once
#include "common/envelope.h"
#include "common/exchange/exchange.h"
#include "common/exchange/signers.h"
#include "proto/registry.pb-c.h"
#include "tests/lib/map_state.h"

#define CITY_DOMAIN "442000"
#define CITY_AUTHORITY "11442000007331101A"     /* invented codes of the city's own form */
#define CITY_CIVIL "11442000007332040W"
#define CITY_HEALTH "1144200000733381X8"
#define CITY_TAX "11442000007334521Q"
#define CITY_START 1770861600000ull             /* Thu 2026-02-12 10:00 in Shanghai */

/* Somebody with keys. */
struct party {
        char name[32];
        char department[19];                    /* "" for roots and the broker */
        enum subject_kind kind;
        struct id id;
        uint8_t sign_key[32], sign_secret[64];
        uint8_t link_key[32], link_secret[32];
        struct digest credential;               /* for a root: id of the root key */
        struct bytes signed_credential;         /* packed SignedCredential */
        uint32_t link;                          /* agents */
        struct party *next;
};

struct city_entry {
        uint64_t epoch, seq, accepted_at;
        uint32_t link;
        uint8_t lane;
        uint64_t outbox_epoch, outbox_seq;
        struct bytes wire;
        enum refusal code;
        struct digest effects_digest;
};

#define CITY_ROOTS 3

struct city {
        struct map_state *state;
        struct exchange *exchange;
        struct wall_time now;
        struct arena *arena;                    /* what tests may build in; grows until city_free() */
        struct arena *turn;                     /* of the last apply */
        struct party *parties;
        struct party *root[CITY_ROOTS], *broker;
        struct party *sec_admin, *officer, *data_operator, *authority_agent;     /* of the authority */
        uint64_t epoch, seq;
        uint64_t ids;                           /* envelopes made */
        struct city_entry *log;
        size_t log_n, log_room;
        unsigned witnesses;                     /* that city_anchor() names, all of them asked for; parties "witness-0", ... */
        bool skip_signatures;                   /* faster; for long runs */
};

struct city_act {
        uint16_t kind;
        const Shuyi__V1__Intent *intent;        /* what differs; suite, id, kind, domain, from and times are filled where empty */
        const ProtobufCMessage *body;           /* NULL: `raw`, or none */
        struct bytes raw;
        struct { const struct party *who; enum role as; } by[ENVELOPE_SIGNATURES_MAX];
        const struct party *over;               /* the agent that carries it; NULL: the first of the first signer's department */
        bool no_link;                           /* genesis */
};

struct city_result {
        enum refusal code;
        const char *detail;
        uint64_t seq;                           /* 0: made no entry */
        struct digest digest;                   /* of the header: filing, request, grant id */
        const struct claim *claim;
        struct outcome outcome;                 /* until the next act */
};

/* Empty state: only META. */
struct city *city_new(void);
/* Genesis, policy zs, calendar. */
struct city *city_founded(void);
void city_free(struct city *c);
void city_freep(struct city **c);

/* Keys by name, known to nobody yet. */
struct party *city_party(struct city *c, const char *name, const char *department, enum subject_kind kind);
/* One with that name; fails the program if there is none. */
struct party *city_find(struct city *c, const char *name);

/* ---- acts ---- */

struct bytes city_envelope(struct city *c, const struct city_act *act);         /* built and signed, not sent */
struct city_result city_act(struct city *c, const struct city_act *act);
/* The bytes over the link of `over` (NULL: link 0), with the lane's next number. */
struct city_result city_put(struct city *c, struct bytes wire, const struct party *over);
/* With a number of one's own. */
struct city_result city_put_as(struct city *c, struct bytes wire, uint32_t link, uint8_t lane, uint64_t outbox_epoch, uint64_t outbox_seq);
/* As city_act, and the program ends unless it is accepted. */
struct city_result city_must(struct city *c, const struct city_act *act);

/* What the sequencer makes of itself. */
struct city_result city_system(struct city *c, uint16_t kind, const ProtobufCMessage *body);
void city_trust_head(struct city *c);
void city_pass(struct city *c, uint64_t ms);            /* only the clock moves */
unsigned city_tick(struct city *c);                     /* TICKs until none is due; answers how many */

/* ---- foundations, each as envelopes ---- */

void city_anchor(struct city *c);
void city_broker_credential(struct city *c);
/* Root signs the department with its first officer "<name>-officer" and agent "<name>-agent". */
void city_department(struct city *c, const char *code, const char *name);
void city_publish(struct city *c, const char *policy_path);     /* policy (NULL: zs) and calendar by SEC_ADMIN and DATA_OPERATOR */
struct bytes city_file(struct city *c, const char *path);       /* of the source tree */
struct bytes city_policy(struct city *c, const char *path);     /* canonical form of a profile */

/* FILE by the department's officer, ACCEPT by SEC_ADMIN.  roles: numbers ended by 0. */
struct party *city_hire(struct city *c, const char *department, const char *name, ...);
/* The same for another key of a person who is known already. */
struct party *city_hire_again(struct city *c, const struct party *person, const char *name, const char *department, ...);
struct party *city_join(struct city *c, const char *department, const char *name);      /* one more agent */
void city_revoke(struct city *c, const struct party *who);                              /* by SEC_ADMIN, CEASED */

/* ---- the pieces of it, for tests that go wrong on purpose ---- */

Shuyi__V1__KeyRequest *city_key_request(struct city *c, const struct party *p);
/* Credential of `p`, issued by `issuer` (root, or a person with may_issue). */
Shuyi__V1__Credential *city_credential(struct city *c, const struct party *p, const uint32_t *roles, size_t n, const struct party *issuer);
/* Signs it and notes its id at `p`. */
Shuyi__V1__SignedCredential *city_sign_credential(struct city *c, struct party *p, const Shuyi__V1__Credential *cred, const struct party *issuer);
Shuyi__V1__Staff *city_staff(struct city *c, const char *name, const uint32_t *roles, size_t n);
Shuyi__V1__FileBody *city_file_body(struct city *c, const struct party *p, const uint32_t *roles, size_t n);
struct city_result city_file_staff(struct city *c, const struct party *officer, const Shuyi__V1__FileBody *body);
struct city_result city_accept(struct city *c, const struct digest *filing, const Shuyi__V1__SignedCredential *s);

/* ---- looking ---- */

/* A row, decoded in c->arena; NULL if there is none. */
void *city_row(struct city *c, enum table table, const ProtobufCMessageDescriptor *d, const struct bytes *parts, size_t n);
#define CITY_ROW(c, table, d, ...) city_row((c), (table), (d), (const struct bytes[]){ __VA_ARGS__ }, \
                                            sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
size_t city_count(struct city *c, enum table table);    /* rows of a table */
struct digest city_digest(const struct city *c);
/* Applies the log to an empty state; the digest that comes out.  Outcomes and effects digests must agree. */
struct digest city_replay(const struct city *c);
