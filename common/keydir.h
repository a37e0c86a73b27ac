/* keydir: the directory of keys that verify workers and ZAP read.
 *
 * An immutable snapshot of credentials, root keys and links, built by the sequencer from the state whenever a
 * group changed it, and swapped before that group's answers leave.  Reference counted; any thread may
 * hold one. */
#pragma once
#include "common/bytes.h"
#include "common/envelope.h"

struct keydir;

struct keydir_link {
        uint32_t link;                  /* link number of the state */
        struct id agent;
        char department[19];
        struct digest credential;
        uint8_t sign_key[32];
        uint8_t link_key[32];           /* CURVE public key */
        bool revoked;
};

struct keydir_builder;
struct keydir_builder *keydir_builder_new(void);
void keydir_builder_free(struct keydir_builder *b);     /* NULL is fine */
/* 0 or -ENOMEM. */
int keydir_add_credential(struct keydir_builder *b, const struct digest *id, uint32_t suite, const uint8_t sign_key[32], const char *department);
int keydir_add_root(struct keydir_builder *b, const struct digest *id, uint32_t suite, const uint8_t key[32]);
int keydir_add_link(struct keydir_builder *b, const struct keydir_link *link);
/* Consumes the builder.  One reference for the caller. */
struct keydir *keydir_build(struct keydir_builder *b);

struct keydir *keydir_ref(struct keydir *d);
void keydir_unref(struct keydir *d);            /* NULL is fine */
struct key_source keydir_keys(const struct keydir *d);  /* valid while a reference is held */
const struct keydir_link *keydir_find_link(const struct keydir *d, const uint8_t link_key[32]);
const struct keydir_link *keydir_link_at(const struct keydir *d, uint32_t link);
/* Department of a credential; NULL if unknown. */
const char *keydir_department(const struct keydir *d, const struct digest *credential);

/* The place from which readers take the current one. */
struct keydir_slot;
struct keydir_slot *keydir_slot_new(void);
void keydir_slot_free(struct keydir_slot *s);
void keydir_slot_set(struct keydir_slot *s, struct keydir *d);  /* takes the reference */
struct keydir *keydir_slot_get(struct keydir_slot *s);          /* a new reference; NULL before the first set */
