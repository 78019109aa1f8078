"""The words for codes, in both languages, and how amounts, days and moments are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from schemas.advice import AdviceTopic
from schemas.chain import LinkStanding
from schemas.consent import ConsentScope
from schemas.directory import PersonRole
from schemas.opinion import ExtensionCode, Finality, Verdict
from schemas.plan import PlanPart
from schemas.reference import CHINA_TIME
from schemas.referral import DuplicateRule, WithdrawalCode
from schemas.risk import RiskSubject, WarningLevel
from schemas.sharing import ShareOf
from schemas.values import (
    CooperationMode,
    Currency,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    Money,
    Ownership,
    Side,
    SizeClass,
    SubjectKind,
)
from services.liaison.domain.context import Pair

LABELS: Final[Mapping[type[StrEnum], Mapping[str, Pair]]] = {
    Side: {
        Side.COMMERCE: Pair("商务侧", "commerce side"),
        Side.BANK: Pair("银行侧", "bank side"),
    },
    Lane: {
        Lane.RESUMPTION: Pair("复工复产通道", "resumption lane"),
        Lane.ORDINARY: Pair("普通通道", "ordinary lane"),
    },
    SubjectKind: {
        SubjectKind.ENTERPRISE: Pair("企业", "enterprise"),
        SubjectKind.PROJECT: Pair("项目", "project"),
        SubjectKind.ZONE_PLAN: Pair("合作区“小组团”方案", "zone plan"),
    },
    KeyArea: {
        KeyArea.CLUSTER_DEVELOPMENT: Pair("“小组团”滚动开发", "cluster development"),
        KeyArea.INDUSTRIAL_TRANSFER: Pair("承接产业转移", "industrial transfer"),
        KeyArea.BORDER_TRADE_CHAIN: Pair("边境贸易产业链", "border trade chain"),
        KeyArea.MARKET_DIVERSIFICATION: Pair("市场多元化", "market diversification"),
        KeyArea.TWO_WAY_INVESTMENT: Pair("“引进来”和“走出去”", "two-way investment"),
    },
    FinancingNeed: {
        FinancingNeed.WORKING_CAPITAL: Pair("流动资金", "working capital"),
        FinancingNeed.PLANT_CONSTRUCTION: Pair("厂房建设", "plant construction"),
        FinancingNeed.EQUIPMENT_PURCHASE: Pair("设备购置", "equipment purchase"),
        FinancingNeed.ZONE_INFRASTRUCTURE: Pair("合作区基础设施", "zone infrastructure"),
        FinancingNeed.WAREHOUSING_LOGISTICS: Pair("仓储物流", "warehousing and logistics"),
        FinancingNeed.CROSS_BORDER_ECOMMERCE: Pair("跨境电商", "cross-border e-commerce"),
        FinancingNeed.FARM_PRODUCE_IMPORT: Pair("农产品进口", "import of farm produce"),
        FinancingNeed.KEY_EQUIPMENT_TECHNOLOGY_IMPORT: Pair(
            "关键设备和技术进口", "import of key equipment and technology"
        ),
        FinancingNeed.EMERGING_MARKET_EXPORT: Pair("对新兴市场出口", "export to emerging markets"),
        FinancingNeed.INBOUND_INVESTMENT: Pair("引进投资", "inbound investment"),
        FinancingNeed.OUTBOUND_INVESTMENT: Pair("境外投资", "outbound investment"),
    },
    Industry: {
        Industry.FARMING: Pair("农林牧渔业", "farming"),
        Industry.MINING: Pair("采矿业", "mining"),
        Industry.MANUFACTURING: Pair("制造业", "manufacturing"),
        Industry.UTILITIES: Pair("电力、燃气和水的生产供应", "utilities"),
        Industry.CONSTRUCTION: Pair("建筑业", "construction"),
        Industry.WHOLESALE: Pair("批发业", "wholesale"),
        Industry.RETAIL: Pair("零售业", "retail"),
        Industry.TRANSPORT: Pair("交通运输业", "transport"),
        Industry.WAREHOUSING: Pair("仓储业", "warehousing"),
        Industry.OTHER: Pair("其他行业", "other industry"),
    },
    SizeClass: {
        SizeClass.LARGE: Pair("大型", "large"),
        SizeClass.MEDIUM: Pair("中型", "medium"),
        SizeClass.SMALL: Pair("小型", "small"),
        SizeClass.MICRO: Pair("微型", "micro"),
    },
    Ownership: {
        Ownership.STATE: Pair("国有", "state"),
        Ownership.COLLECTIVE: Pair("集体", "collective"),
        Ownership.PRIVATE: Pair("民营", "private"),
        Ownership.FOREIGN: Pair("外资", "foreign"),
        Ownership.MIXED: Pair("混合所有", "mixed"),
    },
    CooperationMode: {
        CooperationMode.DIRECT_LOAN: Pair("直接贷款", "direct loan"),
        CooperationMode.SYNDICATED_LOAN: Pair("银团贷款", "syndicated loan"),
        CooperationMode.SME_ON_LENDING: Pair("小微企业银行转贷款", "on-lending to micro and small firms"),
        CooperationMode.INVESTMENT_LOAN_LINKAGE: Pair("投贷联动", "investment with loan"),
        CooperationMode.BANK_INSURANCE: Pair("银保合作", "loan with insurance"),
        CooperationMode.BANK_GUARANTEE: Pair("银担合作", "loan with guarantee"),
    },
    ShareOf: {
        ShareOf.LOAN: Pair("贷款金额", "what is lent"),
        ShareOf.RISK: Pair("贷款风险", "what may be lost"),
        ShareOf.INVESTMENT: Pair("投资金额", "what is invested"),
    },
    LinkStanding: {
        LinkStanding.WAITING: Pair("等待意见", "waits for opinions"),
        LinkStanding.LATE: Pair("意见迟迟未到", "late with opinions"),
        LinkStanding.HELD: Pair("暂停办理", "on hold"),
        LinkStanding.SHORTLISTED: Pair("已列入拟支持名单", "shortlisted"),
        LinkStanding.DECLINED: Pair("未通过筛选", "declined"),
        LinkStanding.EXPIRED: Pair("筛选逾期", "expired"),
        LinkStanding.LEFT: Pair("已退出供应链", "no longer of the chain"),
    },
    AdviceTopic: {
        AdviceTopic.LOAN_PRODUCTS: Pair("贷款产品", "loan products"),
        AdviceTopic.TRADE_FINANCE: Pair("贸易融资", "trade finance"),
        AdviceTopic.CROSS_BORDER_SETTLEMENT: Pair("跨境结算", "cross-border settlement"),
        AdviceTopic.GUARANTEE_INSURANCE: Pair("担保和保险", "guarantees and insurance"),
        AdviceTopic.PROJECT_FINANCING: Pair("项目融资", "project financing"),
        AdviceTopic.CREDIT_POLICY: Pair("信贷政策", "credit policy"),
        AdviceTopic.INDUSTRY_PLANNING: Pair("产业规划", "industry planning"),
        AdviceTopic.OUTBOUND_INVESTMENT: Pair("境外投资", "outbound investment"),
    },
    PlanPart: {
        PlanPart.INDUSTRY: Pair("产业规划", "industry plan"),
        PlanPart.INVESTMENT_FINANCING: Pair("投融资规划", "investment and financing plan"),
        PlanPart.PROMOTION_OPERATION: Pair("招商运营规划", "promotion and operation plan"),
    },
    ConsentScope: {
        ConsentScope.COMMERCE: Pair("商务侧", "commerce side"),
        ConsentScope.BANK: Pair("银行侧", "bank side"),
        ConsentScope.PARTNER: Pair("合作机构", "partners"),
    },
    WithdrawalCode: {
        WithdrawalCode.NO_LONGER_NEEDED: Pair("不再需要", "no longer needed"),
        WithdrawalCode.FINANCED_ELSEWHERE: Pair("已从他处融资", "financed elsewhere"),
        WithdrawalCode.SUBMITTED_IN_ERROR: Pair("误报", "submitted in error"),
        WithdrawalCode.ENTERPRISE_REQUEST: Pair("应企业要求", "at the enterprise's request"),
        WithdrawalCode.CONSENT_REVOKED: Pair("企业撤回授权", "consent revoked"),
        WithdrawalCode.OTHER: Pair("其他", "other"),
    },
    DuplicateRule: {
        DuplicateRule.ENTERPRISE_NEED_ZONE: Pair(
            "同一企业、同一合作区、同一融资需求", "same enterprise, zone and financing need"
        ),
        DuplicateRule.SAME_PROJECT: Pair("同一项目", "same project"),
        DuplicateRule.SAME_ZONE_PLAN: Pair("同一合作区方案", "same zone plan"),
    },
    Verdict: {
        Verdict.SUPPORT: Pair("支持", "support"),
        Verdict.OPPOSE: Pair("反对", "oppose"),
    },
    ExtensionCode: {
        ExtensionCode.DOCUMENTS_AWAITED: Pair("等待补充材料", "documents awaited"),
        ExtensionCode.SITE_VISIT: Pair("需实地走访", "a visit on site is needed"),
        ExtensionCode.APPROVAL_AWAITED: Pair("等待批准或备案", "an approval is awaited"),
        ExtensionCode.PARTNER_AWAITED: Pair("等待合作机构答复", "a partner's answer is awaited"),
        ExtensionCode.OTHER: Pair("其他", "other"),
    },
    Finality: {
        Finality.REPAIRABLE: Pair("可补正后重新推荐", "repairable; may be referred again"),
        Finality.FINAL: Pair("终局", "final"),
    },
    WarningLevel: {
        WarningLevel.BLUE: Pair("蓝色", "blue"),
        WarningLevel.YELLOW: Pair("黄色", "yellow"),
        WarningLevel.ORANGE: Pair("橙色", "orange"),
        WarningLevel.RED: Pair("红色", "red"),
    },
    RiskSubject: {
        RiskSubject.CASE: Pair("案件", "case"),
        RiskSubject.ZONE: Pair("合作区", "zone"),
        RiskSubject.ENTERPRISE: Pair("企业", "enterprise"),
        RiskSubject.PROJECT: Pair("项目", "project"),
    },
    PersonRole: {
        PersonRole.HEADQUARTERS: Pair("总部", "headquarters"),
        PersonRole.DEPARTMENT: Pair("省级商务主管部门", "provincial commerce department"),
        PersonRole.ZONE: Pair("合作区", "zone"),
        PersonRole.BRANCH: Pair("分行", "branch"),
    },
    Currency: {
        Currency.CNY: Pair("人民币", "CNY"),
        Currency.USD: Pair("美元", "USD"),
    },
}

TITLES: Final[Mapping[str, Pair]] = {
    "case_registered": Pair("案件登记", "Case registered"),
    "case_amended": Pair("推荐内容变更", "Referral amended"),
    "case_withdrawn": Pair("推荐撤回", "Referral withdrawn"),
    "referral_rejected": Pair("推荐未予登记", "Referral rejected"),
    "consent_awaited": Pair("待补充企业授权", "Consent of the enterprise awaited"),
    "case_closed": Pair("案件结束", "Case closed"),
    "resemblance_flagged": Pair("案件相似，请核实", "Case resembles another, please look"),
    "referral_duplicate": Pair("推荐重复", "Duplicate referral"),
    "screening_opened": Pair("共同筛选启动，请发表意见", "Joint screening open, your opinion is wanted"),
    "opinion_drafted": Pair("本方意见待复核", "Your side's opinion waits for its checker"),
    "opinion_returned": Pair("本方意见被退回", "Your side's opinion was sent back"),
    "screening_reminded": Pair("意见即将到期，请发表意见", "Your opinion is due soon"),
    "screening_escalated": Pair("意见逾期，报双方总部", "Opinion overdue, both headquarters told"),
    "screening_extended": Pair("意见截止时间延期", "More time for opinions"),
    "conference_called": Pair("双方意见不一，请总部会商", "The sides disagree, headquarters to confer"),
    "precedent_carried": Pair("此前意见继续有效", "Earlier opinion taken over"),
    "case_shortlisted": Pair("列入拟支持对象名单", "Case shortlisted"),
    "case_declined": Pair("未通过共同筛选", "Case declined"),
    "case_expired": Pair("共同筛选逾期", "Joint screening expired"),
    "case_held": Pair("案件暂停办理", "Case held"),
    "case_released": Pair("案件暂停解除", "Hold released"),
    "step_refused": Pair("办理事项被拒", "Step refused"),
    "chain_raised": Pair("供应链受阻，案件优先办理", "Supply chain blocked, case goes first"),
    "mode_proposed": Pair("合作方式建议", "Mode of cooperation proposed"),
    "partner_consent_missing": Pair("需补充对合作机构的授权", "Consent that covers partners is needed"),
    "partner_invited": Pair("邀请参与融资", "Invitation to take part in a financing"),
    "invitation_ended": Pair("邀请终止", "Invitation ended"),
    "invitation_paused": Pair("邀请暂停计时", "Invitation paused"),
    "invitation_resumed": Pair("邀请恢复计时", "Invitation goes on"),
    "consortium_complete": Pair("合作份额已落实", "All parts taken up"),
    "consortium_short": Pair("合作份额尚有缺口", "Parts are missing"),
    "terms_differ": Pair("贷款与约定不一致", "Loan differs from what was agreed"),
    "loan_approved": Pair("贷款获批", "Loan approved"),
    "loan_declined": Pair("贷款未获批准", "Loan declined"),
    "loan_disbursed": Pair("贷款发放", "Loan disbursed"),
    "loan_overdue": Pair("贷款逾期", "Loan overdue"),
    "loan_extended": Pair("贷款展期", "Loan extended"),
    "loan_settled": Pair("贷款结清", "Loan settled"),
    "loan_written_off": Pair("贷款核销", "Loan written off"),
    "warning_raised": Pair("风险预警", "Risk warning"),
    "warning_raised_further": Pair("风险预警升级", "Risk warning raised further"),
    "warning_cleared": Pair("风险预警解除", "Risk warning cleared"),
    "limit_breached": Pair("合作区敞口超限", "Zone limit breached"),
    "plan_part_submitted": Pair("方案待会签", "Plan waits for sign-off"),
    "plan_signed_off": Pair("方案生效", "Plan signed off"),
    "plan_late": Pair("方案事项逾期", "Plan is late"),
    "work_plan_opened": Pair("工作方案有由您负责的事项", "Work plan with actions of yours"),
    "work_plan_action_late": Pair("工作方案事项逾期", "Action of a work plan is late"),
    "advice_routed": Pair("咨询待答复", "A question to answer"),
    "advice_reminded": Pair("咨询即将到期", "Answer due soon"),
    "advice_escalated": Pair("咨询逾期未答复", "Question not answered in time"),
    "advice_answered": Pair("咨询已答复", "Your question was answered"),
    "match_found": Pair("转移企业匹配", "An enterprise fits your zone"),
    "match_taken_up": Pair("转移企业已有承接", "Enterprise taken up by a zone"),
    "wish_outcome": Pair("转移意向的结果", "What came of your wish"),
    "bulletin_matched": Pair("政策公告适用", "A policy bulletin fits"),
    "no_liaison_person": Pair("缺少对口联系人", "No liaison person named"),
    "partner_not_reached": Pair("合作机构未能通知到", "Partner not reached"),
    "not_delivered": Pair("通知未能送达", "Notice not delivered"),
    "not_acknowledged": Pair("通知逾期未确认", "Notice not acknowledged in time"),
}
"""What each template is about, as subject lines and lists say it."""

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def label(code: StrEnum) -> Pair:
    """The words for a code."""
    return LABELS[type(code)][code]


def label_of(codes: type[StrEnum], code: str) -> Pair:
    """The words for a code that travels as text; the code itself where it is none of these."""
    known = next((one for one in codes if one == code), None)
    return label(known) if known is not None else Pair(code, code)


def listed(pairs: Iterable[Pair]) -> Pair:
    """Several words in a row; a dash where there are none."""
    several = tuple(pairs)
    return Pair("、".join(one.zh for one in several) or "—", ", ".join(one.en for one in several) or "–")


def written_sum(amount: Decimal, currency: Currency) -> Pair:
    """An amount with its currency: 人民币 5,000,000.00 元 / CNY 5,000,000.00."""
    name = label(currency)
    return Pair(f"{name.zh} {amount:,.2f} 元", f"{name.en} {amount:,.2f}")


def written_money(money: Money) -> Pair:
    """Like `written_sum`."""
    return written_sum(money.amount, money.currency)


def written_day(day: date) -> Pair:
    """A calendar day: 2020年4月1日 / 1 April 2020."""
    return Pair(f"{day.year}年{day.month}月{day.day}日", f"{day.day} {_MONTHS[day.month - 1]} {day.year}")


def written_moment(moment: datetime) -> Pair:
    """A moment as clocks in China show it: 2020年4月1日 09:30 / 1 April 2020, 09:30 (China time)."""
    local = moment.astimezone(CHINA_TIME)
    day = written_day(local.date())
    return Pair(f"{day.zh} {local:%H:%M}（北京时间）", f"{day.en}, {local:%H:%M} (China time)")


def written_deadline(moment: datetime, provisional: bool) -> Pair:
    """A deadline; where it was counted without an official calendar, it says so."""
    when = written_moment(moment)
    if not provisional:
        return when
    return Pair(
        f"{when.zh}，当年节假日安排公布前为暂定", f"{when.en}, provisional until that year's holidays are announced"
    )
