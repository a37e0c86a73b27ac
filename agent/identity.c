/* identity: see identity.h. */
#include "agent/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/settings.h"
#include "common/artifact.h"
#include "common/envelope.h"
#include "common/macro.h"
#include "common/words.h"

static int wrong(FILE *to, const char *path, const char *what)
{
        fprintf(to, "%s: %s\n", path, what);
        return -EINVAL;
}

static int read_all(struct arena *a, int fd, size_t max, struct bytes *ret)
{
        struct stat st;
        uint8_t *p;
        size_t n = 0;

        if (fstat(fd, &st) < 0)
                return -errno;
        if ((uint64_t)st.st_size > max)
                return -EFBIG;
        p = arena_alloc(a, (size_t)st.st_size + 1);
        if (!p)
                return -ENOMEM;
        while (n < (size_t)st.st_size) {
                ssize_t r = read(fd, p + n, (size_t)st.st_size - n);

                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r == 0)
                        break;
                if (r > 0)
                        n += (size_t)r;
        }
        *ret = bytes_of(p, n);
        return 0;
}

int identity_read_file(struct arena *a, const char *path, size_t max, struct bytes *ret)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = read_all(a, fd, max, ret);
        close(fd);
        return r;
}

static int load_keys(struct identity *i, const char *path, FILE *to)
{
        struct bytes text;
        int r = identity_read_file(i->arena, path, ARTIFACT_MAX_BYTES, &text);

        if (r < 0)
                return wrong(to, path, strerror(-r));
        r = keyfile_open(text, (struct bytes){ 0 }, false, &i->keys);
        sodium_memzero((uint8_t *)text.p, text.n);
        if (r < 0)
                return wrong(to, path, "is not an open key file of an agent");
        if (i->keys.use != KEYFILE_AGENT || !i->keys.link || !i->keys.seal)
                return wrong(to, path, "is not the key file of an agent");
        crypto_scalarmult_base(i->link_key, secret_peek(i->keys.link));
        crypto_scalarmult_base(i->seal_key, secret_peek(i->keys.seal));
        return 0;
}

static int load_anchor(struct identity *i, const char *path, struct bytes signed_anchor, FILE *to)
{
        const char *why = anchor_check(i->arena, signed_anchor, &i->anchor);

        if (why)
                return wrong(to, path, why);
        if (i->anchor->n_logs == 0 || i->anchor->logs[0]->key.len != sizeof(i->log_key))
                return wrong(to, path, "the anchor names no log");
        i->anchor_bytes = signed_anchor;
        i->origin = i->anchor->logs[0]->origin;
        memcpy(i->log_key, i->anchor->logs[0]->key.data, sizeof(i->log_key));
        return 0;
}

/* The file named in the configuration, if there is one; it may renew the welcome's anchor, never lower it. */
static int load_anchor_file(struct identity *i, const char *path, FILE *to)
{
        const Shuyi__V1__Anchor *first = i->anchor;
        Shuyi__V1__SignedAnchor *s;
        struct bytes text, packed;
        const char *why;
        int r;

        if (!*path)
                return 0;
        r = identity_read_file(i->arena, path, ARTIFACT_MAX_BYTES, &text);
        if (r < 0)
                return wrong(to, path, strerror(-r));
        why = artifact_read(i->arena, ARTIFACT_ANCHOR, text, &s);
        if (why)
                return wrong(to, path, why);
        packed = message_pack(i->arena, &s->base);
        r = load_anchor(i, path, packed, to);
        if (r < 0)
                return r;
        if (strcmp(first->domain, i->anchor->domain) != 0)
                return wrong(to, path, "the anchor is of another domain");
        if (i->anchor->version < first->version)
                return wrong(to, path, "the anchor is older than the welcome file's");
        return 0;
}

static int load_credential(struct identity *i, const char *path, struct bytes signed_credential, FILE *to)
{
        Shuyi__V1__SignedCredential *s = message_parse(i->arena, &shuyi__v1__signed_credential__descriptor, signed_credential);
        Shuyi__V1__Credential *c;
        const char *why;

        if (!s)
                return wrong(to, path, "the credential is not of the exact form");
        c = message_parse(i->arena, &shuyi__v1__credential__descriptor, bytes_of(s->credential.data, s->credential.len));
        if (!c)
                return wrong(to, path, "the credential is not of the exact form");
        why = credential_check_form(c);
        if (why)
                return wrong(to, path, why);
        if (c->subject->kind != SUBJECT_AGENT)
                return wrong(to, path, "the credential is not an agent's");
        if (!bytes_equal(bytes_of(c->subject->sign_key.data, c->subject->sign_key.len), bytes_of(i->keys.sign_key, 32)) ||
            !bytes_equal(bytes_of(c->subject->link_key.data, c->subject->link_key.len), bytes_of(i->link_key, 32)))
                fprintf(to, "%s: warning: the credential is not of the keys in the key file; the broker will deny the handshake (E_UNKNOWN_AGENT, R-004)\n", path);
        i->credential = credential_id(bytes_of(s->credential.data, s->credential.len));
        memcpy(i->agent.b, c->subject->id.data, sizeof(i->agent.b));
        snprintf(i->domain, sizeof(i->domain), "%s", c->subject->domain);
        snprintf(i->department, sizeof(i->department), "%s", c->subject->department);
        return 0;
}

static int load_welcome(struct identity *i, const char *path, FILE *to)
{
        Shuyi__V1__WelcomeFile *w;
        struct bytes text;
        const char *why;
        int r = identity_read_file(i->arena, path, ARTIFACT_MAX_BYTES, &text);

        if (r < 0)
                return wrong(to, path, strerror(-r));
        why = artifact_read(i->arena, ARTIFACT_WELCOME, text, &w);
        if (why)
                return wrong(to, path, why);
        if (w->broker_link_key.len != sizeof(i->broker_key) || strlen(w->endpoint) >= sizeof(i->endpoint))
                return wrong(to, path, "address or link key of the broker is malformed");
        memcpy(i->broker_key, w->broker_link_key.data, sizeof(i->broker_key));
        snprintf(i->endpoint, sizeof(i->endpoint), "%s", w->endpoint);
        r = load_anchor(i, path, bytes_of(w->anchor.data, w->anchor.len), to);
        return r < 0 ? r : load_credential(i, path, bytes_of(w->credential.data, w->credential.len), to);
}

int identity_load(const struct config *c, FILE *to, struct identity *ret)
{
        struct identity i = { .arena = arena_new(64 * 1024 * 1024) };
        int r = i.arena ? 0 : -ENOMEM;

        if (r == 0)
                r = load_keys(&i, config_string(c, S_KEYS), to);
        if (r == 0)
                r = load_welcome(&i, config_string(c, S_WELCOME), to);
        if (r == 0)
                r = load_anchor_file(&i, config_string(c, S_ANCHOR), to);
        if (r == 0 && strcmp(i.anchor->domain, i.domain) != 0)
                r = wrong(to, config_string(c, S_WELCOME), "anchor and credential are of different domains");
        if (r == 0 && *config_string(c, S_ENDPOINT))
                snprintf(i.endpoint, sizeof(i.endpoint), "%s", config_string(c, S_ENDPOINT));
        if (r < 0) {
                identity_fini(&i);
                return r;
        }
        *ret = i;
        return 0;
}

void identity_fini(struct identity *i)
{
        keyfile_fini(&i->keys);
        arena_free(i->arena);
        *i = (struct identity){ 0 };
}
