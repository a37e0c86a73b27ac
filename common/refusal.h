/* refusal: every "no" that the domain foresees, with one number on the wire (REGULATIONS 6.13, 4.5).
 *
 * A refusal is recorded, counted and sent to the peer.  Faults (negative errno) and bugs (assert) are
 * something else.  Numbers never change.  Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* X(constant, number, code, English, Chinese, what to do) */
#define REFUSALS_GENERAL(X) \
        X(ACCEPTED, 0, "OK", "accepted", "已接受", "") \
        X(E_FORM, 1, "E_FORM", "the message is not of the exact form", "报文格式不符", "send it again as PROTOCOL.md says") \
        X(E_CRED, 2, "E_CRED", "credential or signature does not hold", "证书或签名无效", "sign with a credential in force, over a link of the signer's department") \
        X(E_QUOTA, 3, "E_QUOTA", "the link's quota is used up", "配额已用完", "wait for the next day or ask the operator") \
        X(E_REPLAY, 4, "E_REPLAY", "already an entry, or from an older life of the outbox", "重复报文", "nothing: the first one counts") \
        X(E_DOMAIN, 5, "E_DOMAIN", "the domain is not known here or differs within the message", "不属于本域", "address the exchange of that domain") \
        X(E_NO_POLICY, 6, "E_NO_POLICY", "no policy and calendar published yet", "尚未发布政策参数和工作日历", "the authority publishes them first: shuyi policy publish") \
        X(E_NOT_YET, 7, "E_NOT_YET", "defined, but not built yet", "尚未实现", "use another path") \
        X(E_ROLE, 8, "E_ROLE", "the signer has no such role or capacity here", "签名人无此权限", "let a person with the role sign") \
        X(E_SUSPENDED, 9, "E_SUSPENDED", "department, person or key is suspended", "已被暂停", "ask the authority's SEC_ADMIN") \
        X(E_NOT_FOUND, 10, "E_NOT_FOUND", "no such object or version, or not visible to you", "对象不存在或不可见", "check the identifier") \
        X(E_STATE, 11, "E_STATE", "the event is not listed for the object's state", "当前状态不允许该操作", "look at the object's state") \
        X(E_STALE_EPOCH, 12, "STALE_EPOCH", "the view epoch is closed", "视图期已关闭", "nothing: the agent issues the next epoch and seals again") \
        X(E_FROZEN, 13, "E_FROZEN", "the catalog entry is frozen", "目录已冻结", "wait until the authority unfreezes it") \
        X(E_BOUND, 14, "E_BOUND", "more effects than one entry may have", "超出单条影响上限", "divide the act") \
        X(E_QUARANTINED, 15, "E_QUARANTINED", "kept out after a crash while it was applied", "已隔离", "tell the operator") \
        X(E_STALE_HEAD, 16, "E_STALE_HEAD", "the newest trust head is too old to act under", "信任头过期", "restore the link to the broker") \
        X(E_CONTENT, 17, "E_CONTENT", "opened content breaks what its header or entry says", "内容与目录不符", "the provider corrects and sends again") \
        X(E_UNKNOWN_AGENT, 18, "E_UNKNOWN_AGENT", "no agent is registered with this link key", "代理程序未登记", "file the agent and have it accepted (R-004)") \
        X(E_SEAL, 19, "E_SEAL", "the seal does not open", "无法解封", "tell SEC_ADMIN of both departments")
#define REFUSALS_GUARD(X) \
        X(G_SIGNERS, 101, "G_SIGNERS", "a signature of the row is missing or out of order", "签名缺失或次序不符", "collect the signatures that the row asks for") \
        X(G_SEPARATION, 102, "G_SEPARATION", "two parts played by one person", "职责未分离", "let another person act") \
        X(G_PATH, 103, "G_PATH", "the profile offers no such path", "政策未开通该途径", "see shuyi policy show") \
        X(G_DOMAIN, 104, "G_DOMAIN", "own authority skipped", "越过本级主管部门", "apply through the own authority") \
        X(G_FIELD, 105, "G_FIELD", "a mandatory field is missing or malformed", "必填项缺失或格式不符", "fill in the fields named") \
        X(G_SECRECY, 107, "G_SECRECY", "no current secrecy review", "无有效保密审查", "review, then submit again") \
        X(G_TYPE, 108, "G_TYPE", "the share type does not fit the act", "共享类型不符", "apply for conditional items: shuyi request submit") \
        X(G_ITEMS, 109, "G_ITEMS", "items not in the entry, not asked or not granted", "信息项不符", "name items of the version in force") \
        X(G_METHOD, 110, "G_METHOD", "share method not in entry or grant", "共享方式不符", "use a method of the entry") \
        X(G_MEDIUM, 111, "G_MEDIUM", "medium not in entry or grant", "介质类型不符", "NETWORK, unless off the platform") \
        X(G_SCOPE, 112, "G_SCOPE", "outside the entry's share scope", "超出共享范围", "see the entry's scope") \
        X(G_CONDITION, 113, "G_CONDITION", "the entry's condition is not met", "不符合共享条件", "see the entry's condition") \
        X(G_PURPOSE, 114, "G_PURPOSE", "purpose empty or not the grant's", "用途不符", "use the data for the granted purpose only (ZS 21)") \
        X(G_PERIOD, 115, "G_PERIOD", "outside the grant's period", "超出授权期限", "apply again") \
        X(G_RATE, 116, "G_RATE", "more records than the grant's rate", "超出授权频次", "wait for the next day") \
        X(G_FILTER, 117, "G_FILTER", "filter is not the grant's", "行过滤不符", "use the grant's filter") \
        X(G_MASK, 118, "G_MASK", "mask is not the grant's", "脱敏规则不符", "use the grant's mask version") \
        X(G_NOJOIN, 119, "G_NOJOIN", "pair of resources that must not be joined", "禁止关联", "ask for consent (5.8)") \
        X(G_REASON, 120, "G_REASON", "reason code missing or not allowed", "理由缺失或不允许", "give one of the listed reasons") \
        X(G_BASIS, 121, "G_BASIS", "legal basis missing or of no accepted level", "依据缺失或层级不符", "cite a basis of an accepted level") \
        X(G_ONCE, 122, "G_ONCE", "may happen once and did", "只能办理一次", "nothing") \
        X(G_LATE, 123, "G_LATE", "only within a term that is over", "已过期限", "apply anew") \
        X(G_LIMIT, 124, "G_LIMIT", "a count is used up", "超出数量限制", "wait or divide") \
        X(G_DISPUTE, 125, "G_DISPUTE", "an open dispute stands against it", "存在未决争议", "settle the dispute first") \
        X(G_OTHER, 126, "G_OTHER", "a guard of the row", "不符合办理条件", "see the row named")
