/* market: catalog entries, grants and streams in a city. */
#include "tests/lib/market.h"

#include "common/exchange/catalog_rules.h"
#include "common/merkle.h"
#include "common/record.h"
#include "common/seal.h"

#include <stdlib.h>

static void *must(void *p)
{
        if (!p)
                abort();
        return p;
}

#define NEW(m, upper, lower) ({ Shuyi__V1__##upper *_m = must(ARENA_NEW((m)->c->arena, Shuyi__V1__##upper)); shuyi__v1__##lower##__init(_m); _m; })

static ProtobufCBinaryData keep(struct market *m, struct bytes b)
{
        return field_of_bytes(arena_copy(m->c->arena, b));
}

static uint32_t *keep_numbers(struct market *m, const uint32_t *numbers, size_t n)
{
        return n ? (uint32_t *)(void *)keep(m, bytes_of(numbers, n * sizeof(*numbers))).data : NULL;
}

/* ---- people ---- */

static void publish_seal_key(struct market *m, const struct party *agent)
{
        Shuyi__V1__SealKeyBody body = SHUYI__V1__SEAL_KEY_BODY__INIT;

        struct digest key = digest_plain(bytes_str(agent->name));       /* any 32 bytes will do: nothing is opened here */

        body.seal_key = keep(m, bytes_digest(&key));
        body.not_after = m->c->now.ms + 30 * DAY_MS;
        city_must(m->c, &(struct city_act){ .kind = KIND_SEAL_KEY, .body = &body.base, .by = { { agent, ROLE_AGENT } } });
}

struct market *market_of(struct city *c)
{
        struct market *m = must(calloc(1, sizeof(*m)));

        m->c = c;
        city_department(c, CITY_CIVIL, "civil");
        city_department(c, CITY_HEALTH, "health");
        m->civil_officer = city_find(c, "civil-officer");
        m->civil_agent = city_find(c, "civil-agent");
        m->health_officer = city_find(c, "health-officer");
        m->health_agent = city_find(c, "health-agent");
        m->civil_approver = city_hire(c, CITY_CIVIL, "chen", ROLE_APPROVER, 0);
        m->health_user = city_hire(c, CITY_HEALTH, "zhang", ROLE_USER, 0);
        m->health_approver = city_hire(c, CITY_HEALTH, "li", ROLE_APPROVER, 0);
        m->authority_approver = city_hire(c, CITY_AUTHORITY, "he", ROLE_APPROVER, 0);
        publish_seal_key(m, m->health_agent);
        return m;
}

/* The canonical text with each line of `lines` in place of the one with its key. */
static struct bytes change_lines(struct city *c, struct bytes canonical, const char *const *lines)
{
        char *out = must(arena_zalloc(c->arena, canonical.n + 4096)), *to = out;
        const char *p = (const char *)canonical.p, *end = p + canonical.n;

        while (p < end) {
                const char *lf = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)(lf + 1 - p);
                const char *with = NULL;

                for (const char *const *l = lines; *l; l++) {
                        size_t key = (size_t)(strchr(*l, '=') + 1 - *l);

                        if (n > key && memcmp(p, *l, key) == 0)
                                with = *l;
                }
                to = with ? stpcpy(stpcpy(to, with), "\n") : mempcpy(to, p, n);
                p += n;
        }
        return bytes_str(out);
}

