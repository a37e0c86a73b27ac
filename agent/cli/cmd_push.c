/* cmd_push: records from a CSV file or NDJSON into the agent, as a business system would send them.
 *
 * CSV: the first row names the items (name_en); each further row is an UPSERT.  NDJSON: one record a line, in the form of the
 * API.  Batches carry idempotency keys made of the file's digest and the batch's number, and rows of a CSV file count as
 * changed when the file was, so a push that was cut off can be given again whole. */
#include "agent/cli/act.h"
#include "agent/cli/client.h"
#include "agent/cli/csv.h"
#include "agent/cli/file.h"
#include "common/digest.h"
#include "common/macro.h"
#include "common/times.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define COLUMNS_MAX 256
#define BATCH_DEFAULT 200
#define PATIENCE_NS 200000000L

struct push {
        struct cli *c;
        char *path;                     /* of the API */
        char run[2 * DIGEST_BYTES + 1]; /* begins the idempotency keys */
        uint64_t batch, batches, records;
        json_t *waiting;                /* records of the next batch */
        char changed_at[25];            /* of the rows of a CSV file: when the file was changed */
        bool told;                      /* that the quota makes it wait */
};

/* One batch; waits and tries again while the agent's quota is used up (429). */
static int send_batch(struct push *p)
{
        char *key = arena_printf(p->c->arena, "%.32s-%llu", p->run, (unsigned long long)p->batches);
        json_t *body = json_pack("{s:o}", "records", p->waiting), *answer = NULL;
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        size_t n = json_array_size(p->waiting);
        long status = 429;
        int code = CLI_FAILED;

        json_decref(body);
        p->waiting = json_array();
        while (text && key && status == 429) {
                if (client_post_bytes(p->c, p->path, key, bytes_str(text), &status, &answer) < 0)
                        break;
                if (status == 429) {
                        if (!p->told)
                                fputs("shuyi: what waits at the agent has reached its quota; waiting for room (Ctrl-C ends this; give the same file again)\n", stderr);
                        p->told = true;
                        nanosleep(&(struct timespec){ 0, PATIENCE_NS }, NULL);
                } else
                        code = status == 202 ? CLI_OK : client_problem(p->c, status, answer);
                json_decref(TAKE(answer));
        }
        free(text);
        p->batches++;
        p->records += code == CLI_OK ? n : 0;
        return code;
}

static int add_record(struct push *p, json_t *record)
{
        json_array_append_new(p->waiting, record);
        return json_array_size(p->waiting) >= p->batch ? send_batch(p) : CLI_OK;
}

static json_t *row_values(char *const names[], char *const fields[], int n)
{
        json_t *values = json_object();

        for (int i = 0; i < n; i++)
                json_object_set_new(values, names[i], *fields[i] ? json_string(fields[i]) : json_null());
        return values;
}

/* The first row: how many items it names; 0 after a message. */
static int read_names(struct csv *csv, char *names[])
{
        int n = csv_row(csv, names, COLUMNS_MAX);

        if (n == 0)
                cli_error("line 1: the file is empty; its first row names the items");
        for (int i = 1; i < n; i++)
                for (int k = 0; k < i; k++)
                        if (strcmp(names[i], names[k]) == 0) {
                                cli_error("line %u names the item %s twice", csv->line, names[i]);
                                return 0;
                        }
        return n < 0 ? 0 : n;
}

static int push_csv(struct push *p, char *text, char *end)
{
        char *names[COLUMNS_MAX], *fields[COLUMNS_MAX];
        struct csv csv = csv_begin(text, end);
        int columns = read_names(&csv, names), n, code = columns ? CLI_OK : CLI_FAILED;

        while (code == CLI_OK && (n = csv_row(&csv, fields, COLUMNS_MAX)) > 0) {
                if (n != columns) {
                        cli_error("line %u has %d fields, not %d", csv.line, n, columns);
                        return CLI_FAILED;
                }
                code = add_record(p, json_pack("{s:s, s:s, s:o}", "op", "UPSERT", "changed_at", p->changed_at, "values", row_values(names, fields, n)));
        }
        if (csv.wrong)
                cli_error("line %u: %s", csv.line, csv.wrong);
        return csv.wrong ? CLI_FAILED : code;
}

