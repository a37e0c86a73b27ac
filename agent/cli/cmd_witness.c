/* cmd_witness: the witness, a program of its own for a body that runs neither broker nor agent (WITNESS.md). */
#include "agent/cli/file.h"
#include "agent/cli/signer.h"
#include "agent/cli/witness_serve.h"
#include "common/anchor.h"
#include "common/artifact.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/notify.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- its directory ---- */

static char *key_path(struct cli *c)
{
        return arena_printf(c->arena, "%s/witness.key", cli_option(c, "dir"));
}

static int open_key(struct cli *c, struct keyfile *ret)
{
        char *path = key_path(c);

        if (!path || signer_open(c, path, ret) < 0)
                return -1;
        if (ret->use == KEYFILE_WITNESS)
                return 0;
        cli_error("%s is not a witness's key file", path);
        return -1;
}

static int open_store(struct cli *c, struct witness_store **ret)
{
        const char *dir = cli_option(c, "dir");
        int r = witness_store_open(dir, ret);

        if (r == -EBUSY)
                cli_error("%s: another process has it", dir);
        else if (r == -EBADMSG)
                cli_error("%s/state is damaged: a witness that does not know what it cosigned may not go on; make a new one with a new key", dir);
        else if (r == -ENOENT)
                cli_error("%s holds no witness; make one with: shuyi witness init --dir %s --name NAME.  If there was one, its state is lost, and its key must not be used again", dir, dir);
        else if (r < 0)
                cli_error("%s: %s", dir, strerror(-r));
        return r;
}

static int print_vkey(struct cli *c, const char *name, const uint8_t key[32])
{
        char *vkey = note_vkey(c->arena, NOTE_COSIGNATURE, name, key);

        if (!vkey)
                return CLI_FAILED;
        if (c->json)
                cli_print(c, json_pack("{s:s, s:s}", "name", name, "vkey", vkey), NULL);
        else
                puts(vkey);
        return CLI_OK;
}

static int witness_init(struct cli *c)
{
        const char *dir = cli_option(c, "dir"), *name = cli_option(c, "name");
        _cleanup_(keyfile_fini) struct keyfile k = { 0 };
        char *path = key_path(c);
        int r;

        if (!note_name_check(name)) {
                cli_error("--name is 1 to 255 bytes without space, plus or control character, such as audit.442000.example/w1");
                return CLI_USAGE;
        }
        if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
                cli_error("%s: %s", dir, strerror(errno));
                return CLI_FAILED;
        }
        if (!path || signer_make(c, path, KEYFILE_WITNESS, &k) < 0)
                return CLI_FAILED;
        r = witness_store_make(dir, name);
        if (r < 0) {
                cli_error("%s/state: %s", dir, strerror(-r));
                return CLI_FAILED;
        }
        return print_vkey(c, name, k.sign_key);
}

static int witness_key(struct cli *c)
{
        _cleanup_(keyfile_fini) struct keyfile k = { 0 };
        struct witness_store *store;
        int code;

        if (open_key(c, &k) < 0 || open_store(c, &store) < 0)
                return CLI_FAILED;
        code = print_vkey(c, witness_store_name(store), k.sign_key);
        witness_store_close(store);
        return code;
}

/* ---- serving ---- */

struct knowing { struct witness_known log[WITNESS_LOGS_MAX]; unsigned n; };

static int add_log(struct knowing *k, const char *origin, const uint8_t key[32])
{
        for (unsigned i = 0; i < k->n; i++)
                if (strcmp(k->log[i].origin, origin) == 0) {
                        if (memcmp(k->log[i].key, key, 32) == 0)
                                return 0;
                        cli_error("two keys for the log %s", origin);
                        return -1;
                }
        if (k->n == WITNESS_LOGS_MAX) {
                cli_error("more than %d logs", WITNESS_LOGS_MAX);
                return -1;
        }
        k->log[k->n].origin = origin;
        memcpy(k->log[k->n++].key, key, 32);
        return 0;
}

static int add_vkey(struct cli *c, struct knowing *k, const char *vkey)
{
        const char *name, *wrong;
        uint8_t key[32];

        wrong = note_vkey_parse(c->arena, vkey, NOTE_ED25519, &name, key);
        if (wrong)
                cli_error("%s: %s", vkey, wrong);
        return wrong ? -1 : add_log(k, name, key);
}

static int add_anchor(struct cli *c, struct knowing *k, const char *path)
{
        const Shuyi__V1__Anchor *anchor;
        struct bytes text, content;
        const char *wrong;

        if (file_read(c, path, &text) < 0)
                return -1;
        wrong = artifact_decode(c->arena, ARTIFACT_ANCHOR, text, &content);
        if (!wrong)
                wrong = anchor_check(c->arena, content, &anchor);
        if (wrong) {
                cli_error("%s: not an anchor: %s", path, wrong);
                return -1;
        }
        for (size_t i = 0; i < anchor->n_logs; i++)
                if (add_log(k, anchor->logs[i]->origin, anchor->logs[i]->key.data) < 0)
                        return -1;
        return 0;
}

static int know_logs(struct cli *c, struct knowing *k)
{
        const char *vkey = cli_option(c, "log"), *anchor = cli_option(c, "anchor");

        if ((vkey && add_vkey(c, k, vkey) < 0) || (anchor && add_anchor(c, k, anchor) < 0))
                return -1;
        for (unsigned i = 0; i < c->operands_n; i++)
                if (add_vkey(c, k, c->operands[i]) < 0)
                        return -1;
        if (k->n == 0)
                cli_error("which logs? give --log VKEY... or --anchor FILE");
        return k->n > 0 ? 0 : -1;
}

static void wait_for_end(const sigset_t *signals)
{
        int number;

        do
                number = sigwaitinfo(signals, NULL);
        while (number < 0 && errno == EINTR);
}