static void publish(struct city *c, const char *const *lines)
{
        Shuyi__V1__PolicySetBody policy = SHUYI__V1__POLICY_SET_BODY__INIT;
        Shuyi__V1__CalendarSetBody calendar = SHUYI__V1__CALENDAR_SET_BODY__INIT;

        policy.canonical = field_of_bytes(change_lines(c, city_policy(c, "deploy/policies/zs.conf"), lines));
        calendar.canonical = field_of_bytes(city_file(c, "deploy/calendar/cn-holidays.csv"));
        city_must(c, &(struct city_act){ .kind = KIND_POLICY_SET, .body = &policy.base,
                                         .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
        city_must(c, &(struct city_act){ .kind = KIND_CALENDAR_SET, .body = &calendar.base,
                                         .by = { { c->sec_admin, ROLE_SEC_ADMIN }, { c->data_operator, ROLE_DATA_OPERATOR } } });
}

struct market *market_under(const char *const *lines)
{
        struct city *c = city_new();

        city_anchor(c);
        city_broker_credential(c);
        city_department(c, CITY_AUTHORITY, "authority");
        publish(c, lines);
        return market_of(c);
}

struct market *market_new(void)
{
        return market_of(city_founded());
}

void market_free(struct market *m)
{
        if (!m)
                return;
        city_free(m->c);
        free(m);
}

void market_freep(struct market **m)
{
        market_free(*m);
}

/* ---- catalog ---- */

static Shuyi__V1__Item *item(struct market *m, uint32_t no, const char *cn, const char *en, bool authoritative, const char *semantic)
{
        Shuyi__V1__Item *i = NEW(m, Item, item);

        i->item_no = no;
        i->name_cn = (char *)cn;
        i->name_en = (char *)en;
        i->data_type = 'C';
        i->length = 60;
        i->semantic_code = (char *)semantic;
        i->sensitivity = SENS_PUBLIC;
        i->source_role = authoritative ? SOURCE_AUTHORITATIVE : SOURCE_SECONDARY;
        i->key = no == 1;
        return i;
}

static void add_items(struct market *m, Shuyi__V1__Entry *e, bool authoritative)
{
        e->n_items = 4;
        e->items = must(ARENA_ARRAY(m->c->arena, Shuyi__V1__Item *, 4));
        e->items[0] = item(m, 1, "区划代码", "code", authoritative, "N.GEO.DIVISION");
        e->items[1] = item(m, 2, "名称", "name", authoritative, "");
        e->items[2] = item(m, 3, "上级代码", "parent", authoritative, "");
        e->items[3] = item(m, 4, "级别", "level", authoritative, "");
}

static void add_sample(struct market *m, Shuyi__V1__Entry *e)
{
        static char *values[] = { "442000001000", "石岐街道", "442000000000", "TOWN" };
        Shuyi__V1__SampleRow *row = NEW(m, SampleRow, sample_row);

        row->n_values = 4;
        row->values = values;
        e->n_sample = 1;
        e->sample = must(ARENA_ARRAY(m->c->arena, Shuyi__V1__SampleRow *, 1));
        e->sample[0] = row;
}

static void add_review(struct market *m, Shuyi__V1__Entry *e)
{
        e->secrecy_review = NEW(m, SecrecyReview, secrecy_review);
        e->secrecy_review->reviewer = keep(m, bytes_id(&m->civil_officer->id));
        e->secrecy_review->approver = keep(m, bytes_id(&m->civil_approver->id));
        e->secrecy_review->date = "2026-02-10";
        e->secrecy_review->conclusion = 1;
        e->items_changed_on = "2026-02-01";
}

Shuyi__V1__Entry *market_open_entry(struct market *m)
{
        static uint32_t methods[] = { METHOD_DB_PUSH }, uses[] = { USE_ADMIN_BASIS, USE_WORK_REFERENCE };
        Shuyi__V1__Entry *e = NEW(m, Entry, entry);

        e->resource_code = "130001";
        e->resource_name = "行政区划";
        e->class_level = 1;
        e->class_path = "基础/自然资源和空间地理/行政区划";
        e->provider_code = CITY_CIVIL;
        e->provider_name = "civil";
        e->office = "区划地名科";
        e->contact = keep(m, bytes_id(&m->civil_officer->id));
        e->abstract = "全市镇街和村居的区划代码、名称、上级与级别";
        e->form = FORM_STRUCTURED;
        e->format_category = FORMAT_DATABASE;
        e->format_detail = "csv";
        add_items(m, e, true);
        e->share_type = SHARE_UNCONDITIONAL;
        e->n_share_methods = 1;
        e->share_methods = methods;
        e->n_use_classes = 2;
        e->use_classes = uses;
        e->use_requirement = "公共服务";
        add_sample(m, e);
        e->open_type = OPEN_NOT_OPEN;
        e->update_cycle = CYCLE_REALTIME;
        e->acquisition = ACQUIRE_BY_LAW;
        e->collect_basis = "行政区划管理条例";
        e->grade = 1;
        add_review(m, e);
        e->base_db = BASE_GEO_SPATIAL;
        return e;
}

Shuyi__V1__Entry *market_conditional_entry(struct market *m)
{
        Shuyi__V1__Entry *e = market_open_entry(m);
        Shuyi__V1__Basis *basis = NEW(m, Basis, basis);

        e->resource_code = "344001";
        e->resource_name = "镇街区划明细";
        e->class_level = 3;
        e->class_path = "部门/民政/区划";
        e->base_db = 0;
        add_items(m, e, false);
        e->share_type = SHARE_CONDITIONAL;
        e->share_condition = "承担公共卫生职责的部门";
        e->share_scope = "class GOV_DEPT : ADMIN_BASIS,WORK_REFERENCE : ALL";
        basis->level = BASIS_MUNICIPAL_DOC;
        basis->title = "中山市区划数据使用规定";
        e->n_share_basis = 1;
        e->share_basis = must(ARENA_ARRAY(m->c->arena, Shuyi__V1__Basis *, 1));
        e->share_basis[0] = basis;
        return e;
}

struct city_result market_submit(struct market *m, const Shuyi__V1__Entry *entry, const struct digest *matter)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__CatSubmitBody body = SHUYI__V1__CAT_SUBMIT_BODY__INIT;

        i.agent = keep(m, bytes_id(&m->civil_agent->id));
        if (matter)
                i.object = keep(m, bytes_digest(matter));
        body.entry = (Shuyi__V1__Entry *)entry;
        return city_act(m->c, &(struct city_act){ .kind = KIND_CAT_SUBMIT, .intent = &i, .body = &body.base,
                                                  .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { m->civil_approver, ROLE_APPROVER } } });
}

