/* turn: one evaluation of apply, as the nouns see it.
 *
 * A turn reads through its own effects first, then the state, so that rows fired in front of an event are seen by
 * it.  Every row function takes a turn, checks all guards, and only then writes.  Lives in the entry's arena. */
#pragma once
#include "common/calendar.h"
#include "common/exchange/exchange.h"
#include "common/policy.h"

struct turn {
        struct exchange *exchange;
        struct state state;
        const struct entry *entry;
        const struct claim *claim;              /* entry->claim */
        const Shuyi__V1__Intent *intent;
        struct arena *arena;
        struct wall_time now;                   /* entry->accepted_at, or the due_end of a row that is fired in front */
        Shuyi__V1__MetaRow *meta;               /* decoded once; written back by apply at the end */
        const struct policy *policy;            /* in force; NULL before the first POLICY_SET */
        struct digest policy_digest;
        const struct calendar *calendar;        /* NULL before the first CALENDAR_SET */
        struct effects *effects;
        bool replica;                           /* an agent judges over its copy: no links and no clocks there (trust.h) */
        int fault;                              /* first negative errno; sticky: every later call answers it */
        char detail[512];
        /* Who signed, resolved against the registry: same order as claim->signers. */
        struct actor {
                const Shuyi__V1__Credential *credential;
                enum role capacity;
                const char *department;         /* "" for ROOT and SYSTEM */
                struct id subject;              /* person_id or agent_id */
                bool authority;                 /* of the domain's authority */
                bool suspended;                 /* the credential or the department */
        } actors[ENVELOPE_SIGNATURES_MAX];
        unsigned actors_n;
};

/* Keys of rows: the table's byte and the parts, in the arena. */
struct bytes turn_key(struct turn *t, enum table table, const struct bytes *parts, size_t n);
#define TURN_KEY(t, table, ...) turn_key((t), (table), (const struct bytes[]){ __VA_ARGS__ }, \
                                         sizeof((const struct bytes[]){ __VA_ARGS__ }) / sizeof(struct bytes))
struct bytes turn_u64(struct turn *t, uint64_t v);      /* big-endian key parts, in the arena */
struct bytes turn_u32(struct turn *t, uint32_t v);
struct bytes turn_u8(struct turn *t, uint8_t v);
bool turn_get(struct turn *t, struct bytes key, struct bytes *ret);     /* false: none, or fault */
/* Reads a row: the decoded message in the arena, or NULL if there is none (or a fault: see turn->fault). */
void *turn_get_row(struct turn *t, struct bytes key, const ProtobufCMessageDescriptor *d);
/* The first row with key >= `from` that begins with `prefix`.  What it hands out is good until the entry is done. */
bool turn_next(struct turn *t, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value);
struct bytes turn_after(struct turn *t, struct bytes key);      /* the smallest key greater than `key`, to go on from */

/* Writes: become effects.  The last write of a key counts.  Bounds are checked by apply (E_BOUND). */
void turn_put(struct turn *t, struct bytes key, struct bytes value);
void turn_put_row(struct turn *t, struct bytes key, const ProtobufCMessage *row);
void turn_remove(struct turn *t, struct bytes key);

/* What else an entry does. */
void turn_trust(struct turn *t, enum trust_kind kind, struct bytes object, enum trust_status status);   /* a trust record */
void turn_notice(struct turn *t, const char *department, enum notice notice);  /* a feed row for a department */
void turn_wake(struct turn *t, enum wake_kind kind, struct bytes key);
void turn_clock_start(struct turn *t, enum clock clock, struct bytes object, struct wall_time base, uint32_t working_days);
void turn_clock_start_at(struct turn *t, enum clock clock, struct bytes object, struct wall_time due_end);
void turn_clock_stop(struct turn *t, enum clock clock, struct bytes object);
void turn_fact(struct turn *t, enum clock clock, struct bytes object, const char *department, const char *violation);

/* Fires what is already due on `object`, in due order, each with now = its due_end: for acts on one object that move
 * another (apply itself does it for intent.request, .grant and .object before load). */
void turn_fire_due(struct turn *t, struct bytes object);
/* What a trust record, and the trust map, call an object: 32 bytes stand for themselves (credential, grant, header digest);
 * anything else (department code, agent_id, version u32 | resource) is digested with its kind. */
struct digest turn_trust_object(enum trust_kind kind, struct bytes object);

