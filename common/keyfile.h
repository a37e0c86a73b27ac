/* keyfile: the file in which a person, an agent, a root or a broker keeps its secret keys.
 *
 * People's and roots' keys are sealed with a passphrase: Argon2id, then XChaCha20-Poly1305, the associated data
 * being all of the file that stands outside the seal.  Agents and brokers start without anybody at hand, so
 * theirs may be open; the shell then keeps the file at mode 0600 and refuses one that others can read.
 * The form is fixed in width (PROTOCOL.md, key file).  Pure: text in, text out; salt and nonce are the caller's. */
#pragma once
#include "common/arena.h"
#include "common/bytes.h"
#include "common/secret.h"

enum keyfile_use { KEYFILE_PERSON = 1, KEYFILE_AGENT = 2, KEYFILE_BROKER = 3, KEYFILE_ROOT = 4, KEYFILE_LOG = 5, KEYFILE_WITNESS = 6 };
enum keyfile_protection {
        KEYFILE_OPEN = 0,               /* no passphrase: agents, brokers, logs and witnesses only */
        KEYFILE_SEALED = 1,             /* Argon2id at least 3 passes over 256 MiB */
        KEYFILE_SEALED_DEMO = 2,        /* 2 passes over 64 MiB: opened only by who says that demo keys will do */
};

/* sign: 64 bytes, always there.  link and seal: 32 bytes, X25519, NULL where the use has none. */
struct keyfile {
        enum keyfile_use use;
        uint8_t sign_key[32];           /* public half of `sign` */
        struct secret *sign, *link, *seal;
};

#define KEYFILE_RANDOM_BYTES 40         /* salt 16, nonce 24 */

void keyfile_fini(struct keyfile *k);   /* frees the secrets; {0} is fine */

/* 0 and the file's text in `a`.  `passphrase` is empty exactly where `p` is KEYFILE_OPEN.
 * -EINVAL: passphrase missing, or an open file of a person or root; -ENOMEM. */
int keyfile_seal(struct arena *a, const struct keyfile *k, enum keyfile_protection p, struct bytes passphrase,
                 const uint8_t random[KEYFILE_RANDOM_BYTES], struct bytes *ret);
/* 0 and *ret, to be given to keyfile_fini.  -EBADMSG: not exactly a key file; -EKEYREJECTED: the passphrase does not open it;
 * -EPERM: weaker than allowed (a demo key without `allow_demo`); -ENOMEM.  Any bytes are safe, and the work a
 * file can ask for is bounded (16 passes, 1 GiB). */
int keyfile_open(struct bytes text, struct bytes passphrase, bool allow_demo, struct keyfile *ret);
/* What can be seen without the passphrase: false if it is not a key file. */
bool keyfile_peek(struct bytes text, enum keyfile_use *ret_use, enum keyfile_protection *ret_protection, uint8_t ret_sign_key[32]);
