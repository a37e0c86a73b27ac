/* words: the closed word lists of the exchange, with one number each on the wire.
 *
 * The words are those of REGULATIONS; numbers never change.  One list a macro, so that the enum, the
 * parser, the formatter and the manual come from the same row.  Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* X(ENUM CONSTANT, number, word, Chinese) */
#define WORDS_ROLE(X) /* REGULATIONS 2.3; the last three are capacities only (DESIGN 4) */ \
        X(ROLE_DATA_OFFICER, 1, "DATA_OFFICER", "数据专员") \
        X(ROLE_USER, 2, "USER", "使用人员") \
        X(ROLE_APPROVER, 3, "APPROVER", "批准人员") \
        X(ROLE_SEC_ADMIN, 4, "SEC_ADMIN", "安全管理") \
        X(ROLE_DATA_OPERATOR, 5, "DATA_OPERATOR", "数据操作") \
        X(ROLE_AUDIT_OFFICER, 6, "AUDIT_OFFICER", "审计核查") \
        X(ROLE_DEPT_HEAD, 7, "DEPT_HEAD", "部门主要负责人") \
        X(ROLE_SHARING_HEAD, 8, "SHARING_HEAD", "共享工作机构负责人") \
        X(ROLE_METRICS_VIEWER, 9, "METRICS_VIEWER", "平台运维") \
        X(ROLE_AGENT, 32, "AGENT", "代理程序") \
        X(ROLE_SYSTEM, 33, "SYSTEM", "平台") \
        X(ROLE_ROOT, 34, "ROOT", "根")
#define WORDS_SUBJECT_KIND(X) \
        X(SUBJECT_PERSON, 1, "PERSON", "人员") \
        X(SUBJECT_AGENT, 2, "AGENT", "代理程序") \
        X(SUBJECT_BROKER, 3, "BROKER", "平台")
#define WORDS_DEPT_CLASS(X) /* 3.1 */ \
        X(DEPT_GOV_DEPT, 1, "GOV_DEPT", "政务部门") \
        X(DEPT_PARTY_ORG, 2, "PARTY_ORG", "党的机关") \
        X(DEPT_INSTITUTION, 3, "INSTITUTION", "事业单位") \
        X(DEPT_UTILITY, 4, "UTILITY", "公用企业") \
        X(DEPT_STATIONED, 5, "STATIONED", "派驻机构") \
        X(DEPT_TOWNSHIP, 6, "TOWNSHIP", "镇区")
#define WORDS_APPLIES(X) /* 3.1 */ \
        X(APPLIES_MUST, 1, "MUST", "应当") \
        X(APPLIES_BY_REFERENCE, 2, "BY_REFERENCE", "参照") \
        X(APPLIES_MAY, 3, "MAY", "可参照")
#define WORDS_REVOKE_REASON(X) /* DESIGN 3 */ \
        X(REVOKE_CEASED, 1, "CEASED", "离任") \
        X(REVOKE_COMPROMISED, 2, "COMPROMISED", "失密")
#define WORDS_SHARE_TYPE(X) /* 2.1 */ \
        X(SHARE_UNCONDITIONAL, 1, "UNCONDITIONAL", "无条件共享") \
        X(SHARE_CONDITIONAL, 2, "CONDITIONAL", "有条件共享") \
        X(SHARE_WITHHELD, 3, "WITHHELD", "不予共享")
#define WORDS_OPEN_TYPE(X) \
        X(OPEN_UNCONDITIONAL, 1, "OPEN_UNCONDITIONAL", "无条件开放") \
        X(OPEN_ON_APPLICATION, 2, "OPEN_ON_APPLICATION", "依申请开放") \
        X(OPEN_NOT_OPEN, 3, "NOT_OPEN", "不予开放")
