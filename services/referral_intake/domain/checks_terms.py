"""Rules on what is wanted: size, mode, trade, sums and terms, outbound investment, documents, consent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from schemas.faults import Fault
from schemas.values import CooperationMode, FinancingNeed, KeyArea, SizeClass
from services.referral_intake.domain.asked import Asked, Readable
from services.referral_intake.domain.limits import Limits
from services.referral_intake.domain.size_class import size_class_by_figures

_FOREIGN_NEEDS: Final = frozenset(
    {
        FinancingNeed.FARM_PRODUCE_IMPORT,
        FinancingNeed.KEY_EQUIPMENT_TECHNOLOGY_IMPORT,
        FinancingNeed.EMERGING_MARKET_EXPORT,
        FinancingNeed.INBOUND_INVESTMENT,
        FinancingNeed.OUTBOUND_INVESTMENT,
    }
)
_TRADE_NEEDS: Final = _FOREIGN_NEEDS - {FinancingNeed.INBOUND_INVESTMENT, FinancingNeed.OUTBOUND_INVESTMENT}
_INVESTMENT_NEEDS: Final = _FOREIGN_NEEDS - _TRADE_NEEDS
_TEN_THOUSAND: Final = 10_000


def check_terms(asked: Asked, limits: Limits) -> Iterator[Fault]:
    """Everything that speaks against what is wanted."""
    referral = asked.referral
    yield from _check_size(referral)
    yield from _check_mode(referral)
    yield from _check_trade(referral)
    yield from _check_outbound(referral, limits)
    yield from _check_investment(referral)
    yield from _check_plausible(referral, limits)
    yield from _check_documents(referral, limits)
    yield from _check_consent(asked)


def _check_size(referral: Readable) -> Iterator[Fault]:
    enterprise = referral.enterprise
    if enterprise is None or enterprise.industry is None or enterprise.size_class is None:
        return
    size = size_class_by_figures(
        enterprise.industry, enterprise.employees, enterprise.revenue_10k_cny, enterprise.assets_10k_cny
    )
    if size is not None and size is not enterprise.size_class:
        yield Fault(
            code="size_class_contradicted",
            pointer="/referral/enterprise/size_class",
            zh=f"按所填行业和指标应为 {size}，与所填规模 {enterprise.size_class} 不符；请核对规模或指标。",
            en=f"By industry and figures the size class is {size}, not {enterprise.size_class}; check both.",
        )


def _check_mode(referral: Readable) -> Iterator[Fault]:
    size = referral.enterprise.size_class if referral.enterprise is not None else None
    if referral.cooperation_mode is CooperationMode.SME_ON_LENDING and size in (SizeClass.LARGE, SizeClass.MEDIUM):
        yield Fault(
            code="mode_not_for_size",
            pointer="/referral/cooperation_mode",
            zh="转贷款只面向小型和微型企业；请改用其他合作方式。",
            en="On-lending is for small and micro enterprises; propose another mode.",
        )


def _check_trade(referral: Readable) -> Iterator[Fault]:
    abroad = referral.key_area is KeyArea.MARKET_DIVERSIFICATION or referral.need in _FOREIGN_NEEDS
    if abroad and referral.country is None:
        yield Fault(
            code="country_missing",
            pointer="/referral/country",
            zh="该重点领域或融资需求须注明国家，请补充。",
            en="This key area or financing need names the country; add it.",
        )
    if abroad and referral.country == "CN":
        yield Fault(
            code="country_not_foreign",
            pointer="/referral/country",
            zh="此处应填写境外国家或地区，请更正。",
            en="A foreign country belongs here; correct it.",
        )
    goods = referral.key_area is KeyArea.MARKET_DIVERSIFICATION or referral.need in _TRADE_NEEDS
    if goods and referral.need not in _INVESTMENT_NEEDS and referral.goods is None:
        yield Fault(
            code="goods_missing",
            pointer="/referral/goods",
            zh="该重点领域或融资需求须注明商品，请补充。",
            en="This key area or financing need names the goods; add them.",
        )


def _check_investment(referral: Readable) -> Iterator[Fault]:
    amount = referral.amount
    investment = referral.project.total_investment if referral.project is not None else None
    if amount is None or investment is None or amount.currency is not investment.currency:
        return
    if amount.amount > investment.amount:
        yield Fault(
            code="amount_above_investment",
            pointer="/referral/amount/amount",
            zh=f"申请金额 {amount.amount} 超过项目总投资 {investment.amount}；请核对两项金额。",
            en=f"The sum wanted, {amount.amount}, exceeds the project's investment of {investment.amount}; check both.",
        )


def _check_outbound(referral: Readable, limits: Limits) -> Iterator[Fault]:
    outbound, direction = referral.need is FinancingNeed.OUTBOUND_INVESTMENT, referral.direction
    if outbound and direction is None:
        yield Fault(
            code="direction_missing",
            pointer="/referral/direction",
            zh="对外投资须注明投资方向（鼓励、一般、限制或禁止），请补充。",
            en="Outbound investment states its direction (encouraged, ordinary, restricted or prohibited); add it.",
        )
    if not outbound and referral.need is not None and direction is not None:
        yield Fault(
            code="direction_unexpected",
            pointer="/referral/direction",
            zh="投资方向只用于对外投资；请删除。",
            en="A direction goes with outbound investment alone; remove it.",
        )
    if not outbound or direction is None or direction in limits.outbound.permitted:
        return
    if direction not in limits.outbound.with_approval:
        yield Fault(
            code="direction_not_permitted",
            pointer="/referral/direction",
            zh=f"对外投资方向 {direction} 不在允许范围内，不能推荐。",
            en=f"Outbound investment in a {direction} direction is not permitted and can't be referred.",
        )
    elif referral.outbound_approval is None:
        yield Fault(
            code="outbound_approval_missing",
            pointer="/referral/outbound_approval",
            zh=f"对外投资方向 {direction} 须先经核准；请填写核准文件编号。",
            en=f"Outbound investment in a {direction} direction needs an approval first; give its reference.",
        )


def _check_plausible(referral: Readable, limits: Limits) -> Iterator[Fault]:
    if referral.amount is not None:
        yuan, amount = limits.in_yuan(referral.amount), limits.amount
        if not amount.at_least <= yuan <= amount.at_most:
            yield Fault(
                code="amount_implausible",
                pointer="/referral/amount/amount",
                zh=f"申请金额 {referral.amount.amount} 不合常理：{amount.zh}；请核对金额与单位。",
                en=f"The sum wanted, {referral.amount.amount}, is not plausible: {amount.en}; check sum and unit.",
            )
    for term in limits.terms:
        if referral.need in term.needs and referral.term_months is not None and referral.term_months > term.months:
            yield Fault(
                code="term_implausible",
                pointer="/referral/term_months",
                zh=f"期限 {referral.term_months} 个月超过 {term.months} 个月：{term.zh}；请核对期限或融资需求。",
                en=f"A term of {referral.term_months} months exceeds {term.months}: {term.en}; check term and need.",
            )
    yield from _check_revenue(referral, limits)


def _check_revenue(referral: Readable, limits: Limits) -> Iterator[Fault]:
    revenue = referral.enterprise.revenue_10k_cny if referral.enterprise is not None else None
    if revenue is None or referral.amount is None:
        return
    for rule in limits.revenue:
        if referral.need in rule.needs and limits.in_yuan(referral.amount) > rule.times * revenue * _TEN_THOUSAND:
            yield Fault(
                code="amount_above_revenue",
                pointer="/referral/amount/amount",
                zh=f"申请金额 {referral.amount.amount} 超过上年营业收入（{revenue} 万元）的 {rule.times} 倍："
                f"{rule.zh}；请核对两项金额及单位。",
                en=f"The sum wanted, {referral.amount.amount}, exceeds {rule.times} times last year's revenue of "
                f"{revenue} (10 000 CNY): {rule.en}; check both and their units.",
            )


def _check_documents(referral: Readable, limits: Limits) -> Iterator[Fault]:
    documents = referral.documents or ()
    addresses = Counter(document.uri for document in documents)
    contents = Counter(document.sha256 for document in documents)
    for place, document in enumerate(documents):
        pointer, types = f"/referral/documents/{place}", limits.documents.media_types
        if addresses[document.uri] > 1 or contents[document.sha256] > 1:
            yield Fault(
                code="document_repeated",
                pointer=pointer,
                zh="同一文件或同一地址出现多次；每个文件请只列一次，一个地址只对应一个文件。",
                en="The same document or address stands here more than once; list each once, each at its own address.",
            )
        if document.media_type not in types:
            yield Fault(
                code="document_type_unsupported",
                pointer=f"{pointer}/media_type",
                zh=f"文件类型 {document.media_type} 双方系统无法打开；请改用 {'、'.join(types)}。",
                en=f"{document.media_type} can't be opened on both sides; use {', '.join(types)}.",
            )
        if document.size_bytes > limits.documents.size_bytes:
            yield Fault(
                code="document_too_large",
                pointer=f"{pointer}/size_bytes",
                zh=f"文件大小 {document.size_bytes} 字节超过上限 {limits.documents.size_bytes} 字节；请拆分或压缩。",
                en=f"{document.size_bytes} bytes exceed the limit of {limits.documents.size_bytes}; split or compress.",
            )


def _check_consent(asked: Asked) -> Iterator[Fault]:
    given_on = asked.consent.given_on if asked.consent is not None else None
    if given_on is not None and given_on > asked.day:
        yield Fault(
            code="consent_in_future",
            pointer="/consent/given_on",
            zh=f"授权日期 {given_on} 晚于提交日期 {asked.day}；请核对。",
            en=f"The consent is dated {given_on}, after the submission on {asked.day}; check the date.",
        )