struct city_result market_approve(struct market *m, const struct digest *matter, const struct digest *submit)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__CatApproveBody body = SHUYI__V1__CAT_APPROVE_BODY__INIT;

        i.object = keep(m, bytes_digest(matter));
        body.submit_digest = keep(m, bytes_digest(submit));
        return city_act(m->c, &(struct city_act){ .kind = KIND_CAT_APPROVE, .intent = &i, .body = &body.base,
                                                  .by = { { m->c->data_operator, ROLE_DATA_OPERATOR } } });
}

Shuyi__V1__MatterRow *market_matter(struct market *m, const struct digest *matter)
{
        return CITY_ROW(m->c, TABLE_MATTER, &shuyi__v1__matter_row__descriptor, bytes_digest(matter));
}

const char *market_publish(struct market *m, const Shuyi__V1__Entry *entry)
{
        struct city_result submitted = market_submit(m, entry, NULL), approved;
        struct digest matter = submitted.digest;

        if (submitted.code == ACCEPTED)
                approved = market_approve(m, &matter, &matter);
        if (submitted.code != ACCEPTED || approved.code != ACCEPTED)
                abort();
        return market_matter(m, &matter)->resource;
}

/* ---- grants ---- */

Shuyi__V1__Intent *market_ask(struct market *m, const char *resource)
{
        static const uint32_t items[] = { 1, 2, 3 };
        Shuyi__V1__Intent *i = NEW(m, Intent, intent);

        i->resource = (char *)resource;
        i->resource_version = 1;
        i->n_items = 3;
        i->items = keep_numbers(m, items, 3);
        i->purpose = "CHILD_HEALTH";
        i->use_class = USE_WORK_REFERENCE;
        i->method = METHOD_DB_PUSH;
        i->medium = MEDIUM_NETWORK;
        i->agent = keep(m, bytes_id(&m->health_agent->id));
        return i;
}

static struct city_result ask(struct market *m, uint16_t kind, const Shuyi__V1__Intent *i)
{
        Shuyi__V1__RequestBody body = SHUYI__V1__REQUEST_BODY__INIT;

        body.need = "网格与区划对应";
        body.duty_basis = "三定方案";
        return city_act(m->c, &(struct city_act){ .kind = kind, .intent = i, .body = &body.base,
                                                  .by = { { m->health_user, ROLE_USER }, { m->health_approver, ROLE_APPROVER } } });
}

struct city_result market_get(struct market *m, const Shuyi__V1__Intent *i)
{
        return ask(m, KIND_GET, i);
}

struct city_result market_apply(struct market *m, const Shuyi__V1__Intent *i)
{
        return ask(m, KIND_REQ_SUBMIT, i);
}

Shuyi__V1__Intent *market_answer(struct market *m, const struct digest *request, const uint32_t *items, size_t n)
{
        Shuyi__V1__Intent *i = NEW(m, Intent, intent);

        i->request = keep(m, bytes_digest(request));
        i->in_reply_to = i->request;
        i->n_items = n;
        i->items = keep_numbers(m, items, n);
        return i;
}

struct city_result market_reply(struct market *m, uint16_t kind, const Shuyi__V1__Intent *i, const Shuyi__V1__ReplyBody *body)
{
        Shuyi__V1__ReplyBody empty = SHUYI__V1__REPLY_BODY__INIT;

        return city_act(m->c, &(struct city_act){ .kind = kind, .intent = i, .body = body ? &body->base : &empty.base,
                                                  .by = { { m->civil_officer, ROLE_DATA_OFFICER }, { m->civil_approver, ROLE_APPROVER } } });
}