#define WORDS_SHARE_METHOD(X) /* 6.10 */ \
        X(METHOD_INTERFACE, 1, "INTERFACE", "数据接口") \
        X(METHOD_ONLINE_QUERY, 2, "ONLINE_QUERY", "联机查询") \
        X(METHOD_BATCH_DOWNLOAD, 3, "BATCH_DOWNLOAD", "批量下载") \
        X(METHOD_BATCH_EXCHANGE, 4, "BATCH_EXCHANGE", "批量交换") \
        X(METHOD_DB_PUSH, 5, "DB_PUSH", "数据库推送")
#define WORDS_MEDIUM(X) /* 9.1 */ \
        X(MEDIUM_NETWORK, 1, "NETWORK", "网络") \
        X(MEDIUM_DISK, 2, "DISK", "磁盘") \
        X(MEDIUM_PAPER, 3, "PAPER", "纸质") \
        X(MEDIUM_MAIL, 4, "MAIL", "邮件")
#define WORDS_CHANNEL(X) /* 9.1 */ \
        X(CHANNEL_UNCONDITIONAL, 1, "UNCONDITIONAL", "无条件共享") \
        X(CHANNEL_CONDITIONAL, 2, "CONDITIONAL", "有条件共享") \
        X(CHANNEL_AUTHORITY, 3, "AUTHORITY", "主管部门提供") \
        X(CHANNEL_VERIFY, 4, "VERIFY", "核实") \
        X(CHANNEL_EMERGENCY, 5, "EMERGENCY", "应急") \
        X(CHANNEL_CROSS, 6, "CROSS", "跨级跨区") \
        X(CHANNEL_HF_LIB, 7, "HF_LIB", "高频数据共享库")
#define WORDS_USE_CLASS(X) /* 4.2 */ \
        X(USE_ADMIN_BASIS, 1, "ADMIN_BASIS", "行政依据") \
        X(USE_WORK_REFERENCE, 2, "WORK_REFERENCE", "工作参考") \
        X(USE_DATA_CHECK, 3, "DATA_CHECK", "数据校核") \
        X(USE_BUSINESS_COOPERATION, 4, "BUSINESS_COOPERATION", "业务协同") \
        X(USE_OTHER, 5, "OTHER_USE", "其他")
#define WORDS_BASIS_LEVEL(X) /* 4.6 */ \
        X(BASIS_LAW, 1, "LAW", "法律") \
        X(BASIS_ADMIN_REGULATION, 2, "ADMIN_REGULATION", "行政法规") \
        X(BASIS_CENTRAL_POLICY, 3, "CENTRAL_POLICY", "党中央、国务院政策") \
        X(BASIS_STATE_COUNCIL_DECISION, 4, "STATE_COUNCIL_DECISION", "国务院决定") \
        X(BASIS_LOCAL_REGULATION, 5, "LOCAL_REGULATION", "地方性法规") \
        X(BASIS_RULE, 6, "RULE", "规章") \
        X(BASIS_NATIONAL_PROVINCIAL_DOC, 7, "NATIONAL_PROVINCIAL_DOC", "国家、省的相关文件") \
        X(BASIS_MUNICIPAL_DOC, 8, "MUNICIPAL_DOC", "市级文件") \
        X(BASIS_INTERNAL_RULE, 9, "INTERNAL_RULE", "部门内部管理办法")
#define WORDS_BASE_DB(X) /* 4.2 */ \
        X(BASE_NATURAL_PERSON, 1, "NATURAL_PERSON", "自然人") \
        X(BASE_LEGAL_ENTITY, 2, "LEGAL_ENTITY", "法人和非法人组织") \
        X(BASE_GEO_SPATIAL, 3, "GEO_SPATIAL", "自然资源和空间地理") \
        X(BASE_E_LICENCE, 4, "E_LICENCE", "电子证照") \
        X(BASE_PUBLIC_CREDIT, 5, "PUBLIC_CREDIT", "公共信用") \
        X(BASE_MACRO_ECONOMY, 6, "MACRO_ECONOMY", "宏观经济")