static int push_ndjson(struct push *p, char *text, char *end)
{
        int line = 0, code = CLI_OK;
        json_error_t error;

        while (code == CLI_OK && text < end) {
                char *eol = memchr(text, '\n', (size_t)(end - text));
                size_t n = eol ? (size_t)(eol - text) : (size_t)(end - text);
                json_t *record = n ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &error) : NULL;
                line++;
                if (n && !record) {
                        cli_error("line %d, column %d: %s", line, error.column, error.text);
                        return CLI_FAILED;
                }
                if (record)
                        code = add_record(p, record);
                text += n + 1;
        }
        return code;
}

static bool is_resource(const char *text)
{
        return text[strcspn(text, "/")] && strcspn(text, "?#%\\ \t\r\n") == strlen(text);
}

/* The file's text, ending in NUL, for parsing in place; NULL after a message. */
static char *load(struct cli *c, const char *path, struct push *p, size_t *ret_n)
{
        struct wall_time changed = times_wall();
        struct bytes text;
        struct stat st;

        if (file_read(c, path, &text) < 0)
                return NULL;
        char *copy = arena_alloc(c->arena, text.n + 1);
        if (!copy) {
                cli_error("out of memory");
                return NULL;
        }
        memcpy(copy, text.p, text.n);
        copy[text.n] = 0;
        if (stat(path, &st) == 0)
                changed.ms = (uint64_t)st.st_mtime * 1000;
        times_format_utc(changed, p->changed_at);
        struct digest run = digest_plain(text);
        hex_format(bytes_digest(&run), p->run);
        *ret_n = text.n;
        return copy;
}

static int push_text(struct push *p, bool csv, char *text, size_t n)
{
        p->waiting = json_array();
        int code = csv ? push_csv(p, text, text + n) : push_ndjson(p, text, text + n);
        if (code == CLI_OK && json_array_size(p->waiting))
                code = send_batch(p);
        json_decref(p->waiting);
        return code;
}

static int push_records(struct cli *c)
{
        const char *path = c->operands[1];
        struct push p = { .c = c, .path = arena_printf(c->arena, "/v1/resources/%s/records", c->operands[0]) };
        size_t n, len = strlen(path);

        if (cli_number(c, "batch", 1, 1000, BATCH_DEFAULT, &p.batch) < 0)
                return CLI_USAGE;
        if (!is_resource(c->operands[0])) {
                cli_error("a resource is CLASS/SEQ, such as 300001/1, not '%s'", c->operands[0]);
                return CLI_USAGE;
        }
        char *text = p.path ? load(c, path, &p, &n) : NULL;
        if (!text)
                return CLI_FAILED;
        int code = push_text(&p, len > 4 && strcmp(path + len - 4, ".csv") == 0, text, n);
        if (code == CLI_OK)
                cli_print(c, json_pack("{s:I, s:I}", "records", (json_int_t)p.records, "batches", (json_int_t)p.batches), NULL);
        else if (p.records)
                cli_error("%llu records before that were taken and go on to the center", (unsigned long long)p.records);
        return code;
}

static int push_status(struct cli *c)
{
        json_t *answer = NULL;
        ProtobufCBinaryData id;
        long status;

        if (act_hex(c, c->operands[0], "a push", ID_BYTES, &id) < 0)
                return CLI_USAGE;
        if (client_call(c, "GET", arena_printf(c->arena, "/v1/pushes/%s", c->operands[0]), NULL, &status, &answer) < 0)
                return CLI_FAILED;
        if (status != 200) {
                int code = client_problem(c, status, answer);
                json_decref(answer);
                return code;
        }
        cli_print(c, answer, NULL);
        return CLI_OK;
}

static const struct cli_option options_records[] = { { "batch", "N", "records a call (default 200)", false }, { NULL, NULL, NULL, false } };

const struct cli_command commands_push[] = {
        { "push", "records", "RESOURCE FILE", 2, 2, "push the rows of a .csv or .ndjson file", options_records, push_records },
        { "push", "status", "ID", 1, 1, "how far a push has come", NULL, push_status },
        { NULL, NULL, NULL, 0, 0, NULL, NULL, NULL },
};
