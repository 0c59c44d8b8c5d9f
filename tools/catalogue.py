"""Catalogue of translations: `python -m tools.catalogue` finds new messages and compiles the translated ones.

Messages are found in the code (sentences, headings, help), in the metric cards, protocols and texts of pages. The
catalogue of a language is `facebench/core/locale/LANGUAGE/LC_MESSAGES/facebench.po`; the program reads the compiled
file beside it. `catalogue_ignored.txt` lists texts that look like messages and are none, such as SQL.
"""

from __future__ import annotations

import ast
import inspect
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

import yaml
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from facebench.core.catalogue import WORDS
from facebench.core.page_texts import texts_in_context

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "facebench"
LOCALES = PACKAGE / "core" / "locale"
IGNORED = Path(__file__).with_name("catalogue_ignored.txt")
_CARD_KEYS = ("title", "about", "pitfalls", "terms")
_HEADINGS = {"Column": 1, "add_column": 0}
"""Calls whose argument at this position is a heading, even if it is one word."""
_CODE = re.compile(r"\s*(<[!?A-Za-z]|SELECT |PRAGMA |INSERT |DELETE |UPDATE |BEGIN |CREATE |outside )")
"""Beginnings of markup, SQL and positions in a plot."""
_DATE = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""Date in the catalogues: files of equal content are equal."""
_NO_TEXT = (
    r"{% block (?:style|script|images|lang) %}.*?{% endblock %}|<(?:script|style)\b.*?</(?:script|style)>"
)
"""Parts of a template that hold no text."""
_TYPER = (
    "(deprecated) ",
    "(dynamic)",
    "Aborted!",
    "Aborted.",
    "Arguments",
    "Commands",
    "Error",
    "Missing command.",
    "Options",
    "Try [blue]'{command_path} {help_option}'[/] for help.",
    "[default: {}]",
    "[env var: {}]",
    "[required]",
    "default: {default}",
    "env var: {var}",
    "required",
    "Show this message and exit.",
)
"""Messages that Typer reads from the same catalogue."""
_USAGE_ERRORS = (
    "Argument {argument} takes {count} values.",
    "Could not open file {file}: {message}",
    "Got unexpected extra argument ({arguments})",
    "Got unexpected extra arguments ({arguments})",
    "Got unexpected extra argument(s) ({arguments})",
    "Input should be a finite number",
    "Input should be a valid boolean, unable to interpret input",
    "Input should be a valid integer, got a number with a fractional part",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be greater than or equal to {limit}",
    "Input should be greater than {limit}",
    "Input should be less than or equal to {limit}",
    "Input should be less than {limit}",
    "Invalid value for {option}: {message}",
    "Invalid value: {message}",
    "Missing argument {argument}.",
    "Missing argument {argument}. Choose from:\n\t{choices}",
    "Missing option {option}.",
    "Missing option {option}. Choose from:\n\t{choices}",
    "No such command {name}.",
    "No such command {name}. Did you mean {names}?",
    "No such option: {option}",
    "No such option: {option} (Possible options: {names})",
    "No such option: {option} Did you mean {names}?",
    "Option {option} does not take a value.",
    "Option {option} requires an argument.",
    "Option {option} requires {count} arguments.",
    "Unable to parse input string as an integer, exceeded maximum size",
    "Value error, {value} is not one of {choices}.",
    "{value} is not a valid boolean.",
    "{value} is not a valid float.",
    "{value} is not a valid integer.",
    "{value} is not in the range {range}.",
    "{value} is not one of {choices}.",
)
"""Usage errors of Typer, click and pydantic, which build them without gettext; `LazyGroup` translates them."""
_LIMIT = 16
"""Largest number of variants of one message."""


def messages(root: Path = ROOT) -> dict[str, str]:
    """Return all messages, each with the file in which it was found first."""
    ignored = {line.replace("\\n", "\n") for line in IGNORED.read_text(encoding="utf-8").splitlines()}
    found: dict[str, str] = {}
    words = ((root / "facebench" / "core" / "catalogue.py", word) for word in WORDS)
    for file, message in itertools.chain(
        _code_messages(root), _data_messages(root), _template_messages(root), words
    ):
        if message not in ignored:
            found.setdefault(message, file.relative_to(root).as_posix())
    return found


def page_messages(root: Path = ROOT) -> dict[tuple[str, str], str]:
    """Return the texts of pages by context and text, each with its file."""
    return {
        each: file.relative_to(root).as_posix()
        for file in sorted((root / "facebench").rglob("*_texts.yaml"))
        for each in texts_in_context(file)
    }


def _code_messages(root: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted((root / "facebench").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        finder = _Finder(commands=file.parent.name == "cli")
        finder.visit(tree)
        for message in finder.found:
            yield file, message


class _Finder(ast.NodeVisitor):
    """Finds sentences, headings and the help of commands in one file.

    A message is a text with a space, outside docstrings; a heading may be one word.
    """

    def __init__(self, *, commands: bool) -> None:
        self.found: list[str] = []
        self._commands = commands

    def visit_Expr(self, node: ast.Expr) -> None:
        """Docstrings and strings below attributes are no messages."""
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """The docstring of a command is its help."""
        public = not node.name.startswith("_") and bool(node.decorator_list or node.args.args)
        if (
            self._commands
            and public
            and any("typer." in ast.unparse(each) for each in (node.args, *node.decorator_list))
        ):
            self.found.append(_escaped(inspect.cleandoc(ast.get_docstring(node) or "")))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Headings, and words marked by `message`, may be single words."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        position = {**_HEADINGS, "message": 0}.get(name)
        if position is not None and position < len(node.args):
            self.found += [text for text in _variants(node.args[position]) if _letters(text) > 1]
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Plain strings."""
        self._add(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Strings with values; strings inside the values are messages of their own."""
        self._add(node)
        for value in node.values:
            if isinstance(value, ast.FormattedValue) and not _is_choice(value.value):
                self.visit(value.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Strings joined by a plus sign."""
        if isinstance(node.op, ast.Add) and any(_is_text(side) for side in (node.left, node.right)):
            self._add(node)
            for part in _summands(node):
                if not _is_text(part):
                    self.visit(part)
        else:
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Keys and annotations are no messages; the options in an annotation have help."""
        self.visit(node.slice if getattr(node.value, "id", "") == "Annotated" else node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Annotations are no messages, except those of options."""
        if "Annotated" in ast.unparse(node.annotation):
            self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def _add(self, node: ast.expr) -> None:
        self.found += [text for text in _variants(node) if _is_sentence(text)]


def _is_sentence(text: str) -> bool:
    return (
        " " in text.strip() and _letters(text) > 2 and not _CODE.match(text) and not {"\\", "\0"} & set(text)
    )


def _letters(text: str) -> int:
    return sum(character.isalpha() for character in re.sub(r"\{\w+\}", "", text))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_summands(node.left), *_summands(node.right)]
    return [node]