#define WORDS_DATA_FORM(X) \
        X(FORM_FILE, 1, "FILE", "文件") \
        X(FORM_MATERIAL, 2, "MATERIAL", "资料") \
        X(FORM_CHART, 3, "CHART", "图表") \
        X(FORM_STRUCTURED, 4, "STRUCTURED", "结构化数据") \
        X(FORM_IMAGE, 5, "IMAGE", "图像") \
        X(FORM_AUDIO, 6, "AUDIO", "音频") \
        X(FORM_VIDEO, 7, "VIDEO", "视频") \
        X(FORM_E_LICENCE, 8, "E_LICENCE", "电子证照") \
        X(FORM_E_ARCHIVE, 9, "E_ARCHIVE", "电子档案")
#define WORDS_FORMAT_CATEGORY(X) \
        X(FORMAT_E_DOCUMENT, 1, "E_DOCUMENT", "电子文件") \
        X(FORMAT_SPREADSHEET, 2, "SPREADSHEET", "电子表格") \
        X(FORMAT_DATABASE, 3, "DATABASE", "数据库") \
        X(FORMAT_IMAGE, 4, "IMAGE", "图形图像") \
        X(FORMAT_STREAM, 5, "STREAM", "流媒体") \
        X(FORMAT_SELF_DESCRIBED, 6, "SELF_DESCRIBED", "自描述格式") \
        X(FORMAT_SERVICE, 7, "SERVICE", "服务接口")
#define WORDS_UPDATE_CYCLE(X) \
        X(CYCLE_REALTIME, 1, "REALTIME", "实时") \
        X(CYCLE_DAILY, 2, "DAILY", "每日") \
        X(CYCLE_WEEKLY, 3, "WEEKLY", "每周") \
        X(CYCLE_MONTHLY, 4, "MONTHLY", "每月") \
        X(CYCLE_QUARTERLY, 5, "QUARTERLY", "每季度") \
        X(CYCLE_YEARLY, 6, "YEARLY", "每年") \
        X(CYCLE_OTHER, 7, "OTHER", "其他")
#define WORDS_ACQUISITION(X) \
        X(ACQUIRE_BY_LAW, 1, "BY_LAW", "依法采集") \
        X(ACQUIRE_BY_BUSINESS, 2, "BY_BUSINESS", "业务产生") \
        X(ACQUIRE_BY_AGREEMENT, 3, "BY_AGREEMENT", "协商获取")
#define WORDS_SENSITIVITY(X) \
        X(SENS_PUBLIC, 1, "PUBLIC", "公开") \
        X(SENS_INTERNAL, 2, "INTERNAL", "内部") \
        X(SENS_PERSONAL, 3, "PERSONAL", "个人信息") \
        X(SENS_SENSITIVE_PERSONAL, 4, "SENSITIVE_PERSONAL", "敏感个人信息") \
        X(SENS_TRADE_SECRET, 5, "TRADE_SECRET", "商业秘密")
#define WORDS_IDENTIFIER_KIND(X) \
        X(IDENT_RESIDENT_ID, 1, "RESIDENT_ID", "公民身份号码") \
        X(IDENT_OTHER_ID_DOC, 2, "OTHER_ID_DOC", "其他证件") \
        X(IDENT_USCC, 3, "USCC", "统一社会信用代码") \
        X(IDENT_NONE, 4, "NONE", "无")
#define WORDS_SOURCE_ROLE(X) \
        X(SOURCE_AUTHORITATIVE, 1, "AUTHORITATIVE", "数源") \
        X(SOURCE_SECONDARY, 2, "SECONDARY", "副本")
