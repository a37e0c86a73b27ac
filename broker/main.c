/* main: arguments, and the order in which a broker starts and stops.
 *
 * Threads start upward from what others need (deliver, sync, sequence, verify, reads, front) and stop downward, so
 * that whatever was taken in is durable and answered before the process ends.  SIGTERM and SIGINT drain; SIGHUP reloads. */
#include "broker/broker.h"
#include "broker/genesis.h"
#include "broker/index.h"
#include "broker/keeper.h"
#include "broker/logcheck.h"
#include "broker/quarantine.h"
#include "broker/rebuild.h"
#include "broker/recover.h"
#include "broker/witness.h"
#include "common/fold.h"
#include "common/macro.h"
#include "common/notify.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Exit codes: 0 done, 1 what was checked does not hold, 2 usage or configuration, 70 a fault of ours. */
enum { EXIT_FALSE = 1, EXIT_USAGE = 2, EXIT_FAULT = 70 };

static const char usage[] =
        "shuyi-broker --config FILE                 run the exchange of one domain\n"
        "shuyi-broker init --config FILE GENESIS    make the genesis the first entries of an empty log\n"
        "shuyi-broker check --config FILE           derive every hash, signature and outcome of the log again\n"
        "shuyi-broker --replay --config FILE        apply the log to a scratch store; compare outcomes and state\n"
        "  --from-base                              of check and --replay: begin at the newest state image, which is quick\n"
        "shuyi-broker --base --config FILE          write a state image now, of a broker that does not run\n"
        "shuyi-broker --rebuild --config FILE       put the state aside, and make it anew from the newest image and the log\n"
        "shuyi-broker --check-config --config FILE  check the configuration and print what is in force\n"
        "shuyi-broker --manual                      print what can be configured\n"
        "shuyi-broker --version | --help\n";

struct threads {
        struct deliver *deliver;
        struct sync *sync;
        struct sequence *sequence;
        struct verify *verify;
        struct publish *publish;
        struct witness_collector *witness;
        struct reads *reads;
        struct front *front;
        struct timer *timer;
        struct scrub *scrub;
        struct keeper *keeper;
        struct observe *observe;
};

/* ---- shared things ---- */

static int init_broker(struct broker *b, const char *config)
{
        int r = settings_load(config, &b->config);

        if (r < 0)
                return r;
        b->first_config = b->config;
        pthread_mutex_init(&b->config_lock, NULL);
        pthread_mutex_init(&b->checkpoint_lock, NULL);
        log_init("shuyi-broker", log_level_parse(config_string(b->config, S_LOG_LEVEL)));
        for (unsigned i = 0; i < config_count(b->config, S_WITNESS_NAME); i++)
                counters_name_witness(i, config_string_at(b->config, S_WITNESS_NAME, i));
        b->metrics = metrics_new(counters_rows, M_COUNT);
        b->directory = keydir_slot_new();
        b->published = published_new();
        return b->metrics && b->directory && b->published ? 0 : -ENOMEM;
}

static int init_queues(struct broker *b)
{
        int r = work_queue_init(&b->work, 4096);

        if (r == 0)
                r = group_queue_init(&b->groups, 2);
        if (r == 0)
                r = news_queue_init(&b->news, 4096);
        if (r == 0)
                r = outgoing_queue_init(&b->parcels, 4096);
        if (r == 0)
                r = question_queue_init(&b->questions, 1024);
        return r == 0 ? link_context_new(&b->links) : r;
}

static void free_work(void *item)
{
        free(item);
}

static void free_parcel(void *item)
{
        outgoing_free(item);
}

static void free_question(void *item)
{
        question_free(item);
}

static void fini_broker(struct broker *b)
{
        tiles_close(b->tiles);
        recover_close(b);
        work_queue_fini(&b->work, free_work);
        group_queue_fini(&b->groups, NULL);
        news_queue_fini(&b->news, free_work);
        outgoing_queue_fini(&b->parcels, free_parcel);
        question_queue_fini(&b->questions, free_question);
        link_context_free(b->links);
        keydir_slot_free(b->directory);
        metrics_free(b->metrics);
        if (b->config != b->first_config)
                config_free(b->config);
        config_free(b->first_config);
        free(b->note);
        published_free(b->published);
}

/* ---- start and stop ---- */

