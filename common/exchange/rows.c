/* rows: reading the tables of the registry, catalog and grants. */
#include "common/exchange/rows.h"

#include <errno.h>

static int turn_state_get(void *ctx, struct bytes key, struct bytes *ret)
{
        struct turn *t = ctx;

        return turn_get(t, key, ret) ? 1 : t->fault;
}

static int turn_state_next(void *ctx, struct bytes prefix, struct bytes from, struct bytes *ret_key, struct bytes *ret_value)
{
        struct turn *t = ctx;

        return turn_next(t, prefix, from, ret_key, ret_value) ? 1 : t->fault;
}

struct rows rows_of(struct turn *t)
{
        static const struct state_ops ops = { turn_state_get, turn_state_next };

        return (struct rows){ .state = { &ops, t }, .arena = t->arena, .fault = t->fault, .turn = t };
}

void *turn_new_matter(struct turn *t, size_t n)
{
        void *p = arena_zalloc(t->arena, n);

        if (!p && t->fault == 0)
                t->fault = -ENOMEM;
        return p;
}

static void fail(struct rows *r, int fault)
{
        r->fault = fault;
        if (r->turn && r->turn->fault == 0)
                r->turn->fault = fault;
}

static struct bytes key_of(struct rows *r, enum table table, const struct bytes *parts, size_t n)
{
        size_t length = 1, at = 1;
        uint8_t *p;

        for (size_t i = 0; i < n; i++)
                length += parts[i].n;
        p = arena_alloc(r->arena, length);
        if (!p) {
                fail(r, -ENOMEM);
                return (struct bytes){ 0 };
        }
        p[0] = (uint8_t)table;
        for (size_t i = 0; i < n; i++) {
                if (parts[i].n)
                        memcpy(p + at, parts[i].p, parts[i].n);
                at += parts[i].n;
        }
        return bytes_of(p, length);
}

static bool find(struct rows *r, enum table table, const struct bytes *parts, size_t n, struct bytes *ret)
{
        struct bytes key;
        int found;

        if (r->fault)
                return false;
        key = key_of(r, table, parts, n);
        if (!key.p || key.n > ROW_KEY_MAX)
                return false;
        found = r->state.ops->get(r->state.ctx, key, ret);
        if (found < 0)
                fail(r, found);
        return found > 0;
}

void *rows_get(struct rows *r, const ProtobufCMessageDescriptor *d, enum table table, const struct bytes *parts, size_t n)
{
        static const uint8_t nothing;
        struct bytes value;
        void *row;

        if (!find(r, table, parts, n, &value))
                return NULL;
        row = protobuf_c_message_unpack(d, arena_allocator(r->arena), value.n, value.n ? value.p : &nothing);
        if (!row)
                fail(r, arena_failed(r->arena) ? -ENOMEM : -EBADMSG);
        return row;
}

bool rows_get_digest(struct rows *r, enum table table, const struct bytes *parts, size_t n, struct digest *ret)
{
        struct bytes value;

        if (!find(r, table, parts, n, &value))
                return false;
        if (!bytes_copy_exact(value, ret->b, DIGEST_BYTES)) {
                fail(r, -EBADMSG);
                return false;
        }
        return true;
}

Shuyi__V1__DepartmentRow *rows_department(struct rows *r, const char *code)
{
        return ROWS_GET(r, &shuyi__v1__department_row__descriptor, TABLE_DEPARTMENT, bytes_str(code));
}

Shuyi__V1__PersonRow *rows_person(struct rows *r, const char *department, struct bytes person)
{
        return ROWS_GET(r, &shuyi__v1__person_row__descriptor, TABLE_PERSON, bytes_str(department), person);
}

Shuyi__V1__AgentRow *rows_agent(struct rows *r, struct bytes agent)
{
        return ROWS_GET(r, &shuyi__v1__agent_row__descriptor, TABLE_AGENT, agent);
}

Shuyi__V1__CredentialRow *rows_credential(struct rows *r, struct bytes id)
{
        return ROWS_GET(r, &shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, id);
}

Shuyi__V1__MatterRow *rows_matter(struct rows *r, struct bytes matter)
{
        return ROWS_GET(r, &shuyi__v1__matter_row__descriptor, TABLE_MATTER, matter);
}

bool rows_find_matter(struct rows *r, const char *resource, struct digest *ret)
{
        struct bytes part = bytes_str(resource);

        return rows_get_digest(r, TABLE_RESOURCE, &part, 1, ret);
}

Shuyi__V1__VersionRow *rows_version(struct rows *r, const char *resource, uint32_t version)
{
        uint8_t number[4];

        put_be32(number, version);
        return ROWS_GET(r, &shuyi__v1__version_row__descriptor, TABLE_VERSION, bytes_of(number, 4), bytes_str(resource));
}

Shuyi__V1__RequestRow *rows_request(struct rows *r, struct bytes request)
{
        return ROWS_GET(r, &shuyi__v1__request_row__descriptor, TABLE_REQUEST, request);
}

Shuyi__V1__GrantRow *rows_grant(struct rows *r, struct bytes grant)
{
        return ROWS_GET(r, &shuyi__v1__grant_row__descriptor, TABLE_GRANT, grant);
}

Shuyi__V1__StreamRow *rows_stream(struct rows *r, struct bytes stream)
{
        return ROWS_GET(r, &shuyi__v1__stream_row__descriptor, TABLE_STREAM, stream);
}

Shuyi__V1__SubscriptionRow *rows_subscription(struct rows *r, struct bytes grant)
{
        return ROWS_GET(r, &shuyi__v1__subscription_row__descriptor, TABLE_SUBSCRIPTION, grant);
}

Shuyi__V1__Credential *rows_open_credential(struct rows *r, const Shuyi__V1__CredentialRow *row)
{
        Shuyi__V1__Credential *c = (void *)protobuf_c_message_unpack(&shuyi__v1__credential__descriptor, arena_allocator(r->arena),
                                                             row->credential.len, row->credential.data);

        if (!c || !c->subject) {
                fail(r, arena_failed(r->arena) ? -ENOMEM : -EBADMSG);
                return NULL;
        }
        return c;
}

static bool credential_in_force(struct rows *r, ProtobufCBinaryData id, struct wall_time at)
{
        Shuyi__V1__CredentialRow *row = id.len == DIGEST_BYTES ? rows_credential(r, bytes_of_field(id)) : NULL;
        Shuyi__V1__Credential *c;

        if (!row || row->status != STATUS_ACTIVE)
                return false;
        c = rows_open_credential(r, row);
        return c && c->not_before <= at.ms && at.ms < c->not_after;
}

bool rows_person_in_force(struct rows *r, const char *department, struct bytes person, struct wall_time at)
{
        Shuyi__V1__PersonRow *row = person.n == ID_BYTES ? rows_person(r, department, person) : NULL;

        return row && row->state != STAFF_REVOKED && credential_in_force(r, row->credential, at);
}

bool rows_agent_in_force(struct rows *r, const char *department, struct bytes agent, struct wall_time at)
{
        Shuyi__V1__AgentRow *row = agent.n == ID_BYTES ? rows_agent(r, agent) : NULL;

        return row && !row->revoked && strcmp(row->department, department) == 0 && credential_in_force(r, row->credential, at);
}