#define WORDS_REFUSE_REASON(X) /* 6.2 */ \
        X(R_BASIS, 1, "R_BASIS", "法定依据") \
        X(R_CONDITION, 2, "R_CONDITION", "不符合共享条件") \
        X(R_PURPOSE, 3, "R_PURPOSE", "超出履职用途") \
        X(R_EXCESS, 4, "R_EXCESS", "超出必要范围") \
        X(R_NOT_HELD, 5, "R_NOT_HELD", "不掌握该数据") \
        X(R_SECRET, 6, "R_SECRET", "涉及国家秘密") \
        X(R_INCOMPLETE, 7, "R_INCOMPLETE", "材料不全")
#define WORDS_ACT_REASON(X) /* of WITHDRAW, SUSPEND, RESUME, TERMINATE, END, FREEZE, UNFREEZE */ \
        X(REASON_PURPOSE_REACHED, 1, "PURPOSE_REACHED", "目的已实现") \
        X(REASON_IMPOSSIBLE, 2, "IMPOSSIBLE", "无法实现") \
        X(REASON_NOT_NEEDED, 3, "NOT_NEEDED", "不再需要") \
        X(REASON_MISUSE, 4, "MISUSE", "超范围或超用途使用") \
        X(REASON_SECURITY_INCIDENT, 5, "SECURITY_INCIDENT", "安全事件") \
        X(REASON_SECRECY_INCIDENT, 6, "SECRECY_INCIDENT", "保密事件") \
        X(REASON_RECTIFIED, 7, "RECTIFIED", "整改到位") \
        X(REASON_NOT_RECTIFIED, 8, "NOT_RECTIFIED", "整改不力") \
        X(REASON_RESOLVED, 9, "RESOLVED", "事件已处置")
#define WORDS_RECORD_OP(X) \
        X(OP_UPSERT, 1, "UPSERT", "新增或更新") \
        X(OP_DELETE, 2, "DELETE", "删除") \
        X(OP_FLAG, 3, "FLAG", "标记")
#define WORDS_STAFF_STATE(X) /* SM-STAFF */ \
        X(STAFF_FILED, 1, "FILED", "已报备") \
        X(STAFF_PUBLISHED, 2, "PUBLISHED", "已公布") \
        X(STAFF_RETURNED, 3, "RETURNED", "已退回") \
        X(STAFF_REVOKED, 4, "REVOKED", "已撤销")
#define WORDS_CAT_STATE(X) /* SM-CAT */ \
        X(CAT_DRAFT, 1, "DRAFT", "草稿") \
        X(CAT_SUBMITTED, 2, "SUBMITTED", "已提交") \
        X(CAT_RETURNED, 3, "RETURNED", "已退回") \
        X(CAT_PUBLISHED, 4, "PUBLISHED", "已发布") \
        X(CAT_CHANGE_SUBMITTED, 5, "CHANGE_SUBMITTED", "变更已提交") \
        X(CAT_SCHEDULED, 6, "SCHEDULED", "待生效") \
        X(CAT_RETIRED, 7, "RETIRED", "已停用")
#define WORDS_REQ_STATE(X) /* SM-REQ */ \
        X(REQ_DRAFT, 1, "DRAFT", "草稿") \
        X(REQ_SUBMITTED, 2, "SUBMITTED", "已提交") \
        X(REQ_SUPPLEMENT, 3, "SUPPLEMENT", "待补正") \
        X(REQ_CONSENTED, 4, "CONSENTED", "已同意") \
        X(REQ_REFUSED, 5, "REFUSED", "已拒绝") \
        X(REQ_SILENT, 6, "SILENT", "逾期未答复") \
        X(REQ_PROVIDED, 7, "PROVIDED", "已提供") \
        X(REQ_WITHDRAWN, 8, "WITHDRAWN", "已撤回") \
        X(REQ_DISPUTED, 9, "DISPUTED", "争议中") \
        X(REQ_REFUSED_FINAL, 10, "REFUSED_FINAL", "终局拒绝")