def _is_choice(node: ast.expr) -> bool:
    """Whether an expression is one of several texts, such as `"s" if n > 1 else ""`."""
    return isinstance(node, ast.IfExp) and all(
        _is_text(each) or _is_choice(each) for each in (node.body, node.orelse)
    )


def _variants(node: ast.expr) -> list[str]:
    """Return the templates of a string expression: one for each way that its choices can go."""
    pieces = [_pieces(each) for each in _summands(node)]
    combinations = list(itertools.islice(itertools.product(*pieces), _LIMIT))
    return list(dict.fromkeys(_numbered(itertools.chain.from_iterable(each)) for each in combinations))


def _pieces(node: ast.expr) -> list[list[tuple[str, str]]]:
    """Return the variants of an expression as lists of ("text", literal) and ("value", name)."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [_split(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [
            _pieces(value.value if isinstance(value, ast.FormattedValue) else value) for value in node.values
        ]
        combinations = itertools.islice(itertools.product(*parts), _LIMIT)
        return [list(itertools.chain.from_iterable(each)) for each in combinations]
    if _is_choice(node):
        assert isinstance(node, ast.IfExp)
        return [*_pieces(node.body), *_pieces(node.orelse)]
    return [[("value", _value_name(node))]]


def _split(text: str) -> list[tuple[str, str]]:
    """Split a plain string at its placeholders for `str.format`; other braces are text."""
    pieces = re.split(r"\{([a-z]\w*)\}", text)
    return [("field" if index % 2 else "text", piece) for index, piece in enumerate(pieces)]


def _numbered(pieces: Iterable[tuple[str, str]]) -> str:
    """Join pieces to a template; values of the same name are numbered, fields of `str.format` are not."""
    parts = []
    counts: Counter[str] = Counter()
    for kind, text in pieces:
        if kind == "text":
            parts.append(_escaped(text))
            continue
        counts[text] += kind == "value"
        parts.append(f"{{{text}_{counts[text]}}}" if counts[text] > 1 else f"{{{text}}}")
    return "".join(parts)


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _value_name(node: ast.AST) -> str:
    """Name a value after its variable: `run.name` and `", ".join(names)` are `name` and `names`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_") or "value"
        case ast.Call(func=ast.Attribute(value=ast.Constant()), args=[first, *_]):
            return _value_name(first)
        case ast.Call(func=ast.Attribute(value=owner), args=[]):
            return _value_name(owner)
        case ast.Call(func=ast.Name(), args=[first, *_]):
            return _value_name(first)
        case ast.Call(func=function):
            return _value_name(function)
        case (
            ast.Subscript(value=inner)
            | ast.Starred(value=inner)
            | ast.BinOp(left=inner)
            | ast.IfExp(body=inner)
        ):
            return _value_name(inner)
        case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner) | ast.BoolOp(values=[inner, *_]):
            return _value_name(inner)
        case ast.NamedExpr(target=inner):
            return _value_name(inner)
    return "value"


