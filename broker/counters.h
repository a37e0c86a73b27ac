/* counters: what the broker counts, one row each (STYLE 8). */
#pragma once
#include "common/metrics.h"

#define BROKER_METRICS(X) \
        X(M_FRAMES, "shuyi_frames_received_total", METRIC_COUNTER, METRIC_COUNT, "Frames taken from links, by type.", "type", counters_frame) \
        X(M_FRAME_BYTES, "shuyi_frames_received_bytes_total", METRIC_COUNTER, METRIC_BYTES, "Bytes of frames taken from links.", NULL, NULL) \
        X(M_SENT, "shuyi_frames_sent_total", METRIC_COUNTER, METRIC_COUNT, "Frames sent to links, by type.", "type", counters_frame) \
        X(M_SEND_FAILED, "shuyi_frames_unsent_total", METRIC_COUNTER, METRIC_COUNT, "Frames whose link was gone or full.", NULL, NULL) \
        X(M_IGNORED, "shuyi_frames_ignored_total", METRIC_COUNTER, METRIC_COUNT, "Frames not taken and sessions ended, by reason.", "reason", counters_why) \
        X(M_BUSY, "shuyi_busy_total", METRIC_COUNTER, METRIC_COUNT, "BUSY answers, by reason.", "reason", counters_busy) \
        X(M_CUT, "shuyi_links_cut_total", METRIC_COUNTER, METRIC_COUNT, "Connections cut by the broker.", NULL, NULL) \
        X(M_LINKS, "shuyi_links", METRIC_GAUGE, METRIC_COUNT, "Links with an open session.", NULL, NULL) \
        X(M_ADMITTED, "shuyi_handshakes_admitted_total", METRIC_COUNTER, METRIC_COUNT, "Connections whose key was known.", NULL, NULL) \
        X(M_DENIED, "shuyi_handshakes_denied_total", METRIC_COUNTER, METRIC_COUNT, "Connections refused in the handshake: key unknown or revoked.", NULL, NULL) \
        X(M_HANDSHAKE_FAILED, "shuyi_handshakes_failed_total", METRIC_COUNTER, METRIC_COUNT, "Handshakes that broke off.", NULL, NULL) \
        X(M_REFUSED, "shuyi_refused_total", METRIC_COUNTER, METRIC_COUNT, "Envelopes refused, by code.", "code", counters_refusal) \
        X(M_ACCEPTED, "shuyi_accepted_total", METRIC_COUNTER, METRIC_COUNT, "Envelopes accepted, by kind.", "kind", counters_kind) \
        X(M_REPEATED, "shuyi_repeated_total", METRIC_COUNTER, METRIC_COUNT, "Envelopes answered with their earlier receipt.", NULL, NULL) \
        X(M_VERIFY, "shuyi_verify_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time to check one envelope's form and signatures.", NULL, NULL) \
        X(M_APPLY, "shuyi_apply_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time to apply one entry.", NULL, NULL) \
        X(M_GROUP, "shuyi_group_entries", METRIC_HISTOGRAM, METRIC_COUNT, "Entries a group.", NULL, NULL) \
        X(M_SYNC, "shuyi_sync_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time to write and sync a group.", NULL, NULL) \
        X(M_COMMIT, "shuyi_commit_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "Time to commit the state.", NULL, NULL) \
        X(M_ACK, "shuyi_acknowledge_seconds", METRIC_HISTOGRAM, METRIC_SECONDS, "From taking an envelope in to its receipt.", NULL, NULL) \
        X(M_PARCELS, "shuyi_parcels_total", METRIC_COUNTER, METRIC_COUNT, "Parcels sent, by type.", "type", counters_parcel) \
        X(M_COLD, "shuyi_parcels_cold_total", METRIC_COUNTER, METRIC_COUNT, "Parcels read from segments, not from memory.", NULL, NULL) \
        X(M_DEAD, "shuyi_dead_letters_total", METRIC_COUNTER, METRIC_COUNT, "Deliveries that could not be made.", NULL, NULL) \
        X(M_READS, "shuyi_reads_total", METRIC_COUNTER, METRIC_COUNT, "Reads answered, by what was asked.", "what", counters_read) \
        X(M_SEQ, "shuyi_log_sequence", METRIC_GAUGE, METRIC_COUNT, "Last entry made.", NULL, NULL) \
        X(M_SYNCED, "shuyi_log_synced_sequence", METRIC_GAUGE, METRIC_COUNT, "Last entry on disk.", NULL, NULL) \
        X(M_COMMITTED, "shuyi_state_sequence", METRIC_GAUGE, METRIC_COUNT, "Last entry in the committed state.", NULL, NULL) \
        X(M_INDEX, "shuyi_search_sequence", METRIC_GAUGE, METRIC_COUNT, "Last entry in the search index.", NULL, NULL) \
        X(M_TRUST, "shuyi_trust_sequence", METRIC_GAUGE, METRIC_COUNT, "Last trust record.", NULL, NULL) \
        X(M_TILES, "shuyi_tiles_leaves", METRIC_GAUGE, METRIC_COUNT, "Entries of which proofs can be made.", NULL, NULL) \
        X(M_PUBLISHED, "shuyi_published_size", METRIC_GAUGE, METRIC_COUNT, "Size of the newest published head.", NULL, NULL) \
        X(M_PUBLISHED_AGE, "shuyi_published_age_seconds", METRIC_GAUGE, METRIC_SECONDS, "Since the last cosignature on the published head, or the start; 0 where the anchor asks for none.", NULL, NULL) \
        X(M_WITNESS_QUORUM, "shuyi_witness_quorum", METRIC_GAUGE, METRIC_COUNT, "Cosignatures that the anchor in force asks for.", NULL, NULL) \
        X(M_WITNESS_COSIGNED, "shuyi_witness_cosignatures_total", METRIC_COUNTER, METRIC_COUNT, "Good cosignatures, by witness.", "witness", counters_witness) \
        X(M_WITNESS_REFUSED, "shuyi_witness_refusals_total", METRIC_COUNTER, METRIC_COUNT, "Heads that a witness found not to go on from what it saw.", "witness", counters_witness) \
        X(M_WITNESS_FAILED, "shuyi_witness_failures_total", METRIC_COUNTER, METRIC_COUNT, "Other answers, and none, by witness.", "witness", counters_witness) \
        X(M_TILES_MENDED, "shuyi_tiles_mended_total", METRIC_COUNTER, METRIC_COUNT, "Tiles found wrong and derived again.", NULL, NULL) \
        X(M_TILES_LOST, "shuyi_tiles_lost_total", METRIC_COUNTER, METRIC_COUNT, "Times a tile was found wrong with nothing left to derive it from.", NULL, NULL) \
        X(M_BASE_SEQ, "shuyi_base_sequence", METRIC_GAUGE, METRIC_COUNT, "Last entry in the newest state image.", NULL, NULL) \
        X(M_BASE_FAILED, "shuyi_base_failed_total", METRIC_COUNTER, METRIC_COUNT, "State images that could not be written.", NULL, NULL) \
        X(M_PURGED_BODIES, "shuyi_purged_bodies_total", METRIC_COUNTER, METRIC_COUNT, "Bodies taken out of the log by retention.", NULL, NULL) \
        X(M_PURGED_INPUTS, "shuyi_purged_inputs_total", METRIC_COUNTER, METRIC_COUNT, "Entries taken out of the log by retention, their leaf hashes left.", NULL, NULL) \
        X(M_DEPTH, "shuyi_queue_items", METRIC_GAUGE, METRIC_COUNT, "Items waiting, by queue.", "queue", counters_queue) \
        X(M_HOT_BYTES, "shuyi_hot_bytes", METRIC_GAUGE, METRIC_BYTES, "Entries kept in memory for delivery.", NULL, NULL) \
        X(M_SPACE, "shuyi_space_used_ratio", METRIC_GAUGE, METRIC_RATIO, "Disk used.", NULL, NULL) \
        X(M_SPACE_STEP, "shuyi_space_step", METRIC_GAUGE, METRIC_COUNT, "0 free, 1 alert, 2 no data, 3 reserved kinds only.", NULL, NULL) \
        X(M_STORE_BYTES, "shuyi_store_bytes", METRIC_GAUGE, METRIC_BYTES, "State file: high-water mark.", NULL, NULL) \
        X(M_READER_AGE, "shuyi_store_oldest_reader_seconds", METRIC_GAUGE, METRIC_SECONDS, "Age of the oldest snapshot.", NULL, NULL) \
        X(M_CLOCK, "shuyi_clock_stopped", METRIC_GAUGE, METRIC_COUNT, "1 while the clock guard stops stamping.", NULL, NULL) \
        X(M_RELOAD, "shuyi_config_last_reload_success", METRIC_GAUGE, METRIC_COUNT, "1 if the last SIGHUP was taken.", NULL, NULL) \
        X(M_QUARANTINED, "shuyi_quarantined", METRIC_GAUGE, METRIC_COUNT, "Envelopes kept out after a crash.", NULL, NULL)

enum broker_metric { BROKER_METRICS(METRIC_ENUMERATOR) M_COUNT };
enum counters_queue { Q_VERIFY, Q_SEQUENCE, Q_DELIVER, Q_FRONT, Q_READS, Q_COUNT };

extern const struct metric_row counters_rows[];

/* Labels: text of value i, NULL past the last; and the label of a code, kind, ... */
const char *counters_frame(unsigned i);
const char *counters_why(unsigned i);
const char *counters_busy(unsigned i);
const char *counters_refusal(unsigned i);
const char *counters_kind(unsigned i);
const char *counters_parcel(unsigned i);
const char *counters_read(unsigned i);
const char *counters_queue(unsigned i);
const char *counters_witness(unsigned i);
/* Of the configuration, before the table is laid out; borrowed. */
void counters_name_witness(unsigned i, const char *name);
unsigned counters_refusal_label(uint32_t code);
unsigned counters_kind_label(uint32_t kind);
