"""The sixteen tools: their schemas, and one door through which every call goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Generic, Literal, TypeVar, cast

from pydantic import ValidationError

from benchmarks.helpdesk import arguments as args
from benchmarks.helpdesk import changes, lookups
from benchmarks.helpdesk.lookups import Result, refused
from benchmarks.helpdesk.world import World
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.task import ToolSchema

ArgumentsT = TypeVar("ArgumentsT", bound=args.Arguments)
MAX_ARGUMENTS = 16
Access = Literal["open", "account", "change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[ArgumentsT]):
    """A tool."""

    name: str
    access: Access
    """`account` reads and `change` writes what belongs to a customer; `open` does neither."""
    arguments: type[ArgumentsT]
    run: Callable[[World, ArgumentsT], Result]

    def call(self, world: World, given: JsonObject) -> Result:
        """Parse and run."""
        if len(given) > MAX_ARGUMENTS:
            return refused(f"invalid arguments: {len(given)} of them, no tool takes more than {MAX_ARGUMENTS}")
        try:
            parsed = self.arguments.model_validate(dict(given))
        except ValidationError as error:
            return refused(f"invalid arguments: {_problems(error)}")
        return self.run(world, parsed)

    def accepts(self, given: JsonObject) -> bool:
        """Whether the arguments fit the schema."""
        if len(given) > MAX_ARGUMENTS:
            return False
        try:
            self.arguments.model_validate(dict(given))
        except ValidationError:
            return False
        return True


def _problems(error: ValidationError) -> str:
    """The first three problems, short and without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:3]
    return "; ".join(f"{'.'.join(str(part) for part in one['loc'])[:60]}: {one['msg'][:120]}" for one in found)


def _without_titles(schema: Json) -> Json:
    if isinstance(schema, dict):
        return {key: _without_titles(value) for key, value in schema.items() if key != "title"}
    if isinstance(schema, list):
        return [_without_titles(value) for value in schema]
    return schema


def schema_of(tool: Tool[args.Arguments]) -> ToolSchema:
    """The tool as a harness sees it."""
    parameters = _without_titles(tool.arguments.model_json_schema())
    assert isinstance(parameters, dict)
    description = " ".join(str(parameters.pop("description")).split())
    return ToolSchema(name=tool.name, description=description, parameters=parameters)


def _tool(
    name: str, access: Access, arguments: type[ArgumentsT], run: Callable[[World, ArgumentsT], Result]
) -> Tool[args.Arguments]:
    tool = Tool(name=name, access=access, arguments=arguments, run=run)
    return cast("Tool[args.Arguments]", tool)  # parser and function stay a consistent pair inside


@cache
def tools() -> dict[str, Tool[args.Arguments]]:
    """All tools by name, in the order harnesses see them."""
    rows = (
        _tool("find_customer", "open", args.FindCustomer, lookups.find_customer),
        _tool("verify_identity", "open", args.VerifyIdentity, lookups.verify_identity),
        _tool("get_customer", "account", args.GetCustomer, lookups.get_customer),
        _tool("list_orders", "account", args.ListOrders, lookups.list_orders),
        _tool("get_order", "account", args.GetOrder, lookups.get_order),
        _tool("track_shipment", "account", args.TrackShipment, lookups.track_shipment),
        _tool("find_product", "open", args.FindProduct, lookups.find_product),
        _tool("check_stock", "open", args.CheckStock, lookups.check_stock),
        _tool("cancel_order", "change", args.CancelOrder, changes.cancel_order),
        _tool("refund_item", "change", args.RefundItem, changes.refund_item),
        _tool("replace_item", "change", args.ReplaceItem, changes.replace_item),
        _tool("exchange_item", "change", args.ExchangeItem, changes.exchange_item),
        _tool("change_address", "change", args.ChangeAddress, changes.change_address),
        _tool("update_contact", "change", args.UpdateContact, changes.update_contact),
        _tool("issue_credit", "change", args.IssueCredit, changes.issue_credit),
        _tool("escalate_to_human", "change", args.EscalateToHuman, changes.escalate_to_human),
    )
    return {tool.name: tool for tool in rows}


@cache
def schemas() -> tuple[ToolSchema, ...]:
    """All schemas."""
    return tuple(schema_of(tool) for tool in tools().values())