#define WORDS_GRANT_STATE(X) /* SM-GRANT */ \
        X(GRANT_ACTIVE, 1, "ACTIVE", "生效") \
        X(GRANT_SUSPENDED, 2, "SUSPENDED", "暂停") \
        X(GRANT_TERMINATED, 3, "TERMINATED", "终止") \
        X(GRANT_ENDED, 4, "ENDED", "结束") \
        X(GRANT_DISPOSED, 5, "DISPOSED", "已处置")
#define WORDS_SUB_STATE(X) /* DESIGN 6 */ \
        X(SUB_REQUESTED, 1, "REQUESTED", "待订阅") \
        X(SUB_KEY_WAIT, 2, "KEY_WAIT", "待密钥") \
        X(SUB_LIVE, 3, "LIVE", "接收中") \
        X(SUB_SNAPSHOT, 4, "SNAPSHOT", "快照中") \
        X(SUB_STOPPED, 5, "STOPPED", "已停止") \
        X(SUB_LAGGED, 6, "LAGGED", "已落后") \
        X(SUB_ENDED, 7, "ENDED", "已结束")
#define WORDS_TRUST_KIND(X) /* DESIGN 3 */ \
        X(TRUST_ANCHOR, 1, "ANCHOR", "信任锚") \
        X(TRUST_DEPARTMENT, 2, "DEPARTMENT", "部门") \
        X(TRUST_CREDENTIAL, 3, "CREDENTIAL", "证书") \
        X(TRUST_REVOCATION, 4, "REVOCATION", "撤销") \
        X(TRUST_CATALOG, 5, "CATALOG", "目录") \
        X(TRUST_GRANT, 6, "GRANT", "授权") \
        X(TRUST_VIEW_EPOCH, 7, "VIEW_EPOCH", "视图期") \
        X(TRUST_POLICY, 8, "POLICY", "政策参数") \
        X(TRUST_CALENDAR, 9, "CALENDAR", "工作日历") \
        X(TRUST_SEAL_KEY, 10, "SEAL_KEY", "封装密钥")
#define WORDS_TRUST_STATUS(X) \
        X(STATUS_ACTIVE, 1, "ACTIVE", "有效") \
        X(STATUS_SUSPENDED, 2, "SUSPENDED", "暂停") \
        X(STATUS_REVOKED, 3, "REVOKED", "撤销") \
        X(STATUS_ENDED, 4, "ENDED", "结束") \
        X(STATUS_FROZEN, 5, "FROZEN", "冻结") \
        X(STATUS_RETIRED, 6, "RETIRED", "停用") \
        X(STATUS_SUPERSEDED, 7, "SUPERSEDED", "替换")
#define WORDS_CLOCK(X) /* clock tables of REGULATIONS 4.9, 6.2, 6.6 */ \
        X(CLOCK_CAT_REVIEW, 1, "CAT_REVIEW", "目录审核") \
        X(CLOCK_CAT_CHANGE, 2, "CAT_CHANGE", "目录变更") \
        X(CLOCK_REPLY, 3, "REPLY", "答复") \
        X(CLOCK_AUTH_PROVIDE, 4, "AUTH_PROVIDE", "主管部门提供") \
        X(CLOCK_PROVIDE, 5, "PROVIDE", "提供") \
        X(CLOCK_GRANT_PERIOD, 6, "GRANT_PERIOD", "授权期限") \
        X(CLOCK_DISPOSE, 7, "DISPOSE", "处置") \
        X(CLOCK_CREDENTIAL, 8, "CREDENTIAL", "证书期限")
