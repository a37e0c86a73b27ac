/* main: the agent's life: settings, keys, store, threads upward; a signal; threads downward. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/agent.h"
#include "agent/api.h"
#include "agent/keep.h"
#include "agent/link.h"
#include "agent/outbox.h"
#include "agent/replica.h"
#include "agent/sink/sink.h"
#include "common/exchange/exchange.h"
#include "common/log.h"
#include "common/macro.h"
#include "common/notify.h"
#include "common/secret.h"

#define JOBS_MAX 4096
#define SNAPSHOTS_MAX 256

static const char usage[] =
        "shuyi-agent: a department's agent at a Shuyi exchange\n"
        "\n"
        "  shuyi-agent --config FILE                 run in the foreground\n"
        "  shuyi-agent --config FILE --check-config  check FILE, keys and welcome file, print what is in force, and exit\n"
        "  shuyi-agent --manual                      every key of the configuration\n"
        "  shuyi-agent --version | --help\n"
        "\n"
        "SIGTERM and SIGINT end it after a last commit; SIGHUP reads what may change while it runs.\n"
        "Exit status: 0 ended as asked, 1 a fault, 2 wrong usage or configuration.\n";

static int open_store(struct agent *ag)
{
        struct store_options o = {
                .dir = config_string(ag->config, S_STATE),
                .map_bytes = (uint64_t)config_int(ag->config, S_MAP),
                .readers = SNAPSHOTS_MAX,
                .allow_volatile = config_bool(ag->config, S_VOLATILE),
                .scan = true,                   /* what waits here is nowhere else */
        };
        int r = store_open(&o, &ag->store);

        if (r < 0)
                log_event(LOG_ERR, "agent.store", log_str("dir", o.dir), log_errno("fault", r), log_str("why", r == -EBUSY ? "another process uses it" : ""));
        return r;
}

/* A storage key is made for a store that is new; one that holds something cannot be read with another. */
static int open_vault(struct agent *ag)
{
        _cleanup_(store_snapshot_closep) struct store_snapshot *snapshot = NULL;
        struct agent_key k = agent_key(AGENT_OUTBOX);
        struct bytes value;
        int r = store_snapshot_open(ag->store, &snapshot);

        if (r == 0)
                r = store_snapshot_get(snapshot, STORE_STATE, agent_key_get(&k), &value);
        if (r >= 0)
                r = vault_open(config_string(ag->config, S_STATE), r == 0, &ag->vault);
        if (r == -ENOKEY)
                log_event(LOG_ERR, "agent.vault", log_errno("fault", r), log_str("todo", "storage.key is missing from state_dir: restore it, nothing in the store opens without it"));
        return r;
}

/* Is the storage key the one that the store was written with? */
static int check_vault(struct agent *ag, struct arena *a)
{
        static const struct bytes text = { (const uint8_t *)"storage key", 11 };
        struct agent_key k = agent_key(AGENT_VAULT);
        struct bytes value, plain;
        int r = store_get(ag->store, STORE_STATE, agent_key_get(&k), &value);

        if (r < 0)
                return r;
        if (r == 0) {
                value = vault_seal_in(ag->vault, a, text, text);
                return value.p ? keep_put_bytes(ag->store, &k, value) : -ENOMEM;
        }
        if (vault_unseal(ag->vault, a, text, value, &plain) && bytes_equal(plain, text))
                return 0;
        log_event(LOG_ERR, "agent.vault", log_errno("fault", -EBADMSG), log_str("todo", "storage.key is damaged or another store's: restore it, nothing in the store opens without it"));
        return -EBADMSG;
}

/* First rows of a new store. */
static int begin_rows(struct agent *ag)
{
        _cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        int r = a ? store_begin(ag->store) : -ENOMEM;

        if (r == 0)
                r = store_group_begin_reserved(ag->store);
        if (r == 0)
                r = check_vault(ag, a);
        if (r == 0)
                r = replica_begin(ag, a);
        if (r == 0)
                r = outbox_begin(ag, a, times_wall());
        if (r == 0)
                r = store_group_commit(ag->store);
        if (r == 0)
                return store_commit(ag->store);
        store_abort(ag->store);
        return r;
}

static int open_all(struct agent *ag)
{
        int r;

        pthread_mutex_init(&ag->status_lock, NULL);
        ag->metrics = metrics_new(agent_metric_rows, M_COUNT);
        ag->block = ag->metrics ? metrics_block_new(ag->metrics) : NULL;
        ag->exchange = exchange_new(ag->self.domain);
        ag->opened = queue_new(1);
        if (!ag->block || !ag->exchange || !ag->opened || job_queue_init(&ag->jobs, JOBS_MAX) < 0)
                return -ENOMEM;
        r = open_store(ag);
        if (r == 0)
                r = open_vault(ag);
        if (r == 0)
                r = begin_rows(ag);
        if (r < 0)
                log_event(LOG_ERR, "agent.open", log_errno("fault", r));
        return r;
}

#define RELOADS_MAX 1000

/* Settings that were in force: some thread may still read one. */
static struct config *former[RELOADS_MAX];
static unsigned former_n;

