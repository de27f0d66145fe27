"""View models as JSON, field for field, so that what a machine reads is what a person sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import click

from optimizer.domain.failure import Cluster
from optimizer.domain.json import Json


def jsonable(value: object) -> Json:
    """A frozen value as JSON; bytes become text, an unknown number stays null."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(part) for part in value]
    return str(value)


def cluster_json(cluster: Cluster) -> Json:
    """A cluster with what follows from its fields."""
    spelled = jsonable(cluster)
    assert isinstance(spelled, dict)
    return {
        **spelled,
        "resolution_rate": cluster.resolution_rate,
        "is_one_off": cluster.is_one_off,
        "priority": cluster.priority,
    }


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(jsonable(value), ensure_ascii=False))
