/* vault: what the agent's store holds of values and keys is encrypted under a storage key of this machine.
 *
 * The key is a file of its own in the state directory (mode 0600), made at the first start, so that it outlives a
 * renewal of the agent's keys; whoever copies the database alone reads nothing.  XChaCha20-Poly1305, a random
 * nonce in front; the associated data says what the bytes are, so that they cannot be moved.  Any thread. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"

#define VAULT_OVERHEAD 40                       /* nonce 24, tag 16 */

struct vault;

/* Opens `dir`/storage.key; absent, it is made where `make` is true.  -ENOKEY: it is not there, and what the store holds needs it;
 * -EPERM: others can read it; -EBADMSG: not 32 bytes. */
int vault_open(const char *dir, bool make, struct vault **ret);
/* A key that lives in memory only, for tests. */
int vault_new(const uint8_t key[32], struct vault **ret);
void vault_close(struct vault *v);              /* NULL is fine */

/* `ret` holds plain.n + VAULT_OVERHEAD. */
void vault_seal(const struct vault *v, struct bytes what, struct bytes plain, uint8_t *ret);
/* {0} when `a` is full. */
struct bytes vault_seal_in(const struct vault *v, struct arena *a, struct bytes what, struct bytes plain);
/* The plaintext in `a`; false if it does not open or `a` is full. */
bool vault_unseal(const struct vault *v, struct arena *a, struct bytes what, struct bytes sealed, struct bytes *ret);
