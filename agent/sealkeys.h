/* sealkeys: the agent's X25519 seal keys: which one is published, and the secrets of those still in use.
 *
 * The first comes from the key file; later ones are made here and kept in the store under the storage key.  Each lives
 * 30 days at most and is replaced in time; a secret is kept as long as an epoch may still be wrapped to it. */
#pragma once
#include "agent/agent.h"
#include "agent/keep.h"

#define SEALKEYS_LIFE_MS (30 * DAY_MS - 3600 * 1000)
#define SEALKEYS_RENEW_MS (5 * DAY_MS)          /* before its end */

/* The secret of one of our seal keys: false if it is none of ours. */
bool sealkeys_secret(struct agent *ag, struct state s, struct arena *a, struct bytes public_key, uint8_t ret[32]);

/* Publishes a seal key where none is in force, or the one in force runs out: adds a SEAL_KEY act to the outbox.  Writer, in a group. */
int sealkeys_run(struct agent *ag, struct arena *a, struct wall_time now);