/* Refuses with a detail: `return turn_refuse(t, G_FIELD, "purpose");`.  turn_detail adds one more, comma-separated. */
enum refusal turn_refuse(struct turn *t, enum refusal code, const char *detail);
void turn_detail(struct turn *t, const char *detail);

/* ---- rules as tables (STYLE 5) ---- */

/* Who must have signed, in order; resolved by signers.c.  Parties: whose department. */
enum by {
        BY_NOBODY,
        BY_ROOT,                        /* the root's threshold */
        BY_SYSTEM,
        BY_AGENT,                       /* the agent of the link, capacity AGENT */
        BY_OFFICER,                     /* DATA_OFFICER of the acting department */
        BY_OFFICER_APPROVER,            /* DATA_OFFICER, then APPROVER (then DEPT_HEAD under HEAD_APPROVAL) of the provider */
        BY_USER_APPROVER,               /* USER, then APPROVER (SHARING_HEAD by the profile) of the consumer */
        BY_APPROVER,                    /* one APPROVER of the acting department */
        BY_DECIDER,                     /* handler and approver as cond_decider and 6.12 say */
        BY_SEC_ADMIN,                   /* AUTHORITY */
        BY_OPERATOR,                    /* AUTHORITY DATA_OPERATOR */
        BY_AUTHORITY,                   /* any AUTHORITY person entitled to the row */
        BY_TWO_AUTHORITY,               /* two AUTHORITY persons */
        BY_SEC_ADMIN_AND_OPERATOR,      /* first POLICY_SET and CALENDAR_SET */
        BY_OPERATOR_AND_AUDITOR,        /* AUTHORITY DATA_OPERATOR, then AUDIT_OFFICER */
        BY_OFFICER_OR_SEC_ADMIN,
        BY_SUSPENDER,                   /* AUTHORITY SEC_ADMIN, or the provider's APPROVER */
};

/* A guard answers ACCEPTED or its refusal; an effect writes.  `matter` is what the act's load() found. */
typedef enum refusal (*guard_fn)(struct turn *t, void *matter);
typedef void (*effect_fn)(struct turn *t, void *matter);

#define IN(state) (1u << (state))
#define IN_NONE 1u                      /* "-": the object does not exist yet */
#define RULE_GUARDS_MAX 12

struct rule {
        uint32_t in;                    /* states, IN(…) | IN(…) */
        uint16_t event;                 /* kind number */
        enum by by;
        guard_fn guards[RULE_GUARDS_MAX];       /* in the order of 6.13, ended by NULL */
        uint8_t becomes;                /* 0: unchanged */
        effect_fn effect;
        const char *row, *law;
        bool later;                     /* the row exists, its act comes later: E_NOT_YET */
};

/* One noun: how to find what an act is about, and its rows. */
struct machine {
        const char *name;               /* "SM-REQ" */
        /* Finds the object of the act; E_NOT_FOUND, or ACCEPTED with *ret_matter and *ret_state (0 where none exists yet). */
        enum refusal (*load)(struct turn *t, void **ret_matter, unsigned *ret_state);
        /* Optional: check 9 of 6.13, E_FROZEN. */
        enum refusal (*frozen)(struct turn *t, void *matter);
        /* Writes the object back with its new state. */
        void (*store)(struct turn *t, void *matter, unsigned state);
        const struct rule *rules;
        size_t rules_n;
        /* What happens when one of its clocks runs out (rows of SYSTEM). */
        void (*expire)(struct turn *t, enum clock clock, struct bytes object);
        const enum clock *clocks;
        size_t clocks_n;
};

extern const struct machine machine_registry;   /* ANCHOR CREDENTIAL DEPARTMENT SEAL_KEY */
extern const struct machine machine_staff;      /* SM-STAFF */
extern const struct machine machine_settings;   /* POLICY_SET CALENDAR_SET CLOCK */
extern const struct machine machine_purge;      /* PURGE */
extern const struct machine machine_catalog;    /* SM-CAT */
extern const struct machine machine_direct;     /* SM-DIRECT */
extern const struct machine machine_request;    /* SM-REQ */
extern const struct machine machine_grant;      /* SM-GRANT */
extern const struct machine machine_stream;     /* SUBSCRIBE DELIVERY_RECEIPT VIEW_EPOCH UPDATE NO_CHANGE STREAM_HEAD */
extern const struct machine machine_system;     /* TICK TRUST_HEAD REFUSED HANDOVER OUTAGE ENGINE EPOCH */
