/* metrics_table: what the agent counts.  One row each; the manual and /metrics come from it. */
#pragma once
#include "common/metrics.h"
#include "common/refusal.h"

const char *agent_refusal_label(unsigned i);
const char *agent_kind_label(unsigned i);
const char *alarm_label(unsigned i);            /* alarms.h */
unsigned agent_refusal_index(enum refusal code);        /* the label of a code */

/* X(constant, name, kind, unit, help, label, label_value) */
#define AGENT_METRICS(X) \
        X(M_PUSHED, "shuyi_agent_records_pushed_total", METRIC_COUNTER, METRIC_COUNT, "Records taken from business systems.", NULL, NULL) \
        X(M_PUSH_REFUSED, "shuyi_agent_pushes_refused_total", METRIC_COUNTER, METRIC_COUNT, "Pushes that were not taken.", NULL, NULL) \
        X(M_QUOTA, "shuyi_agent_pushes_over_quota_total", METRIC_COUNTER, METRIC_COUNT, "Pushes answered 429.", NULL, NULL) \
        X(M_SEALED, "shuyi_agent_links_sealed_total", METRIC_COUNTER, METRIC_COUNT, "Links of own streams that were sealed.", NULL, NULL) \
        X(M_SEALED_RECORDS, "shuyi_agent_records_sealed_total", METRIC_COUNTER, METRIC_COUNT, "Records sealed, once for each view.", NULL, NULL) \
        X(M_EPOCHS, "shuyi_agent_view_epochs_total", METRIC_COUNTER, METRIC_COUNT, "View epochs issued.", NULL, NULL) \
        X(M_SENT, "shuyi_agent_envelopes_sent_total", METRIC_COUNTER, METRIC_COUNT, "PUT frames handed to the link, repetitions included.", NULL, NULL) \
        X(M_SETTLED, "shuyi_agent_envelopes_settled_total", METRIC_COUNTER, METRIC_COUNT, "Envelopes with a receipt.", NULL, NULL) \
        X(M_REFUSED, "shuyi_agent_refused_total", METRIC_COUNTER, METRIC_COUNT, "Refusals received, by code.", "code", agent_refusal_label) \
        X(M_DEAD, "shuyi_agent_dead_letters_total", METRIC_COUNTER, METRIC_COUNT, "Envelopes refused for good.", NULL, NULL) \
        X(M_PARCELS, "shuyi_agent_parcels_total", METRIC_COUNTER, METRIC_COUNT, "Parcels kept.", NULL, NULL) \
        X(M_REPEATED, "shuyi_agent_parcels_repeated_total", METRIC_COUNTER, METRIC_COUNT, "Links that were held already.", NULL, NULL) \
        X(M_OPENED, "shuyi_agent_records_opened_total", METRIC_COUNTER, METRIC_COUNT, "Records opened and kept.", NULL, NULL) \
        X(M_BREACH, "shuyi_agent_breaches_total", METRIC_COUNTER, METRIC_COUNT, "Links that broke what they said, by code.", "code", agent_refusal_label) \
        X(M_RECEIPTS, "shuyi_agent_delivery_receipts_total", METRIC_COUNTER, METRIC_COUNT, "Delivery receipts signed.", NULL, NULL) \
        X(M_SUNK, "shuyi_agent_records_stored_total", METRIC_COUNTER, METRIC_COUNT, "Records that a sink has synced.", NULL, NULL) \
        X(M_CENTER_BAD, "shuyi_agent_center_faults_total", METRIC_COUNTER, METRIC_COUNT, "Frames, receipts and parcels of the center that did not hold.", NULL, NULL) \
        X(M_TRUST_BAD, "shuyi_agent_trust_rejected_total", METRIC_COUNTER, METRIC_COUNT, "Trust records or heads that did not hold.", NULL, NULL) \
        X(M_ACTS, "shuyi_agent_acts_total", METRIC_COUNTER, METRIC_COUNT, "Acts handed in by people and kept.", NULL, NULL) \
        X(M_ACTS_REFUSED, "shuyi_agent_acts_refused_total", METRIC_COUNTER, METRIC_COUNT, "Acts refused before they left, by code.", "code", agent_refusal_label) \
        X(M_HTTP, "shuyi_agent_http_requests_total", METRIC_COUNTER, METRIC_COUNT, "Requests to the API.", NULL, NULL) \
        X(M_HTTP_PROBLEMS, "shuyi_agent_http_problems_total", METRIC_COUNTER, METRIC_COUNT, "Requests answered with a problem: 4xx or 5xx.", NULL, NULL) \
        X(M_HTTP_TOO_LARGE, "shuyi_agent_http_too_large_total", METRIC_COUNTER, METRIC_COUNT, "Requests whose body was beyond api.body_max.", NULL, NULL) \
        X(M_COMMIT, "shuyi_agent_commit_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time of one durable commit.", NULL, NULL) \
        X(M_LINK_STATE, "shuyi_agent_link_up", METRIC_GAUGE, METRIC_COUNT, "1 while a session with the broker stands.", NULL, NULL) \
        X(M_RECONNECTS, "shuyi_agent_sessions_total", METRIC_COUNTER, METRIC_COUNT, "Sessions opened.", NULL, NULL) \
        X(M_DENIED, "shuyi_agent_link_denied_total", METRIC_COUNTER, METRIC_COUNT, "Handshakes that the broker denied.", NULL, NULL) \
        X(M_HEAD_AGE, "shuyi_agent_trust_head_age_seconds", METRIC_GAUGE, METRIC_SECONDS, "Age of the newest trust head.", NULL, NULL) \
        X(M_TAKEN, "shuyi_agent_taken_records", METRIC_GAUGE, METRIC_COUNT, "Records that wait for their receipts.", NULL, NULL) \
        X(M_TAKEN_BYTES, "shuyi_agent_taken_bytes", METRIC_GAUGE, METRIC_BYTES, "Bytes of them.", NULL, NULL) \
        X(M_STORE_USED, "shuyi_agent_store_used_ratio", METRIC_GAUGE, METRIC_RATIO, "Share of the store in use.", NULL, NULL) \
        X(M_PROVED, "shuyi_agent_receipts_proved_total", METRIC_COUNTER, METRIC_COUNT, "Receipted entries proved to stand in the log.", NULL, NULL) \
        X(M_UNPROVED, "shuyi_agent_receipts_unproved", METRIC_GAUGE, METRIC_COUNT, "Receipted entries that are not proved yet.", NULL, NULL) \
        X(M_UNPROVED_AGE, "shuyi_agent_receipts_unproved_age_seconds", METRIC_GAUGE, METRIC_SECONDS, "Age of the oldest receipt that is not proved yet.", NULL, NULL) \
        X(M_VERIFIED_SIZE, "shuyi_agent_verified_log_size", METRIC_GAUGE, METRIC_COUNT, "Entries under the highest head that was verified.", NULL, NULL) \
        X(M_VERIFIED_AGE, "shuyi_agent_verified_head_age_seconds", METRIC_GAUGE, METRIC_SECONDS, "Time since that head was verified.", NULL, NULL) \
        X(M_ASKED, "shuyi_agent_proofs_asked_total", METRIC_COUNTER, METRIC_COUNT, "Questions for heads and proofs.", NULL, NULL) \
        X(M_SEEN_LOST, "shuyi_agent_seen_dropped_total", METRIC_COUNTER, METRIC_COUNT, "Heads that peers had seen and for which no place was left.", NULL, NULL) \
        X(M_ALARMED, "shuyi_agent_alarms_raised_total", METRIC_COUNTER, METRIC_COUNT, "Alarms raised, by kind.", "kind", alarm_label) \
        X(M_ALARMS, "shuyi_agent_alarms", METRIC_GAUGE, METRIC_COUNT, "Alarms that stand.", NULL, NULL) \
        X(M_HALTED, "shuyi_agent_halted", METRIC_GAUGE, METRIC_COUNT, "1 while an alarm keeps the agent from sealing and opening.", NULL, NULL) \
        X(M_SINK_FAULT, "shuyi_agent_sink_faults_total", METRIC_COUNTER, METRIC_COUNT, "Failed writes of sinks; each is tried again.", NULL, NULL)

enum { AGENT_METRICS(METRIC_ENUMERATOR) M_COUNT };
extern const struct metric_row agent_metric_rows[M_COUNT];