static void close_all(struct agent *ag)
{
        vault_close(ag->vault);
        store_close(ag->store);
        exchange_free(ag->exchange);
        queue_free(ag->opened, NULL);
        job_queue_fini(&ag->jobs, NULL);
        metrics_free(ag->metrics);
        identity_fini(&ag->self);
        config_free(ag->config);
        while (former_n)
                config_free(former[--former_n]);
}

/* Everything is checked before anything changes; what may not change while running is said. */
static void reload(struct agent *ag, const char *path)
{
        struct config *next = NULL;
        int key;

        if (former_n == RELOADS_MAX || settings_load(path, stderr, &next) < 0) {
                log_event(LOG_ERR, "agent.reload", log_str("kept", "the old settings"));
                return;
        }
        key = config_first_fixed_change(ag->config, next);
        if (key >= 0) {
                log_event(LOG_ERR, "agent.reload", log_str("key", settings_keys[key].path), log_str("kept", "a change of this key needs a new start"));
                config_free(next);
                return;
        }
        former[former_n++] = ag->config;
        ag->config = next;
        log_event(LOG_NOTICE, "agent.reload");
}

static void wait_for_end(struct agent *ag, const char *path, const sigset_t *set)
{
        for (;;) {
                int sig = 0;

                sigwait(set, &sig);
                if (sig != SIGHUP)
                        return;
                reload(ag, path);
        }
}

static int run(struct agent *ag, const char *path)
{
        struct link *link = NULL;
        struct sink *sink = NULL;
        struct api *api = NULL;
        sigset_t set;
        int r;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        r = open_all(ag);
        if (r == 0)
                r = link_start(ag, &link);
        if (r == 0)
                r = sink_start(ag, &sink);
        if (r == 0)
                r = api_start(ag, &api);
        if (r == 0) {
                log_event(LOG_NOTICE, "agent.started", log_id("agent", &ag->self.agent), log_str("department", ag->self.department), log_str("endpoint", ag->self.endpoint));
                notify_send("READY=1");
                wait_for_end(ag, path, &set);
                notify_send("STOPPING=1");
        } else {
                log_event(LOG_ERR, "agent.start", log_errno("fault", r));
        }
        sink_stop(sink);
        link_stop(link);
        api_stop(api);
        close_all(ag);
        log_event(LOG_NOTICE, "agent.ended");
        return r < 0 ? 1 : 0;
}

static void harden(void)
{
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        prctl(PR_SET_DUMPABLE, 0);
        signal(SIGPIPE, SIG_IGN);
        if (secret_check_mlock() < 0)
                log_event(LOG_WARNING, "agent.mlock", log_str("why", "keys may be swapped out: raise RLIMIT_MEMLOCK"));
}

struct arguments { const char *config; bool check; };

/* -1: go on; else the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' }, { "check-config", no_argument, NULL, 'k' }, { "manual", no_argument, NULL, 'm' },
                { "version", no_argument, NULL, 'v' },      { "help", no_argument, NULL, 'h' },         { 0 },
        };
        int o;

        while ((o = getopt_long(argc, argv, "c:kvh", options, NULL)) != -1) {
                switch (o) {
                case 'c':
                        ret->config = optarg;
                        break;
                case 'k':
                        ret->check = true;
                        break;
                case 'm':
                        config_print_manual(settings_keys, S_COUNT, stdout);
                        return 0;
                case 'v':
                        puts("shuyi-agent " SHUYI_VERSION);
                        return 0;
                case 'h':
                        fputs(usage, stdout);
                        return 0;
                default:
                        fputs(usage, stderr);
                        return 2;
                }
        }
        if (ret->config && optind == argc)
                return -1;
        fputs(usage, stderr);
        return 2;
}

/* What is wrong with a file has been said; a fault of ours has not.  The exit status. */
static int refuse(int fault)
{
        if (fault != -ENOMEM && fault != -EIO && fault != -EMFILE)
                return 2;
        fprintf(stderr, "shuyi-agent: not started: %s\n", strerror(-fault));
        return 1;
}

int main(int argc, char **argv)
{
        struct arguments args = { 0 };
        struct config *config = NULL;
        struct agent *ag = NULL;
        int r = parse_arguments(argc, argv, &args), fault;

        if (r >= 0)
                return r;
        if (sodium_init() < 0)
                return 1;
        ag = calloc(1, sizeof(*ag));
        if (!ag)
                return refuse(-ENOMEM);
        fault = settings_load(args.config, stderr, &config);
        if (fault == 0) {
                ag->config = config;
                fault = identity_load(ag->config, stderr, &ag->self);
        }
        if (fault < 0) {
                r = refuse(fault);
        } else if (args.check) {
                config_print(ag->config, stdout);
                r = 0;
        }
        if (r < 0) {
                log_init("shuyi-agent", log_level_parse(config_string(ag->config, S_LOG)));
                harden();
                r = run(ag, args.config);
        } else {
                identity_fini(&ag->self);
                config_free(ag->config);
        }
        free(ag);
        return r;
}