struct city_result market_reason(struct market *m, uint16_t kind, const struct digest *grant, const struct digest *request,
                                 uint32_t reason, const struct party *who, enum role as)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__ReasonBody body = SHUYI__V1__REASON_BODY__INIT;

        if (grant)
                i.grant = keep(m, bytes_digest(grant));
        if (request)
                i.request = keep(m, bytes_digest(request));
        body.reason = reason;
        return city_act(m->c, &(struct city_act){ .kind = kind, .intent = &i, .body = &body.base, .by = { { who, as } } });
}

Shuyi__V1__RequestRow *market_request(struct market *m, const struct digest *request)
{
        return CITY_ROW(m->c, TABLE_REQUEST, &shuyi__v1__request_row__descriptor, bytes_digest(request));
}

Shuyi__V1__GrantRow *market_grant(struct market *m, const struct digest *grant)
{
        return CITY_ROW(m->c, TABLE_GRANT, &shuyi__v1__grant_row__descriptor, bytes_digest(grant));
}

Shuyi__V1__SubscriptionRow *market_subscription(struct market *m, const struct digest *grant)
{
        return CITY_ROW(m->c, TABLE_SUBSCRIPTION, &shuyi__v1__subscription_row__descriptor, bytes_digest(grant));
}

/* ---- streams ---- */

struct city_result market_subscribe(struct market *m, const struct digest *grant)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;
        Shuyi__V1__SubscribeBody body = SHUYI__V1__SUBSCRIBE_BODY__INIT;

        i.grant = keep(m, bytes_digest(grant));
        return city_act(m->c, &(struct city_act){ .kind = KIND_SUBSCRIBE, .intent = &i, .body = &body.base, .by = { { m->health_agent, ROLE_AGENT } } });
}

struct market_stream market_stream_of(struct market *m, const struct digest *grant)
{
        Shuyi__V1__GrantRow *g = must(market_grant(m, grant));
        struct market_stream s = { .resource = g->resource, .items_n = g->n_items };

        memcpy(s.view.b, g->view.data, DIGEST_BYTES);
        memcpy(s.items, g->items, g->n_items * sizeof(*g->items));
        s.id = stream_id(&m->civil_agent->id, &s.view);
        s.key_id = digest_plain(bytes_str("key"));
        return s;
}

Shuyi__V1__AudienceRow *market_row(struct market *m, const struct digest *grant)
{
        Shuyi__V1__GrantRow *g = must(market_grant(m, grant));
        Shuyi__V1__AgentRow *agent = must(CITY_ROW(m->c, TABLE_AGENT, &shuyi__v1__agent_row__descriptor, bytes_of_field(g->agent)));
        Shuyi__V1__AudienceRow *r = NEW(m, AudienceRow, audience_row);

        r->grant = keep(m, bytes_digest(grant));
        r->channel = g->channel;
        r->consumer = g->consumer;
        r->purpose = g->purpose;
        r->user = g->user;
        r->approver = g->approver;
        r->method = g->method;
        r->agent = g->agent;
        r->seal_key = agent->seal_key;
        r->wrapped = keep(m, bytes_str("wrapped"));
        return r;
}

Shuyi__V1__Intent *market_link(struct market *m, const struct market_stream *s)
{
        Shuyi__V1__Intent *i = NEW(m, Intent, intent);

        i->stream = keep(m, bytes_digest(&s->id));
        i->stream_seq = s->head + 1;
        if (s->head)
                i->prev_digest = keep(m, bytes_digest(&s->head_digest));
        i->view = keep(m, bytes_digest(&s->view));
        i->resource = (char *)s->resource;
        i->resource_version = 1;
        i->view_epoch = s->epoch;
        i->key_id = keep(m, bytes_digest(&s->key_id));
        i->n_items = s->items_n;
        i->items = keep_numbers(m, s->items, s->items_n);
        return i;
}

/* Digest of the review of version 1. */
static ProtobufCBinaryData secrecy_of(struct market *m, const char *resource)
{
        Shuyi__V1__VersionRow *v;
        struct digest secrecy;
        uint8_t version[4];

        put_be32(version, 1);
        v = must(CITY_ROW(m->c, TABLE_VERSION, &shuyi__v1__version_row__descriptor, bytes_of(version, 4), bytes_str(resource)));
        secrecy = entry_secrecy_digest(m->c->arena, v->entry);
        return keep(m, bytes_digest(&secrecy));
}