static const char *listen_fault(int r)
{
        return r == -EINVAL ? "an address is tcp://127.0.0.1:PORT, tcp://[::1]:PORT or unix:/path" :
               r == -EPERM ? "a witness listens on loopback only: put a TLS proxy before it" : strerror(-r);
}

static int serve(struct cli *c, struct witness_store *store, const struct witness_self *self, const struct knowing *k)
{
        const char *name = arena_strdup(c->arena, witness_store_name(store));   /* once it serves, the store is the server's */
        struct witness_server *server;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        pthread_sigmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        log_init("shuyi-witness", LOG_INFO);
        r = witness_serve_start(cli_option(c, "listen"), store, self, k->log, k->n, &server);
        if (r < 0) {
                cli_error("%s: %s", cli_option(c, "listen"), listen_fault(r));
                return r == -EINVAL || r == -EPERM ? CLI_USAGE : CLI_FAILED;
        }
        log_event(LOG_NOTICE, "witness.ready", log_str("name", name), log_u64("http_port", witness_serve_port(server)), log_u64("logs", k->n));
        notify_send("READY=1");
        wait_for_end(&signals);
        notify_send("STOPPING=1");
        witness_serve_stop(server);
        return CLI_OK;
}

static int witness_serve(struct cli *c)
{
        _cleanup_(keyfile_fini) struct keyfile k = { 0 };
        struct knowing logs = { .n = 0 };
        struct witness_store *store;
        struct witness_self self;
        int code;

        if (know_logs(c, &logs) < 0)
                return CLI_USAGE;
        if (open_key(c, &k) < 0 || open_store(c, &store) < 0)
                return CLI_FAILED;
        self.secret = k.sign;
        memcpy(self.key, k.sign_key, sizeof(self.key));
        code = serve(c, store, &self, &logs);
        witness_store_close(store);
        return code;
}

/* ---- a declared cut ---- */

static bool cut_operands(struct cli *c, struct witness_log *ret)
{
        const char *root = cli_option(c, "root");
        uint64_t size, epoch;

        if (cli_number(c, "size", 0, INT64_MAX, 0, &size) < 0 || cli_number(c, "epoch", 1, UINT32_MAX, 0, &epoch) < 0)
                return false;
        if (strlen(root) != 2 * DIGEST_BYTES || !hex_parse(root, ret->head.root.b, DIGEST_BYTES)) {
                cli_error("--root is 64 hex digits");
                return false;
        }
        ret->origin = c->operands[0];
        ret->head.size = size;
        ret->epoch = epoch;
        ret->note = "";
        return true;
}

static int cut(struct cli *c, struct witness_store *store, const struct witness_log *next)
{
        const struct witness_log *last = witness_store_find(store, next->origin);
        char *name = arena_printf(c->arena, "cut-%llu-from-%llu", (unsigned long long)next->epoch, (unsigned long long)(last ? last->head.size : 0));
        int r;

        if (!last || next->epoch <= last->epoch || next->head.size > last->head.size) {
                cli_error(!last ? "this witness cosigned nothing of %s" : next->epoch <= last->epoch ? "%s: its epoch must be above the last one declared" :
                          "%s: a cut goes back, not forward", next->origin);
                return CLI_REFUSED;
        }
        r = name ? witness_store_keep(store, name, last->note) : -ENOMEM;
        if (r == 0)
                r = witness_store_put(store, next);
        if (r < 0)
                cli_error("%s: %s", cli_option(c, "dir"), strerror(-r));
        return r < 0 ? CLI_FAILED : CLI_OK;
}

static int witness_cut(struct cli *c)
{
        struct witness_store *store;
        struct witness_log next;
        int code;

        if (!cut_operands(c, &next))
                return CLI_USAGE;
        if (open_store(c, &store) < 0)
                return CLI_FAILED;
        code = cut(c, store, &next);
        witness_store_close(store);
        return code;
}

/* ---- rows ---- */

#define DIR_OPTION { "dir", "DIR", "where its key and state lie", true }

static const struct cli_option options_init[] = {
        DIR_OPTION,
        { "name", "NAME", "under which it signs, such as audit.442000.example/w1", true },
        PASSPHRASE_OPTIONS,
        { NULL, NULL, NULL, false },
};

static const struct cli_option options_key[] = { DIR_OPTION, PASSPHRASE_OPTIONS, { NULL, NULL, NULL, false } };

static const struct cli_option options_serve[] = {
        DIR_OPTION,
        { "listen", "ADDRESS", "tcp://127.0.0.1:PORT, [::1] or unix:/path; the world reaches it through a TLS proxy", true },
        { "log", "VKEY...", "verifier keys of the logs that it cosigns for", false },
        { "anchor", "FILE", "an anchor: all its logs", false },
        PASSPHRASE_OPTIONS,
        { NULL, NULL, NULL, false },
};

static const struct cli_option options_cut[] = {
        DIR_OPTION,
        { "epoch", "N", "of the log after its cut", true },
        { "size", "N", "from which it goes on", true },
        { "root", "HEX", "of the tree of that size", true },
        { NULL, NULL, NULL, false },
};

const struct cli_command commands_witness[] = {
        { "witness", "init", "", 0, 0, "make a witness: its key and an empty state; prints its verifier key", options_init, witness_init },
        { "witness", "key", "", 0, 0, "its verifier key, for anchors", options_key, witness_key },
        { "witness", "serve", "[VKEY...]", 0, WITNESS_LOGS_MAX, "cosign the heads of logs that only grow", options_serve, witness_serve },
        { "witness", "cut", "ORIGIN", 1, 1, "let a log go on from an earlier size, once, after a restore that was declared", options_cut, witness_cut },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
