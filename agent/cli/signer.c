/* signer: opens and makes key files, and the join files that ask for a credential. */
#include "agent/cli/signer.h"
#include "agent/cli/file.h"
#include "common/artifact.h"
#include "common/credential.h"
#include "common/macro.h"
#include "common/times.h"
#include "common/words.h"
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSPHRASE_MAX 256
#define PASSPHRASE_MIN 10

static bool demo_keys(const struct cli *c)
{
        const char *env = getenv("SHUYI_DEMO_KEYS");

        return cli_switch(c, "demo-keys") || (env && strcmp(env, "1") == 0);
}

static volatile sig_atomic_t caught;

static void catch(int number) { caught = number; }

/* Reads one line from the terminal without showing it; whoever gives up with Ctrl-C gets the terminal back as it was. */
static int ask(const char *prompt, struct secret *into, size_t *ret_n)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
        struct sigaction before[ELEMENTS(signals)], note = { .sa_handler = catch };
        struct termios old, quiet;
        FILE *tty = fopen("/dev/tty", "r+");

        if (!tty || tcgetattr(fileno(tty), &old) < 0) {
                if (tty)
                        fclose(tty);
                cli_error("no terminal to ask for the passphrase: give --passphrase-file");
                return -1;
        }
        quiet = old;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        setvbuf(tty, NULL, _IONBF, 0);
        for (size_t i = 0; i < ELEMENTS(signals); i++)
                sigaction(signals[i], &note, &before[i]);
        fputs(prompt, tty);
        tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
        char *line = fgets((char *)secret_bytes(into), PASSPHRASE_MAX, tty);
        tcsetattr(fileno(tty), TCSAFLUSH, &old);
        fputc('\n', tty);
        fclose(tty);
        for (size_t i = 0; i < ELEMENTS(signals); i++)
                sigaction(signals[i], &before[i], NULL);
        if (caught)
                raise(caught);
        *ret_n = line ? strcspn(line, "\n") : 0;
        return line ? 0 : -1;
}

static int read_passphrase_file(const char *path, struct secret *into, size_t *ret_n)
{
        FILE *f = fopen(path, "r");

        if (!f) {
                cli_error("%s: %s", path, strerror(errno));
                return -1;
        }
        setvbuf(f, NULL, _IONBF, 0);
        char *line = fgets((char *)secret_bytes(into), PASSPHRASE_MAX, f);
        fclose(f);
        *ret_n = line ? strcspn(line, "\n") : 0;
        if (*ret_n == 0)
                cli_error("%s: its first line is empty", path);
        return *ret_n ? 0 : -1;
}

/* NULL after a message.  `again`: a new passphrase, asked for twice. */
static struct secret *passphrase(struct cli *c, bool again, size_t *ret_n)
{
        _cleanup_(secret_freep) struct secret *first = secret_new(PASSPHRASE_MAX), *second = secret_new(PASSPHRASE_MAX);
        const char *path = cli_option(c, "passphrase-file");
        size_t n;

        path = path ? path : getenv("SHUYI_PASSPHRASE_FILE");
        if (!first || !second) {
                cli_error("out of memory");
                return NULL;
        }
        bool from_file = path && *path;
        if ((from_file ? read_passphrase_file(path, first, ret_n) : ask("Passphrase: ", first, ret_n)) < 0)
                return NULL;
        if (again && *ret_n < PASSPHRASE_MIN && !(from_file && demo_keys(c))) {
                cli_error("a passphrase has at least %d bytes", PASSPHRASE_MIN);
                return NULL;
        }
        if (from_file || !again)
                return TAKE(first);
        if (ask("Once more: ", second, &n) < 0 || n != *ret_n || !secret_equal(first, second)) {
                cli_error("the two differ");
                return NULL;
        }
        return TAKE(first);
}

int signer_open(struct cli *c, const char *path, struct keyfile *ret)
{
        struct bytes text;
        enum keyfile_use use;
        enum keyfile_protection protection;
        uint8_t key[32];
        size_t n = 0;
        _cleanup_(secret_freep) struct secret *phrase = NULL;

        if (file_read(c, path, &text) < 0)
                return -1;
        if (!keyfile_peek(text, &use, &protection, key)) {
                cli_error("%s is not a key file", path);
                return -1;
        }
        if (protection != KEYFILE_OPEN && !(phrase = passphrase(c, false, &n)))
                return -1;
        int r = keyfile_open(text, phrase ? bytes_of(secret_peek(phrase), n) : (struct bytes){ 0 }, demo_keys(c), ret);
        sodium_memzero((void *)text.p, text.n);
        if (r < 0)
                cli_error("%s: %s", path, r == -EKEYREJECTED ? "the passphrase does not open it" :
                          r == -EPERM ? "it is sealed too weakly: --demo-keys opens it, for demonstrations only" :
                          r == -EBADMSG ? "damaged" : strerror(-r));
        return r < 0 ? -1 : 0;
}