def _template_messages(root: Path) -> Iterator[tuple[Path, str]]:
    """Return the texts between the tags of HTML templates; values of the template are placeholders."""
    for file in sorted((root / "facebench").rglob("templates/*.html")):
        content = re.sub(_NO_TEXT, "<>", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        content = re.sub(r"{%.*?%}", "<>", content, flags=re.DOTALL)
        attributes = re.findall(r'(?:title|aria-label|placeholder|alt|data-text[\w-]*)="([^"]*)"', content)
        for text in [*re.split(r"<[^>]*>", content), *attributes]:
            message = re.sub(r"{{[^}]*?(\w+)[^\w}]*}}", r"{\1}", " ".join(text.split()))
            if _letters(message) > 2 and "=" not in message and "-src" not in message:
                yield file, message


def _data_messages(root: Path) -> Iterator[tuple[Path, str]]:
    """Return the texts of metric cards and protocols, with placeholders of their families."""
    registry = root / "facebench" / "backbones" / "weights" / "registry.yaml"
    for file in [
        *sorted((root / "metrics").glob("*.yaml")),
        *sorted((root / "protocols").rglob("*.yaml")),
        registry,
    ]:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        entries = content.values() if file.name == "registry.yaml" else (content, *content.get("family", []))
        entries = [*entries, *content.get("measures", {}).values()]
        for entry in entries:
            for key in _CARD_KEYS:
                value = entry.get(key, [])
                for text in [value] if isinstance(value, str) else value:
                    if _letters(text) > 3 and " " in text:
                        yield file, _numbered(_split(text.strip()))


def update(language: str, found: Mapping[str, str]) -> Catalog:
    """Add new messages to the catalogue of a language, remove those that no code builds, and compile it.

    Translations of removed messages are dropped.
    """
    old = read_catalogue(language)
    updated = Catalog(
        locale=language, project="facebench", charset="utf-8", creation_date=_DATE, revision_date=_DATE
    )
    for message in sorted(found, key=lambda each: (found[each], each)):
        known = old.get(message)
        updated.add(message, known.string if known else "", locations=[(found[message], None)])
    for (context, message), file in page_messages().items():
        known = old.get(message, context)
        updated.add(message, known.string if known else "", locations=[(file, None)], context=context)
    for message in (*_TYPER, *_USAGE_ERRORS):
        known = old.get(message)
        updated.add(message, known.string if known else "", locations=[("typer", None)])
    folder = LOCALES / language / "LC_MESSAGES"
    with (folder / "facebench.po").open("wb") as stream:
        write_po(stream, updated, width=0, omit_header=False)
    (folder / "facebench.mo").write_bytes(compiled(updated))
    return updated


def read_catalogue(language: str) -> Catalog:
    """Return the catalogue of a language; an empty one if it has none yet."""
    file = LOCALES / language / "LC_MESSAGES" / "facebench.po"
    if not file.is_file():
        return Catalog(locale=language)
    with file.open("rb") as stream:
        return read_po(stream, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """Return the compiled catalogue; messages without a translation are left out."""
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def untranslated(
    catalogue: Catalog, known: Iterable[str], pages: Iterable[tuple[str, str]] = ()
) -> list[str]:
    """Return the messages, and the contexts of texts of pages, that a catalogue does not translate."""
    missing = [message for message in known if not getattr(catalogue.get(message), "string", "")]
    return missing + [
        context for context, text in pages if not getattr(catalogue.get(text, context), "string", "")
    ]


def main() -> int:
    """Update all catalogues; print what they do not translate."""
    found = messages()
    for folder in sorted(LOCALES.iterdir()):
        catalogue = update(folder.name, found)
        missing = untranslated(catalogue, found, page_messages())
        for message in missing:
            print(f"{folder.name}: not translated: {message!r}")
        print(f"{folder.name}: {len(catalogue) - len(missing)} messages translated, {len(missing)} not")
    return 0


if __name__ == "__main__":
    sys.exit(main())
