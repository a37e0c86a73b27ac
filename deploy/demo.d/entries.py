"""Catalog entries of the story (REGULATIONS 4.2, 4.4)."""
import datetime

ITEMS = [
    {"item_no": 1, "name_cn": "区划代码", "name_en": "code", "data_type": "C", "length": 12, "nullable": False, "key": True, "semantic_code": "N.GEO.DIVISION"},
    {"item_no": 2, "name_cn": "区划名称", "name_en": "name", "data_type": "C", "length": 60, "nullable": False},
    {"item_no": 3, "name_cn": "区划级别", "name_en": "level", "data_type": "C", "length": 10, "nullable": False},
    {"item_no": 4, "name_cn": "上级代码", "name_en": "parent", "data_type": "C", "length": 12, "nullable": True},
]


def entry(provider, contact, reviewer, approver):
    """行政区划: a geo-spatial base entry, so unconditional under Zhongshan's rules (ZS 20(1))."""
    today = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=8)).strftime("%Y-%m-%d")
    return {
        "resource_code": "101001", "resource_name": "行政区划", "class_level": "BASE", "class_path": "基础/空间地理/行政区划/代码",
        "provider_code": provider, "provider_name": "中山市民政局", "office": "数据管理科", "contact": contact,
        "abstract": "中山市省、市、镇街、村社四级行政区划代码与名称，随区划调整实时更新。", "form": "STRUCTURED", "format_category": "DATABASE",
        "format_detail": "postgresql", "items": [{**i, "sensitivity": "PUBLIC", "source_role": "AUTHORITATIVE"} for i in ITEMS],
        "share_type": "UNCONDITIONAL", "share_methods": ["DB_PUSH"], "use_classes": ["ADMIN_BASIS", "WORK_REFERENCE", "DATA_CHECK"],
        "use_requirement": "用于本部门履职。", "sample": [{"values": ["440000000000", "示例省", "province", ""]}],
        "open_type": "NOT_OPEN", "update_cycle": "REALTIME", "acquisition": "BY_BUSINESS", "grade": "L1",
        "secrecy_review": {"reviewer": reviewer, "approver": approver, "date": today, "conclusion": "NOT_SECRET"},
        "base_db": "GEO_SPATIAL", "items_changed_on": today,
    }


def conditional(base):
    """区划沿革明细: the same data for those who show a need; SECONDARY, with the municipal document it rests on."""
    return {
        **{k: v for k, v in base.items() if k != "base_db"},
        "resource_code": "301001", "resource_name": "区划管理明细", "class_level": "DEPARTMENT", "class_path": "部门/民政/区划管理/明细",
        "abstract": "区划管理业务库明细，供有明确业务需要的部门按项申请使用。",
        "items": [{**i, "sensitivity": "INTERNAL", "source_role": "SECONDARY"} for i in ITEMS], "grade": "L2",
        "share_type": "CONDITIONAL", "share_condition": "用于公共卫生网格与区划对应的业务系统", "share_scope": "class GOV_DEPT : ANY : ALL",
        "share_basis": [{"level": "MUNICIPAL_DOC", "title": "中山市政务数据管理办法", "number": "中山市人民政府令第16号", "article": "第二十条第二款"}],
    }


def with_errors(base):
    """Five things wrong at once: no abstract, a wrong provider, no review, a condition on an unconditional entry, no method."""
    broken = {**base, "abstract": "", "provider_code": "11442000MX00000198", "share_condition": "须经同意", "share_methods": []}
    broken.pop("secrecy_review")
    return broken


def with_warning(base):
    """An abstract that says nothing: C-021, which a reviewer sees."""
    return {**base, "abstract": "行政区划"}