/* A fresh X25519 secret, as CURVE and crypto_box use it. */
static struct secret *box_secret(void)
{
        struct secret *s = secret_new(crypto_box_SECRETKEYBYTES);
        uint8_t public[crypto_box_PUBLICKEYBYTES];

        if (s)
                crypto_box_keypair(public, secret_bytes(s));
        return s;
}

int signer_make(struct cli *c, const char *path, enum keyfile_use use, struct keyfile *ret)
{
        bool open = use == KEYFILE_AGENT || use == KEYFILE_BROKER || use == KEYFILE_LOG || use == KEYFILE_WITNESS;
        enum keyfile_protection protection = open ? KEYFILE_OPEN : demo_keys(c) ? KEYFILE_SEALED_DEMO : KEYFILE_SEALED;
        struct keyfile k = { .use = use, .sign = secret_new(crypto_sign_SECRETKEYBYTES) };
        _cleanup_(secret_freep) struct secret *phrase = NULL;
        uint8_t random[KEYFILE_RANDOM_BYTES];
        struct bytes text = { 0 };
        size_t n = 0;

        if (use == KEYFILE_AGENT || use == KEYFILE_BROKER)
                k.link = box_secret();
        if (use == KEYFILE_AGENT)
                k.seal = box_secret();
        if (!k.sign || (open ? false : !(phrase = passphrase(c, true, &n)))) {
                keyfile_fini(&k);
                return -1;
        }
        crypto_sign_keypair(k.sign_key, secret_bytes(k.sign));
        randombytes_buf(random, sizeof random);
        int r = keyfile_seal(c->arena, &k, protection, phrase ? bytes_of(secret_peek(phrase), n) : (struct bytes){ 0 }, random, &text);
        if (r < 0)
                cli_error("%s: %s", path, strerror(-r));
        if (r < 0 || file_write(c, path, text, 0600, false) < 0) {
                keyfile_fini(&k);
                return -1;
        }
        sodium_memzero((void *)text.p, text.n);
        *ret = k;
        return 0;
}

static ProtobufCBinaryData binary(const void *p, size_t n) { return (ProtobufCBinaryData){ n, (uint8_t *)p }; }

int signer_write_join(struct cli *c, const struct keyfile *k, const char *path, const char *domain, const char *department,
                      const struct id *agent_id, const char *label)
{
        Shuyi__V1__KeyRequest request = SHUYI__V1__KEY_REQUEST__INIT;
        Shuyi__V1__JoinFile join = SHUYI__V1__JOIN_FILE__INIT;
        uint8_t signature[64], link_key[32];
        char fingerprint[FINGERPRINT_TEXT];

        request.suite = SUITE_1;
        request.subject_kind = k->use == KEYFILE_AGENT ? SUBJECT_AGENT : k->use == KEYFILE_BROKER ? SUBJECT_BROKER : SUBJECT_PERSON;
        request.domain = (char *)domain;
        request.department = (char *)department;
        request.sign_key = binary(k->sign_key, 32);
        request.created_at = times_wall().ms;
        if (agent_id)
                request.agent_id = binary(agent_id->b, ID_BYTES);
        if (k->link) {
                crypto_scalarmult_base(link_key, secret_peek(k->link));
                request.link_key = binary(link_key, sizeof link_key);
        }
        struct bytes packed = key_request_sign(c->arena, &request, secret_peek(k->sign), signature);
        if (!packed.p) {
                cli_error("out of memory");
                return -1;
        }
        join.key_request = binary(packed.p, packed.n);
        join.signature = binary(signature, sizeof signature);
        join.label = (char *)label;
        struct bytes text = artifact_write(c->arena, ARTIFACT_JOIN, &join.base);
        if (!text.p || file_write(c, path, text, 0644, false) < 0)
                return -1;
        fingerprint_format(packed, fingerprint);
        cli_print(c, json_pack("{s:s, s:s}", "join", path, "fingerprint", fingerprint), NULL);
        return 0;
}
