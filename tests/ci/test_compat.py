"""The compatibility page is what the schema, the engine and the cases say."""

import re

from ci import compat

# They wait until they are ended, need a container runtime, or empty what other cases keep.
UNTRIED = {"Container.up", "EngineCache.prune", "Host.containerImage", "Service.up"}


def test_every_number_in_the_table_leads_to_a_difference():
    page = compat.render(compat.PAGE.read_text())
    anchors = set(re.findall(r'<a id="([^"]+)">', page))
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= anchors


def test_a_case_claims_only_fields_of_the_schema():
    known = {f"{shape.name}.{field}" for shape in compat.shapes() for field in shape.fields}
    claimed = {field for case in compat.cases() for field in case.covers}
    assert claimed <= known


def test_every_type_is_served_or_named_as_not_served():
    page = compat.render(compat.PAGE.read_text())
    assert not [shape.name for shape in compat.shapes() if f"`{shape.name}`" not in page]


def test_every_supported_field_but_ids_is_in_a_case():
    claimed = {field for case in compat.cases() for field in case.covers}
    lacking = [
        f"{shape.name}.{field}"
        for shape in compat.shapes()
        for field in sorted(shape.done - {"id"})
        if not (field.startswith("load") and field.endswith("FromID"))
    ]
    assert set(lacking) - claimed == UNTRIED