static int start_threads(struct broker *b, struct threads *t, bool crashed)
{
        struct sequence_start from = { crashed };
        int r = deliver_start(b, &t->deliver);

        if (r == 0)
                r = sync_start(b, &t->sync);
        if (r == 0)
                r = sequence_start(b, &from, &t->sequence);
        if (r == 0)
                r = verify_start(b, &t->verify);
        if (r == 0)
                r = publish_start(b, &t->publish);
        if (r == 0)
                r = index_start(b, &b->index);
        if (r == 0)
                r = witness_start(b, &t->witness);
        if (r == 0)
                r = reads_start(b, &t->reads);
        if (r == 0)
                r = timer_start(b, &t->timer);
        if (r == 0)
                r = keeper_start(b, &t->keeper);
        if (r == 0)
                r = scrub_start(b, &t->scrub);
        if (r == 0)
                r = front_start(b, t->verify, &t->front);
        if (r == 0)
                r = observe_start(b, t->verify, t->front, &t->observe);
        return r;
}

/* What is in the pipeline gets its receipt; at most some seconds. */
static void wait_empty(struct broker *b)
{
        struct timespec nap = { 0, 5000000 };

        for (unsigned i = 0; i < 2000 && atomic_load(&b->pipeline_bytes) > 0; i++)
                nanosleep(&nap, NULL);
}

static void stop_threads(struct broker *b, struct threads *t)
{
        atomic_store(&b->draining, true);
        front_drain(t->front);
        wait_empty(b);
        observe_stop(t->observe);
        timer_stop(t->timer);
        scrub_stop(t->scrub);
        witness_stop(t->witness);
        keeper_stop(t->keeper);
        deliver_end_sessions(t->deliver);
        verify_stop(t->verify);
        sequence_stop(t->sequence);
        sync_stop(t->sync);
        deliver_stop(t->deliver);
        reads_stop(t->reads);
        publish_stop(t->publish);
        index_stop(b->index);
        front_stop(t->front);
}

/* ---- signals ---- */

/* A crash of ours while an envelope is applied keeps it out of the next run. */
static void on_crash(int number)
{
        quarantine_mark();
        signal(number, SIG_DFL);
        raise(number);
}

static void prepare_signals(sigset_t *ret)
{
        static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

        for (unsigned i = 0; i < ELEMENTS(fatal); i++)
                signal(fatal[i], on_crash);
        signal(SIGPIPE, SIG_IGN);
        sigemptyset(ret);
        sigaddset(ret, SIGTERM);
        sigaddset(ret, SIGINT);
        sigaddset(ret, SIGHUP);
        pthread_sigmask(SIG_BLOCK, ret, NULL);  /* threads inherit it; main waits */
}

/* All is parsed and checked, then swapped; a bad file changes nothing.  The first one is kept to the end: strings of it are in use. */
static void reload(struct broker *b, const char *path)
{
        struct config *next = NULL, *old = b->config;
        int fixed, r = settings_load(path, &next);

        fixed = r == 0 ? config_first_fixed_change(old, next) : -1;
        if (r < 0 || fixed >= 0) {
                log_event(LOG_ERR, "config.kept", log_errno("fault", r < 0 ? r : -EINVAL), log_i64("fixed_key", fixed));
                config_free(next);
                metrics_set(b->metrics, M_RELOAD, 0, 0);
                return;
        }
        pthread_mutex_lock(&b->config_lock);
        b->config = next;
        pthread_mutex_unlock(&b->config_lock);
        if (old != b->first_config)
                config_free(old);
        metrics_set(b->metrics, M_RELOAD, 0, 1);
        log_event(LOG_NOTICE, "config.reloaded");
}

static void serve(struct broker *b, const char *config, const sigset_t *signals)
{
        struct timespec beat = { 1, 0 };
        uint64_t watchdog = notify_watchdog_ms();

        for (;;) {
                int number = watchdog ? sigtimedwait(signals, NULL, &beat) : sigwaitinfo(signals, NULL);

                if (number == SIGHUP)
                        reload(b, config);
                else if (number == SIGTERM || number == SIGINT)
                        return;
                if (watchdog)
                        notify_send("WATCHDOG=1");
        }
}

/* ---- what can be asked of the program ---- */

static int fault_code(int r)
{
        return r == 0 ? 0 : r == -EBADMSG ? EXIT_FALSE : EXIT_FAULT;
}

