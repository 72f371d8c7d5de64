# ruff: noqa: E501  # a query is read best on one line
from typing import Any

import graphql
import pytest
from graphql.language import ast
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.api.document import Name, Variable, parse
from pipelines.engine.errors import QueryError

DOCUMENTS = [
    "{version}",
    '{container{from: from(address:"alpine"){withExec(args:["a", "b"], expect: ANY){stdout}}}}',
    "query Q($a: [Int!]! = [1, 2] @x, $b: String) @d(x: 1) { f(x: $a, y: {k: $b, l: null}) }",
    (
        '{ node(id: "x") { ... on Container @skip(if: $no) { id } ...Rest @include(if: true) ... { a } } }'
        " fragment Rest on Node { id a: b }"
    ),
    "{ a(i: -3, f: 2.5e3, t: true, n: null, e: [A, [B]], o: {}) b }",
    '{ a(s: "\\u00e9\\n\\"\\\\ \\/ \\u{1F600} \\\\u{41}", t: "") }',
    '{ a(s: """\n    one\n      two "quoted" \\"""\n\n    three\n  """) }',
    "# comment\n{ a # more\n, b }\n",
    "query A { a } query B { b }",
    "{ on: fragment { query: on } }",
]


def value(node: Any) -> Any:
    match node:
        case ast.VariableNode():
            return Variable(node.name.value)
        case ast.NullValueNode():
            return None
        case ast.IntValueNode():
            return int(node.value)
        case ast.FloatValueNode():
            return float(node.value)
        case ast.ListValueNode():
            return [value(one) for one in node.values or ()]
        case ast.ObjectValueNode():
            return {one.name.value: value(one.value) for one in node.fields or ()}
        case ast.EnumValueNode():
            return Name(node.value)
    return node.value


def arguments(nodes):
    return {one.name.value: value(one.value) for one in nodes or ()}


def selections(node):
    return [selection(one) for one in node.selections] if node else []


def selection(node: Any) -> Any:
    directives = tuple((d.name.value, arguments(d.arguments)) for d in node.directives or ())
    match node:
        case ast.FieldNode():
            alias = node.alias.value if node.alias else node.name.value
            given = arguments(node.arguments)
            return (
                node.name.value,
                alias,
                given,
                directives,
                selections(node.selection_set),
                "",
                "",
            )
        case ast.InlineFragmentNode():
            on = node.type_condition.name.value if node.type_condition else ""
            return ("", "", {}, directives, selections(node.selection_set), on, "")
    return ("", "", {}, directives, [], "", node.name.value)


def ours(one):
    return (
        one.name,
        one.alias,
        one.arguments,
        one.directives,
        [ours(inner) for inner in one.selections],
        one.on,
        one.spread,
    )


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_document_is_read_as_graphql_core_reads_it(text):
    found, reference = parse(text), graphql.parse(text)
    operations = [d for d in reference.definitions if isinstance(d, ast.OperationDefinitionNode)]
    assert [[ours(s) for s in o.selections] for o in found.operations] == [
        selections(o.selection_set) for o in operations
    ]
    fragments = [d for d in reference.definitions if isinstance(d, ast.FragmentDefinitionNode)]
    assert {n: [ours(s) for s in f.selections] for n, f in found.fragments.items()} == {
        f.name.value: selections(f.selection_set) for f in fragments
    }


@given(st.text())
def test_any_text_survives_a_string(text):
    spelled = graphql.print_ast(ast.StringValueNode(value=text))
    assert parse(f"{{ a(s: {spelled}) }}").operations[0].selections[0].arguments == {"s": text}


@given(st.text(alphabet='{}()[]:$@!.="#\\ \nabc019-_,on'))
def test_what_graphql_core_refuses_is_refused(text):
    try:
        reference = graphql.parse(text)
    except graphql.GraphQLSyntaxError:
        reference = None
    if reference is None or asks_for_nothing(reference):
        with pytest.raises(QueryError):
            parse(text)
    else:
        assert len(parse(text).operations) <= len(reference.definitions)


def asks_for_nothing(document):
    """Tell whether a selection is empty: graphql-core takes that since 3.3, the grammar does not."""
    found = []

    class Look(graphql.Visitor):
        def enter_selection_set(self, node, *_):
            found.append(not node.selections)

    graphql.visit(document, Look())
    return any(found)


def test_an_empty_selection_is_refused():
    with pytest.raises(QueryError, match="expected a field"):
        parse("{}")


def test_a_chain_may_be_deep():
    found = parse("{a" * 5000 + "}" * 5000).operations[0].selections
    depth = 0
    while found:
        depth, found = depth + 1, found[0].selections
    assert depth == 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a", "1:3: expected a name, found the end"),
        ("{a(x:)}", "1:6: expected a value"),
        ("{\n  a(x 1)}", "2:7: expected ':'"),
        ("{}", "1:2: expected a field"),
        ("mutation { a }", "no mutations"),
        ('{a(x:"\n")}', "1:6: expected a GraphQL token"),
        ("{a(x:" + "[" * 300, "not nested so deeply"),
        ("{...F} fragment F on A { b { ...G } } fragment G on A { ...F }", "'F' contains itself"),
    ],
)
def test_a_syntax_error_says_where_and_what(text, message):
    with pytest.raises(QueryError, match=message.replace("(", r"\(")):
        parse(text)


def test_an_operation_is_chosen_by_its_name():
    document = parse("query A { a } query B { b }")
    assert document.operation("B").selections[0].name == "b"
    with pytest.raises(QueryError, match="None does not choose one"):
        document.operation(None)


def test_the_defaults_of_variables_are_kept():
    assert parse('query($a: [Int!] = [1], $b: S = "x") { a }').operations[0].defaults == {
        "a": [1],
        "b": "x",
    }