#define WORDS_NOTICE(X) /* classes of 9.10 */ \
        X(NOTICE_STAFF, 1, "N_STAFF", "人员报备") \
        X(NOTICE_STAFF_END, 2, "N_STAFF_END", "人员撤销") \
        X(NOTICE_CAT_TASK, 3, "N_CAT_TASK", "目录待审") \
        X(NOTICE_CAT_RESULT, 4, "N_CAT_RESULT", "目录审核结果") \
        X(NOTICE_FREEZE, 5, "N_FREEZE", "目录冻结") \
        X(NOTICE_GET, 6, "N_GET", "直接获取") \
        X(NOTICE_REQ_TASK, 7, "N_REQ_TASK", "申请待办") \
        X(NOTICE_REQ_RECEIPT, 8, "N_REQ_RECEIPT", "申请回执") \
        X(NOTICE_REQ_RESULT, 9, "N_REQ_RESULT", "申请结果") \
        X(NOTICE_OVERDUE, 10, "N_OVERDUE", "逾期") \
        X(NOTICE_GRANT, 11, "N_GRANT", "授权") \
        X(NOTICE_GRANT_STOP, 12, "N_GRANT_STOP", "授权停止") \
        X(NOTICE_FAIL, 13, "N_FAIL", "传输失败") \
        X(NOTICE_SUBSCRIBE, 14, "N_SUBSCRIBE", "订阅") \
        X(NOTICE_LINK, 15, "N_LINK", "连接")
#define WORDS_BUSY(X) \
        X(BUSY_CREDIT, 1, "CREDIT", "超出额度") \
        X(BUSY_SPACE, 2, "SPACE", "磁盘空间不足") \
        X(BUSY_QUOTA, 3, "QUOTA", "超出配额") \
        X(BUSY_DRAIN, 4, "DRAIN", "正在停机") \
        X(BUSY_CLOCK, 5, "CLOCK", "时钟故障") \
        X(BUSY_LOAD, 6, "LOAD", "负载过高")
#define WORDS_PARCEL(X) \
        X(PARCEL_MAIL, 1, "MAIL", "信件") \
        X(PARCEL_LINK, 2, "LINK", "数据流") \
        X(PARCEL_TRUST, 3, "TRUST", "信任记录")
#define WORDS_READ(X) /* what a Read asks for */ \
        X(READ_DEPARTMENTS, 1, "DEPARTMENTS", "部门") \
        X(READ_STAFF, 2, "STAFF", "人员") \
        X(READ_AGENTS, 3, "AGENTS", "代理程序") \
        X(READ_CATALOG, 4, "CATALOG", "目录") \
        X(READ_MATTERS, 5, "MATTERS", "目录事项") \
        X(READ_REQUESTS, 6, "REQUESTS", "申请") \
        X(READ_GRANTS, 7, "GRANTS", "授权") \
        X(READ_SUBSCRIPTIONS, 8, "SUBSCRIPTIONS", "订阅") \
        X(READ_AUDIT, 9, "AUDIT", "审计") \
        X(READ_ENTRY, 10, "ENTRY", "日志条目") \
        X(READ_POLICY, 11, "POLICY", "政策参数") \
        X(READ_STREAMS, 12, "STREAMS", "数据流") \
        X(READ_FILINGS, 13, "FILINGS", "报备") \
        X(READ_STATUS, 14, "STATUS", "状态") \
        X(READ_CALENDAR, 15, "CALENDAR", "工作日历") \
        X(READ_CHECKPOINT, 16, "CHECKPOINT", "已公布的日志头") \
        X(READ_PROOF, 17, "PROOF", "包含证明") \
        X(READ_CONSISTENCY, 18, "CONSISTENCY", "一致性证明") \
        X(READ_LOOKUP, 19, "LOOKUP", "信任状态证明") \
        X(READ_EVIDENCE, 20, "EVIDENCE", "证据") \
        X(READ_LOG, 21, "LOG", "日志") \
        X(READ_BASE, 22, "BASE", "状态映像")
#define WORDS_BUNDLE(X) /* what a bundle proves */ \
        X(BUNDLE_UPDATE, 1, "UPDATE", "一次数据传输") \
        X(BUNDLE_DECISION, 2, "DECISION", "一次办理行为") \
        X(BUNDLE_RECORD, 3, "RECORD", "单条记录") \
        X(BUNDLE_QUERY, 4, "QUERY", "一次查询")