#define REFUSALS_CATALOG(X) /* 4.5; W are warnings and never the code of a refusal */ \
        X(C_001, 201, "C-001", "a mandatory field is empty", "必填项为空", "fill it in (ZS 9)") \
        X(C_002, 202, "C-002", "resource code malformed or already used", "资源代码格式错误或已被占用", "correct the code") \
        X(C_003, 203, "C-003", "provider code fails GB32100 or is not the signer's", "提供方代码错误", "use the registered code (ZS 6)") \
        X(C_004, 204, "C-004", "structured format without items", "结构化数据无信息项", "list the items") \
        X(C_005, 205, "C-005", "duplicate item number or name", "信息项编号或名称重复", "make them unique") \
        X(C_006, 206, "C-006", "CONDITIONAL without condition or accepted basis", "有条件共享缺条件或依据", "give both (ZS 20(2))") \
        X(C_007, 207, "C-007", "WITHHELD without an accepted basis", "不予共享缺依据", "cite a law or decision (ZS 20(3))") \
        X(C_008, 208, "C-008", "base database entry that is not UNCONDITIONAL", "基础数据须无条件共享", "set UNCONDITIONAL (ZS 20(1))") \
        X(C_009, 209, "C-009", "UNCONDITIONAL with a condition or scope", "无条件共享不得附加条件", "remove it (GD 16)") \
        X(C_010, 210, "C-010", "basis cites only an internal rule", "依据仅为内部规定", "cite a higher basis (GD 16)") \
        X(C_011, 211, "C-011", "not REALTIME and no reason and basis", "非实时更新未说明理由和依据", "explain, or update in real time (ZS 18)") \
        X(C_012, 212, "C-012", "no current secrecy review concluding NOT_SECRET", "无有效保密审查结论", "review first (ZS 17)") \
        X(C_013, 213, "C-013", "theme entry without lead department", "主题数据无牵头部门", "name the lead (ZS 13(4))") \
        X(C_014, 214, "C-014", "opening of items that may not be opened", "不得开放的信息项", "mask or close them (ZS 26)") \
        X(C_015, 215, "C-015", "another entry is AUTHORITATIVE for the datum", "该数据已有数源部门", "set SECONDARY (ZS 17(2))") \
        X(C_016, 216, "C-016", "no identifier item", "缺标识信息项", "add the identifier (XW 12)") \
        X(C_017, 217, "C-017", "sample looks like real personal data", "样例疑似真实个人信息", "use synthetic rows (ZS 31)") \
        X(C_018, 218, "C-018", "no share method, or off the platform without reason", "缺共享方式", "name a method (XW 22)") \
        X(C_019, 219, "C-019", "assessment or head's approval missing", "缺影响评估或负责人审核", "add it (NA 13)") \
        X(C_020, 220, "C-020", "related code unknown", "关联资源代码不存在", "correct it") \
        X(C_021, 221, "C-021", "abstract equals the name or is under 10 characters", "摘要过短或与名称相同", "describe the resource") \
        X(C_022, 222, "C-022", "more restrictive than another department's entry", "共享类型较他部门更严", "reconsider (ZS 19(1))") \
        X(C_023, 223, "C-023", "less restrictive than the grade allows", "低于分级要求", "follow the grade (ZS 8(2))") \
        X(C_024, 224, "C-024", "predicate, filter or scope does not parse", "条件或范围表达式错误", "correct it") \
        X(C_025, 225, "C-025", "semantic code missing, unknown or not fitting", "语义代码缺失或错误", "correct it") \
        X(C_026, 226, "C-026", "method not in the profile, or grade too low", "共享方式或分级不符", "correct it")
#define REFUSALS(X) REFUSALS_GENERAL(X) REFUSALS_GUARD(X) REFUSALS_CATALOG(X)

#define REFUSAL_ENUMERATOR(constant, number, code, en, zh, todo) constant = number,
enum refusal { REFUSALS(REFUSAL_ENUMERATOR) };

struct refusal_text { uint16_t number; const char *code, *english, *chinese, *todo; };

/* Never NULL: an unknown number gives a row that says so. */
const struct refusal_text *refusal_text(uint32_t number);
bool refusal_known(uint32_t number);
static inline bool refusal_is_guard(uint32_t n) { return n >= 101 && n <= 299; }        /* shown as "E_GUARD G_TYPE" */
/* The rows in ascending order, for manuals and metrics: index from 0; NULL past the end. */
const struct refusal_text *refusal_at(unsigned index);
