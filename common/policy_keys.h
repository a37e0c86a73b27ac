/* policy_keys: the keys of a policy profile, in the order of the files (REGULATIONS 11).
 *
 * One row a key: what may stand in a value is said here and nowhere else; the loader, the errors and the
 * manual come from it.  The order is that of the canonical form, hence of the digest: a new key changes both. */
#pragma once

/* Basis levels of 4.6 but INTERNAL_RULE. */
#define POLICY_BASIS_LEVELS \
        "LAW, ADMIN_REGULATION, CENTRAL_POLICY, STATE_COUNCIL_DECISION, LOCAL_REGULATION, RULE, NATIONAL_PROVINCIAL_DOC, MUNICIPAL_DOC"

/* X(key, type, low, high, none, allowed, where it is used)
 *
 * WD, INT       low..high, and `none` where none is 1
 * ENUM, BOOL    one of the words allowed
 * SET           some of the words allowed, in their order, and `none` where none is 1
 * TEXT          low..high characters, of those allowed, or any printable ones but #
 * DATE          YYYY-MM-DD, YEAR_DAY  MM-DD, and `none` where none is 1 */
#define POLICY_KEYS(X) \
        X(profile, TEXT, 2, 16, 0, "abcdefghijklmnopqrstuvwxyz0123456789", "short name, equal to the file name") \
        X(profile_version, INT, 1, 65535, 0, "", "raised by one with every change") \
        X(standing, ENUM, 0, 0, 0, "DEPLOY, COMPARE", "a COMPARE profile is never published to a domain") \
        X(name, TEXT, 1, 60, 0, "", "display name") \
        X(level, ENUM, 0, 0, 0, "NATION, PROVINCE, CITY, COUNTY", "level of the authority") \
        X(division_code, TEXT, 6, 6, 0, "0123456789", "GB2260 code (Zhongshan has no counties: 4420 and 442000 name the same area)") \
        X(effective_from, DATE, 0, 0, 1, "", "first day") \
        X(authority_title, TEXT, 1, 60, 0, "", "shown in notices") \
        X(uncond_mode, ENUM, 0, 0, 0, "DIRECT, REQUEST_REPLY", "6.1") \
        X(uncond_reply_wd, WD, 0, 60, 1, "", "base: receipt; only under REQUEST_REPLY") \
        X(cond_decider, ENUM, 0, 0, 0, "PROVIDER, AUTHORITY_WITH_PROVIDER, AUTHORITY", "6.2") \
        X(provide_by, ENUM, 0, 0, 0, "PROVIDER, AUTHORITY", "who makes event PROVIDE of 6.2") \
        X(reply_wd, WD, 0, 60, 1, "", "reply to a conditional request; base: receipt") \
        X(reply_ext_wd, WD, 0, 60, 0, "", "extension; once") \
        X(reply_ext_approver, ENUM, 0, 0, 0, "AUTHORITY, none", "who consents to it") \
        X(silence, ENUM, 0, 0, 0, "AUTHORITY_PROVIDES, REPORT", "what an overdue reply does") \
        X(authority_provide_wd, WD, 0, 60, 1, "", "base: reply due date (P)") \
        X(provide_wd, WD, 0, 60, 1, "", "base: consenting reply") \
        X(refuse_reason, BOOL, 0, 0, 0, "YES, NO", "reason mandatory") \
        X(refuse_basis, BOOL, 0, 0, 0, "YES, NO", "legal basis mandatory in a refusal") \
        X(refuse_basis_levels, SET, 0, 0, 1, POLICY_BASIS_LEVELS, "levels accepted for reason R_BASIS; none where refuse_basis=NO") \
        X(incomplete, ENUM, 0, 0, 0, "SUPPLEMENT_FIRST, MAY_REFUSE", "handling of incomplete applications") \
        X(consumer_internal_approval, ENUM, 0, 0, 0, "APPROVER, SHARING_HEAD", "who signs a request") \
        X(provider_internal_approval, ENUM, 0, 0, 0, "APPROVER, SHARING_HEAD", "who signs a reply") \
        X(request_fields, SET, 0, 0, 1, "LEGAL_BASIS, DUTY_BASIS, NEED, SCENE, USE_SCOPE, PERIOD", "mandatory in a request besides purpose, use class, items and method, which always are") \
        X(withheld_path, ENUM, 0, 0, 0, "VERIFY_ONLY, AUTHORITY_DECIDES, MASKED, NEGOTIATE, NONE", "6.2") \
        X(verify, BOOL, 0, 0, 0, "YES, NO", "6.3 available") \
        X(verify_wd, WD, 0, 60, 1, "", "no text sets it") \
        X(emergency, ENUM, 0, 0, 0, "YES, NO, NOT_STATED", "6.4; disabled unless YES (P)") \
        X(withheld_basis_levels, SET, 0, 0, 1, POLICY_BASIS_LEVELS, "4.6") \
        X(conditional_basis_required, BOOL, 0, 0, 0, "YES, NO", "4.6") \
        X(conditional_basis_levels, SET, 0, 0, 1, POLICY_BASIS_LEVELS, "4.6; none where conditional_basis_required=NO") \
        X(authority_fixes_share_type, BOOL, 0, 0, 0, "YES, NO", "4.9 event 5") \
        X(base_rule, ENUM, 0, 0, 0, "ENTRY, BASIC_ITEMS, SHARED, NOT_STATED", "4.7") \
        X(base_dbs, SET, 0, 0, 1, "NATURAL_PERSON, LEGAL_ENTITY, GEO_SPATIAL, E_LICENCE, PUBLIC_CREDIT, MACRO_ECONOMY", "4.7") \
        X(catalog_change_wd, WD, 0, 60, 1, "", "department: from change of law or duty to submission (NA: to completed update)") \
        X(catalog_change_ext_wd, WD, 0, 60, 0, "", "extension; once") \
        X(catalog_review_wd, WD, 0, 60, 1, "", "authority: review and publish") \
        X(change_notice_months, INT, 0, 12, 0, "", "notice to consumers before a catalog change") \
        X(catalog_check, ENUM, 0, 0, 0, "YEARLY, NOT_STATED", "4.10") \
        X(catalog_pre_assessment, SET, 0, 0, 1, "SECRECY_REVIEW, PI_ASSESSMENT, HEAD_APPROVAL", "C-012, C-019") \
        X(realtime_required, BOOL, 0, 0, 0, "YES, NO", "5.4") \
        X(identifiers_required, BOOL, 0, 0, 0, "YES, NO", "C-016: valid identity document number; unified social credit code") \
        X(inconsistency_first, ENUM, 0, 0, 0, "AUTHORITY, NEGOTIATE, SOURCE_DEPT", "5.2") \
        X(correction_addressee, ENUM, 0, 0, 0, "AUTHORITY, PROVIDER", "7") \
        X(correction_wd, WD, 0, 60, 1, "", "base: receipt") \
        X(correction_ext_wd, WD, 0, 60, 0, "", "extension; once") \
        X(correction_ext_approver, ENUM, 0, 0, 0, "PROVIDER_DEPT_HEAD, none", "who consents to it") \
        X(fix_within_check, BOOL, 0, 0, 0, "YES, NO", "7") \
        X(fix_wd, WD, 0, 60, 1, "", "\"promptly\"") \
        X(correction_covers_catalog, BOOL, 0, 0, 0, "YES, NO", "7") \
        X(cross_level, ENUM, 0, 0, 0, "VIA_AUTHORITY, CITY_NODE, NATIONAL_SYSTEM, NOT_STATED", "6.7; NOT_STATED runs as VIA_AUTHORITY (P)") \
        X(forward_wd, WD, 0, 60, 1, "", "authority forwards upward") \
        X(aggregate_upper, BOOL, 0, 0, 0, "YES, NO", "6.8") \
        X(unlisted_request, ENUM, 0, 0, 0, "AUTHORITY_COORDINATES, REQ_LIST, SUPPLY_DEMAND, NO", "6.9: where the demand enters; the machine is one") \
        X(share_methods, SET, 0, 0, 0, "INTERFACE, ONLINE_QUERY, BATCH_DOWNLOAD, BATCH_EXCHANGE, DB_PUSH", "methods an entry may name; 6.10") \
        X(masked_share, ENUM, 0, 0, 0, "CONDITIONAL_AND_WITHHELD, OPEN_ONLY, NOT_STATED", "6.11") \
        X(open_publish_wd, WD, 0, 60, 1, "", "creation or change to opening") \
        X(open_application, BOOL, 0, 0, 0, "YES, NO", "8.5") \
        X(open_reply_wd, WD, 0, 60, 1, "", "base: receipt") \
        X(open_refuse_basis, BOOL, 0, 0, 0, "YES, NO", "8.5") \
        X(grant_rules, ENUM, 0, 0, 0, "BASIC, FULL", "6.6") \
        X(onward_consent, ENUM, 0, 0, 0, "FORBIDDEN, PUBLICATION_WITH_CONSENT, WITH_PROVIDER_CONSENT", "6.5") \
        X(use_record_years, INT, 1, 100, 1, "", "none: retention_years holds") \
        X(dispute_path, SET, 0, 0, 0, "NEGOTIATE, AUTHORITY, COMMON_SUPERIOR, LEADING_GROUP, GOVERNMENT", "4.12; steps run in this order") \
        X(rectify_path, SET, 0, 0, 1, "AUTHORITY_NOTICE, AUTHORITY_ORDER, SUPERIOR_ORDER, LEADING_GROUP_ORDER, GOVERNMENT_ORDER, CRITICISM, DISCIPLINE", "10.3") \
        X(annual_report_due, YEAR_DAY, 0, 0, 1, "", "10.5; yearly") \
        X(assessment, ENUM, 0, 0, 0, "YEARLY, PERIODIC, SUPERVISION, NOT_STATED", "10.1") \
        X(staff_filing, ENUM, 0, 0, 0, "PUBLISHED, FILED, DESIGNATED, NO", "3.4: what the text asks for; SM-STAFF runs in every profile (P)") \
        X(role_separation, ENUM, 0, 0, 0, "PERSONS, PARTIES, NOT_STATED", "3.5: what the text asks for; persons are kept apart in every profile (P)") \
        X(backup, SET, 0, 0, 1, "LOCAL_CITY, REMOTE", "9.4: targets whose lack is a finding") \
        X(utilities, ENUM, 0, 0, 0, "BY_REFERENCE, NOT_STATED", "3.1") \
        X(self_approval, ENUM, 0, 0, 0, "FORBIDDEN, ALLOWED", "3.5") \
        X(deputy_max_days, INT, 1, 366, 0, "", "3.5, SM-STAFF 6") \
        X(delegation_max_days, INT, 1, 366, 0, "", "6.6 REASSIGN") \
        X(delegation_warn_days, INT, 0, 60, 0, "", "6.6 REASSIGN") \
        X(no_deadline_remind_wd, WD, 0, 60, 1, "", "reminder where a profile sets no deadline") \
        X(annul_window_wd, WD, 0, 250, 0, "", "6.0 ANNUL") \
        X(serve_timeout_s, INT, 1, 86400, 0, "", "6.1") \
        X(supplement_wd, WD, 0, 60, 0, "", "6.2 event 21") \
        X(emerg_ack_s, INT, 10, 86400, 0, "", "6.4") \
        X(emerg_provide_s, INT, 10, 604800, 0, "", "6.4") \
        X(emerg_review_wd, WD, 0, 60, 0, "", "6.4") \
        X(verify_max_subjects, INT, 1, 1000, 0, "", "6.3, per message") \
        X(verify_subject_day_max, INT, 1, 1000, 0, "", "6.3, per consumer department, subject and day") \
        X(verify_subject_life_max, INT, 1, 100000, 0, "", "6.3, per consumer department and subject over the life of the grant") \
        X(verify_dept_day_max, INT, 1, 10000000, 0, "", "6.3, subjects per consumer department, resource and day") \
        X(dispute_raise_wd, WD, 0, 60, 0, "", "6.2 event 18") \
        X(dispute_remind1_wd, WD, 0, 60, 0, "", "4.12") \
        X(dispute_remind2_wd, WD, 0, 120, 0, "", "4.12") \
        X(gov_decision_wd, WD, 0, 60, 0, "", "10.2 V_GOV_DECISION") \
        X(stop_statement_wd, WD, 0, 60, 0, "", "6.6 event 7") \
        X(disposal_wd, WD, 0, 250, 0, "", "6.6") \
        X(agg_min_depts, INT, 2, 100, 0, "", "6.8") \
        X(unlisted_step_wd, WD, 0, 60, 0, "", "6.9") \
        X(correction_close_wd, WD, 0, 60, 0, "", "7 event 8") \
        X(realtime_threshold_s, INT, 1, 86400, 0, "", "5.4") \
        X(cycle_grace_wd, WD, 0, 60, 0, "", "5.4") \
        X(open_review_wd, WD, 0, 60, 0, "", "8.2") \
        X(open_k_min, INT, 2, 100, 0, "", "8.3") \
        X(retention_years, INT, 3, 100, 0, "", "9.2") \
        X(backup_max_age_h, INT, 1, 720, 0, "", "9.4") \
        X(incident_ack_min, INT, 1, 1440, 0, "", "9.6") \
        X(incident_report_h, INT, 1, 240, 0, "", "9.6") \
        X(hook_wd, WD, 0, 250, 0, "", "10.2 V_NOT_CONNECTED") \
        X(absent_wd, WD, 0, 60, 0, "", "10.2 V_NOT_CONNECTED, V_TERMINATION") \
        X(rectify_wd, WD, 1, 250, 0, "", "10.3") \
        X(notice_urgent_repeat_wd, WD, 1, 60, 0, "", "9.10") \
        X(notice_alarm_repeat_min, INT, 1, 1440, 0, "", "9.10") \
        X(trust_head_s, INT, 10, 3600, 0, "", "DESIGN 3, longest time between trust heads") \
        X(trust_max_age_s, INT, 60, 86400, 0, "", "DESIGN 3, oldest trust head to act under: PUBLIC and INTERNAL items") \
        X(trust_max_age_personal_s, INT, 60, 86400, 0, "", "the same for PERSONAL, TRADE_SECRET and SENSITIVE_PERSONAL items") \
        X(grade_public, ENUM, 0, 0, 0, "L1, L2, L3, L4", "4.16, lowest grade of such an item") \
        X(grade_internal, ENUM, 0, 0, 0, "L1, L2, L3, L4", "4.16, lowest grade of such an item") \
        X(grade_personal, ENUM, 0, 0, 0, "L1, L2, L3, L4", "4.16, lowest grade of such an item") \
        X(grade_trade_secret, ENUM, 0, 0, 0, "L1, L2, L3, L4", "4.16, lowest grade of such an item") \
        X(grade_sensitive_personal, ENUM, 0, 0, 0, "L1, L2, L3, L4", "4.16, lowest grade of such an item") \
        X(grade_l1_share, ENUM, 0, 0, 0, "UNCONDITIONAL, CONDITIONAL, WITHHELD", "4.16, C-023") \
        X(grade_l2_share, ENUM, 0, 0, 0, "UNCONDITIONAL, CONDITIONAL, WITHHELD", "4.16, C-023") \
        X(grade_l3_share, ENUM, 0, 0, 0, "UNCONDITIONAL, CONDITIONAL, WITHHELD", "4.16, C-023") \
        X(grade_l4_share, ENUM, 0, 0, 0, "UNCONDITIONAL, CONDITIONAL, WITHHELD", "4.16, C-023") \
        X(grade_l1_open, ENUM, 0, 0, 0, "OPEN_UNCONDITIONAL, OPEN_ON_APPLICATION, NOT_OPEN", "4.16") \
        X(grade_l2_open, ENUM, 0, 0, 0, "OPEN_UNCONDITIONAL, OPEN_ON_APPLICATION, NOT_OPEN", "4.16") \
        X(grade_l3_open, ENUM, 0, 0, 0, "OPEN_UNCONDITIONAL, OPEN_ON_APPLICATION, NOT_OPEN", "4.16") \
        X(grade_l4_open, ENUM, 0, 0, 0, "OPEN_UNCONDITIONAL, OPEN_ON_APPLICATION, NOT_OPEN", "4.16") \
        X(q_complete_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(q_valid_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(q_unique_max_dup, INT, 0, 1000000, 0, "", "5.6, duplicate keys a day") \
        X(q_timely_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(q_consistent_max_diff, INT, 0, 1000000, 0, "", "5.6, differing records in the daily comparison") \
        X(q_cross_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(q_correction_max, INT, 0, 10000, 0, "", "5.6, upheld corrections per 10 000 records and year") \
        X(batch_complete_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(batch_valid_min, INT, 0, 1000, 0, "", "5.6, per mille") \
        X(batch_max_dup, INT, 0, 1000000, 0, "", "5.6, duplicate keys in one batch")

#define POLICY_KEY_ENUMERATOR(key, type, low, high, none, allowed, use) POLICY_##key,
enum policy_key { POLICY_KEYS(POLICY_KEY_ENUMERATOR) POLICY_KEY_COUNT };