#define WORDS_OUTAGE(X) \
        X(OUTAGE_CRASH, 1, "CRASH", "异常中止") \
        X(OUTAGE_STOP, 2, "STOP", "停机") \
        X(OUTAGE_CLOCK, 3, "CLOCK", "时钟故障") \
        X(OUTAGE_SPACE, 4, "SPACE", "空间不足")

#define WORDS_PURGE(X) /* 9.2: first bodies, then inputs */ \
        X(PURGE_BODIES, 1, "BODIES", "数据体") \
        X(PURGE_INPUTS, 2, "INPUTS", "报文")

#define WORDS_AUDIT_OUTCOME(X) /* what an audit read narrows by */ \
        X(AUDIT_TAKEN, 1, "TAKEN", "已受理") \
        X(AUDIT_REFUSED, 2, "REFUSED", "被拒绝")

/* Every list, by the name of its enum. */
#define WORDS_LISTS(L) \
        L(role, WORDS_ROLE) L(subject_kind, WORDS_SUBJECT_KIND) L(dept_class, WORDS_DEPT_CLASS) \
        L(applies, WORDS_APPLIES) L(revoke_reason, WORDS_REVOKE_REASON) L(share_type, WORDS_SHARE_TYPE) \
        L(open_type, WORDS_OPEN_TYPE) L(share_method, WORDS_SHARE_METHOD) L(medium, WORDS_MEDIUM) \
        L(channel, WORDS_CHANNEL) L(use_class, WORDS_USE_CLASS) L(basis_level, WORDS_BASIS_LEVEL) \
        L(base_db, WORDS_BASE_DB) L(data_form, WORDS_DATA_FORM) L(format_category, WORDS_FORMAT_CATEGORY) \
        L(update_cycle, WORDS_UPDATE_CYCLE) L(acquisition, WORDS_ACQUISITION) \
        L(sensitivity, WORDS_SENSITIVITY) L(identifier_kind, WORDS_IDENTIFIER_KIND) \
        L(source_role, WORDS_SOURCE_ROLE) L(refuse_reason, WORDS_REFUSE_REASON) \
        L(act_reason, WORDS_ACT_REASON) L(record_op, WORDS_RECORD_OP) L(staff_state, WORDS_STAFF_STATE) \
        L(cat_state, WORDS_CAT_STATE) L(req_state, WORDS_REQ_STATE) L(grant_state, WORDS_GRANT_STATE) \
        L(sub_state, WORDS_SUB_STATE) L(trust_kind, WORDS_TRUST_KIND) L(trust_status, WORDS_TRUST_STATUS) \
        L(clock, WORDS_CLOCK) L(notice, WORDS_NOTICE) L(busy, WORDS_BUSY) L(parcel, WORDS_PARCEL) \
        L(read, WORDS_READ) L(outage, WORDS_OUTAGE) L(purge, WORDS_PURGE) L(bundle, WORDS_BUNDLE) \
        L(audit_outcome, WORDS_AUDIT_OUTCOME)

#define WORDS_ENUMERATOR(constant, number, word, zh) constant = number,
#define WORDS_ENUM(name, LIST) enum name { LIST(WORDS_ENUMERATOR) };
WORDS_LISTS(WORDS_ENUM)

#define WORDS_LIST_ID(name, LIST) LIST_##name,
enum word_list { WORDS_LISTS(WORDS_LIST_ID) LIST_COUNT };

/* The word of a number, in English code style; NULL if the list has no such number. */
const char *word_name(enum word_list list, uint32_t number);
const char *word_chinese(enum word_list list, uint32_t number);
/* The number of a word (exact, capitals); 0 if the list has no such word. */
uint32_t word_find(enum word_list list, const char *word);
bool word_known(enum word_list list, uint32_t number);
/* "A, B, C": all words of a list, for messages.  Static. */
const char *word_all(enum word_list list);
