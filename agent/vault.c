/* vault: see vault.h. */
#include "agent/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/secret.h"

#define NONCE 24

struct vault { struct secret *key; };

int vault_new(const uint8_t key[32], struct vault **ret)
{
        struct vault *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        v->key = secret_copy(bytes_of(key, 32));
        if (!v->key) {
                free(v);
                return -ENOMEM;
        }
        *ret = v;
        return 0;
}

void vault_close(struct vault *v)
{
        if (!v)
                return;
        secret_free(v->key);
        free(v);
}

/* It stands under its name whole, or not at all. */
static int make_key(const char *dir, const char *path, uint8_t key[32])
{
        char part[4096 + 8];
        int dirfd, fd, r = 0;

        snprintf(part, sizeof(part), "%s.part", path);
        if (unlink(part) < 0 && errno != ENOENT)
                return -errno;
        fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        randombytes_buf(key, 32);
        if (write(fd, key, 32) != 32 || fsync(fd) < 0)
                r = -EIO;
        close(fd);
        if (r == 0 && rename(part, path) < 0)
                r = -errno;
        dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dirfd < 0 || fsync(dirfd) < 0)
                r = r ? r : -errno;
        if (dirfd >= 0)
                close(dirfd);
        return r;
}

static int read_key(int fd, uint8_t key[32])
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
                return -EPERM;
        if (st.st_size != 32 || read(fd, key, 32) != 32)
                return -EBADMSG;
        return 0;
}

int vault_open(const char *dir, bool make, struct vault **ret)
{
        char path[4096];
        uint8_t key[32];
        int fd, r;

        if (snprintf(path, sizeof(path), "%s/storage.key", dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
                r = read_key(fd, key);
                close(fd);
        } else {
                r = errno != ENOENT ? -errno : make ? make_key(dir, path, key) : -ENOKEY;
        }
        if (r == 0)
                r = vault_new(key, ret);
        sodium_memzero(key, sizeof(key));
        return r;
}

static struct digest associated(struct bytes what)
{
        return DIGEST_OF(CTX_STORAGE, what);
}

void vault_seal(const struct vault *v, struct bytes what, struct bytes plain, uint8_t *ret)
{
        struct digest ad = associated(what);
        unsigned long long n;

        randombytes_buf(ret, NONCE);
        crypto_aead_xchacha20poly1305_ietf_encrypt(ret + NONCE, &n, plain.p, plain.n, ad.b, sizeof(ad.b), NULL, ret, secret_peek(v->key));
}

struct bytes vault_seal_in(const struct vault *v, struct arena *a, struct bytes what, struct bytes plain)
{
        uint8_t *out = arena_alloc(a, plain.n + VAULT_OVERHEAD);

        if (!out)
                return (struct bytes){ 0 };
        vault_seal(v, what, plain, out);
        return bytes_of(out, plain.n + VAULT_OVERHEAD);
}

bool vault_unseal(const struct vault *v, struct arena *a, struct bytes what, struct bytes sealed, struct bytes *ret)
{
        struct digest ad = associated(what);
        unsigned long long n;
        uint8_t *out;

        if (sealed.n < VAULT_OVERHEAD)
                return false;
        out = arena_alloc(a, sealed.n - VAULT_OVERHEAD + 1);
        if (!out)
                return false;
        if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, &n, NULL, sealed.p + NONCE, sealed.n - NONCE, ad.b, sizeof(ad.b), sealed.p,
                                                       secret_peek(v->key)) != 0)
                return false;
        *ret = bytes_of(out, (size_t)n);
        return true;
}