static int run(struct broker *b, const char *config)
{
        struct threads t = { 0 };
        sigset_t signals;
        bool crashed;
        int r;

        prctl(PR_SET_DUMPABLE, 0);
        prepare_signals(&signals);
        r = init_queues(b);
        if (r == 0)
                r = recover_open(b, false);
        if (r == 0)
                r = recover_run(b, &crashed);
        if (r == -ENODATA)
                fprintf(stderr, "shuyi-broker: no log here yet; make one with: shuyi-broker init --config %s GENESIS\n", config);
        if (r == 0)
                r = start_threads(b, &t, crashed);
        if (r < 0) {
                log_event(LOG_CRIT, "broker.not_started", log_errno("fault", r));
                _exit(fault_code(r));           /* threads may run; what is durable needs no farewell */
        }
        log_event(LOG_NOTICE, "broker.ready", log_str("endpoint", front_endpoint(t.front)), log_u64("http_port", observe_port(t.observe)),
                  log_u64("seq", atomic_load(&b->seq)), log_bool("crashed_before", crashed));
        notify_send("READY=1");
        serve(b, config, &signals);
        notify_send("STOPPING=1");
        log_event(LOG_NOTICE, "broker.draining");
        stop_threads(b, &t);
        log_event(LOG_NOTICE, "broker.stopped", log_u64("seq", atomic_load(&b->seq)));
        return 0;
}

static int found(struct broker *b, const char *genesis)
{
        int r = recover_open(b, false);

        if (r == 0)
                r = genesis_run(b, genesis);
        return r == 0 ? 0 : r == -EINVAL || r == -EEXIST || r == -EKEYREJECTED ? EXIT_FALSE : EXIT_FAULT;
}

enum command { COMMAND_RUN, COMMAND_INIT, COMMAND_CHECK, COMMAND_REPLAY, COMMAND_BASE, COMMAND_REBUILD, COMMAND_CHECK_CONFIG };

static int carry_out(enum command command, const char *config, const char *operand, bool from_base)
{
        static struct broker b;
        int r = init_broker(&b, config);

        if (r == -EINVAL || r == -ENOENT || r == -EACCES)
                return EXIT_USAGE;              /* said where it stands */
        if (r < 0) {
                fprintf(stderr, "shuyi-broker: not started: %s\n", strerror(-r));
                return EXIT_FAULT;
        }
        switch (command) {
        case COMMAND_RUN:
                r = run(&b, config);
                break;
        case COMMAND_INIT:
                r = found(&b, operand);
                break;
        case COMMAND_CHECK:
        case COMMAND_REPLAY:
                r = fault_code(logcheck_run(&b, command == COMMAND_CHECK, from_base));
                break;
        case COMMAND_BASE:
                r = fault_code(rebuild_write_base(&b));
                break;
        case COMMAND_REBUILD:
                r = fault_code(rebuild_run(&b));
                break;
        case COMMAND_CHECK_CONFIG:
                config_print(b.config, stdout);
                break;
        }
        fini_broker(&b);
        return r;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' }, { "replay", no_argument, NULL, 'r' }, { "check-config", no_argument, NULL, 'k' },
                { "base", no_argument, NULL, 'b' }, { "rebuild", no_argument, NULL, 'R' }, { "from-base", no_argument, NULL, 'f' },
                { "manual", no_argument, NULL, 'm' }, { "version", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { 0 },
        };
        enum command command = COMMAND_RUN;
        const char *config = NULL;
        bool from_base = false;
        int o, operands;

        while ((o = getopt_long(argc, argv, "c:hv", options, NULL)) != -1) {
                switch (o) {
                case 'c':
                        config = optarg;
                        break;
                case 'r':
                        command = COMMAND_REPLAY;
                        break;
                case 'b':
                        command = COMMAND_BASE;
                        break;
                case 'R':
                        command = COMMAND_REBUILD;
                        break;
                case 'f':
                        from_base = true;
                        break;
                case 'k':
                        command = COMMAND_CHECK_CONFIG;
                        break;
                case 'm':
                        settings_print_manual();
                        return 0;
                case 'v':
                        puts("shuyi-broker " SHUYI_VERSION);
                        return 0;
                case 'h':
                        fputs(usage, stdout);
                        return 0;
                default:
                        fputs(usage, stderr);
                        return EXIT_USAGE;
                }
        }
        operands = argc - optind;
        if (operands > 0 && strcmp(argv[optind], "init") == 0)
                command = COMMAND_INIT;
        else if (operands > 0 && strcmp(argv[optind], "check") == 0)
                command = COMMAND_CHECK;
        if (!config || operands != (command == COMMAND_INIT ? 2 : command == COMMAND_CHECK ? 1 : 0) || sodium_init() < 0) {
                fputs(usage, stderr);
                return EXIT_USAGE;
        }
        return carry_out(command, config, operands == 2 ? argv[optind + 1] : NULL, from_base);
}