Shuyi__V1__Intent *market_epoch_intent(struct market *m, const struct market_stream *s, Shuyi__V1__AudienceRow **rows, size_t n)
{
        Shuyi__V1__Intent *i = market_link(m, s);
        struct digest *leaves = must(ARENA_ARRAY(m->c->arena, struct digest, n + 1)), root;

        for (size_t k = 0; k < n; k++)
                leaves[k] = row_leaf(message_pack(m->c->arena, &rows[k]->base));
        root = merkle_records_root(leaves, n);
        i->view_epoch = s->epoch + 1;
        i->record_count = (uint32_t)n;
        i->secrecy_review = secrecy_of(m, s->resource);
        i->records_root = keep(m, bytes_digest(&root));
        return i;
}

Shuyi__V1__Intent *market_update_intent(struct market *m, const struct market_stream *s, uint32_t records)
{
        Shuyi__V1__Intent *i = market_link(m, s);
        struct digest root = digest_plain(bytes_str("records"));

        i->secrecy_review = secrecy_of(m, s->resource);
        i->medium = MEDIUM_NETWORK;
        i->record_count = records;
        i->records_root = keep(m, bytes_digest(&root));
        i->oldest_changed_at = m->c->now.ms;
        return i;
}

static struct city_result sent(struct market_stream *s, const Shuyi__V1__Intent *i, struct city_result r)
{
        if (r.code != ACCEPTED)
                return r;
        s->head = i->stream_seq;
        s->head_digest = r.digest;
        s->epoch = i->view_epoch;
        return r;
}

struct city_result market_send_epoch(struct market *m, struct market_stream *s, const Shuyi__V1__Intent *i, Shuyi__V1__AudienceRow **rows, size_t n)
{
        Shuyi__V1__ViewEpochBody body = SHUYI__V1__VIEW_EPOCH_BODY__INIT;

        body.n_rows = n;
        body.rows = rows;
        return sent(s, i, city_act(m->c, &(struct city_act){ .kind = KIND_VIEW_EPOCH, .intent = i, .body = &body.base,
                                                             .by = { { m->civil_agent, ROLE_AGENT } } }));
}

struct city_result market_send(struct market *m, struct market_stream *s, uint16_t kind, const Shuyi__V1__Intent *i)
{
        static const uint8_t sealed[200] = { 1 };

        return sent(s, i, city_act(m->c, &(struct city_act){ .kind = kind, .intent = i, .raw = kind == KIND_UPDATE ? bytes_of(sealed, sizeof(sealed)) : (struct bytes){ 0 },
                                                             .by = { { m->civil_agent, ROLE_AGENT } } }));
}

struct city_result market_epoch(struct market *m, struct market_stream *s, const struct digest *const *grants, size_t n)
{
        Shuyi__V1__AudienceRow **rows = must(ARENA_ARRAY(m->c->arena, Shuyi__V1__AudienceRow *, n + 1));

        for (size_t i = 0; i < n; i++)
                rows[i] = market_row(m, grants[i]);
        return market_send_epoch(m, s, market_epoch_intent(m, s, rows, n), rows, n);
}

struct city_result market_update(struct market *m, struct market_stream *s, uint32_t records)
{
        return market_send(m, s, KIND_UPDATE, market_update_intent(m, s, records));
}

struct digest market_live(struct market *m, const char *resource, struct market_stream *ret)
{
        struct city_result got = market_get(m, market_ask(m, resource));
        struct digest grant = got.digest;
        const struct digest *grants[] = { &grant };

        if (got.code != ACCEPTED || market_subscribe(m, &grant).code != ACCEPTED)
                abort();
        *ret = market_stream_of(m, &grant);
        if (market_epoch(m, ret, grants, 1).code != ACCEPTED)
                abort();
        return grant;
}

Shuyi__V1__DeliveryReceiptBody *market_receipt(struct market *m, uint64_t first, uint64_t last, const struct digest *last_digest)
{
        Shuyi__V1__DeliveryReceiptBody *b = NEW(m, DeliveryReceiptBody, delivery_receipt_body);

        b->first = first;
        b->last = last;
        b->last_digest = keep(m, bytes_digest(last_digest));
        b->acquired_at = m->c->now.ms;
        b->n_deltas = last - first;
        b->deltas = must(ARENA_ARRAY(m->c->arena, uint64_t, b->n_deltas + 1));
        return b;
}

struct city_result market_send_receipt(struct market *m, const struct digest *grant, const struct digest *stream, const Shuyi__V1__DeliveryReceiptBody *body)
{
        Shuyi__V1__Intent i = SHUYI__V1__INTENT__INIT;

        i.grant = keep(m, bytes_digest(grant));
        i.stream = keep(m, bytes_digest(stream));
        return city_act(m->c, &(struct city_act){ .kind = KIND_DELIVERY_RECEIPT, .intent = &i, .body = &body->base, .by = { { m->health_agent, ROLE_AGENT } } });
}
