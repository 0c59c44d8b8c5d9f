"""Command-line options built from the fields of a pydantic model: types, defaults, bounds and help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class OptionForm:
    """How a field is written on the command line, where that differs from its type and name.

    Attributes:
        type: type of the option, such as `list[str]` for an option that may be repeated.
        flag: name of the option, such as `--tag`.
        metavar: placeholder of the value in the help.
        parse: function from the value of the option to the value of the field.
    """

    type: Any = None
    flag: str | None = None
    metavar: str | None = None
    parse: Callable[[Any], Any] | None = None


class ModelOptions:
    """Options for all fields of a model.

    A decorated function gets one option for each field before its own options. No option is required: a missing
    value is reported when the model is built, because a configuration file may give it.

    Args:
        model: the model; descriptions of its fields are the help of the options.
        arguments: fields that are positional arguments.
        forms: fields that need another form than their type and name imply.

    Example:
        >>> class Size(BaseModel):
        ...     width: int = 3
        >>> @ModelOptions(Size).declare
        ... def show(context: typer.Context, **options: Any) -> None: ...
        >>> list(inspect.signature(show).parameters)
        ['context', 'width']
    """

    def __init__(
        self,
        model: type[BaseModel],
        *,
        arguments: Collection[str] = (),
        forms: Mapping[str, OptionForm] | None = None,
    ) -> None:
        self.model, self.arguments, self.forms = model, arguments, dict(forms or {})

    def declare(self, function: _Function) -> _Function:
        """Give a function the signature that Typer reads: `**options` becomes one parameter for each field."""
        declared = inspect.signature(function, eval_str=True)
        own = [each for each in declared.parameters.values() if each.kind is not each.VAR_KEYWORD]
        context = [each for each in own if each.annotation is typer.Context]
        parameters = [*context, *self._parameters(), *(each for each in own if each not in context)]
        signature = declared.replace(
            parameters=[each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        )
        function.__signature__ = signature  # type: ignore[attr-defined]
        function.__annotations__ = {each.name: each.annotation for each in parameters}
        return function

    def given(self, context: typer.Context, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that the command line sets, as values for the model.

        Args:
            context: context of the command.
            options: the options that the decorated function received.
        """
        return {
            name: self._parse(name, options[name])
            for name in self.model.model_fields
            if getattr(context.get_parameter_source(name), "name", None) == "COMMANDLINE"
        }

    def _parse(self, name: str, value: Any) -> Any:
        parse = self.forms.get(name, OptionForm()).parse
        if parse is not None:
            return parse(value)
        return value.value if isinstance(value, Enum) else value

    def _parameters(self) -> list[inspect.Parameter]:
        return [self._parameter(name, field) for name, field in self.model.model_fields.items()]

    def _parameter(self, name: str, field: FieldInfo) -> inspect.Parameter:
        form = self.forms.get(name, OptionForm())
        kind: Any = form.type or _option_type(name, field)
        details: dict[str, Any] = {"help": field.description, "metavar": form.metavar, **_bounds(field)}
        if name in self.arguments:
            declaration = typer.Argument(**details)
        else:
            declaration = typer.Option(*([form.flag] if form.flag else []), **details)
        default = None if form.type or field.is_required() else field.default
        if default is None:
            kind = kind | None
        elif isinstance(kind, type) and issubclass(kind, Enum):
            default = kind(default)
        annotation = Annotated[kind, declaration]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option_type(name: str, field: FieldInfo) -> Any:
    """Return the type of an option: the type of the field without None, an Enum for a Literal."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    kind = kinds[0] if len(kinds) == 1 and NoneType in get_args(field.annotation) else field.annotation
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return Enum(name, [(value, value) for value in get_args(kind)], type=str)
    return kind


def _bounds(field: FieldInfo) -> dict[str, Any]:
    """Return the inclusive bounds of a field by the names of Typer."""
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        for bound, name in (("ge", "min"), ("le", "max")):
            if hasattr(constraint, bound):
                bounds[name] = getattr(constraint, bound)
    return bounds
