"""Services as values: their names, ports, endpoints and what they refuse."""

import pytest


def service(extra="", tail="{hostname}", start=""):
    return '{container{from(address:"alpine"){%s asService%s%s}}}' % (extra, start, tail)  # noqa: UP031


def test_the_hostname_is_made_from_the_definition(ask):
    one, again = (ask(service()) for _ in range(2))
    other = ask(service('withEnvVariable(name:"A",value:"1"){', "{hostname}}"))
    assert one == again != other
    assert one.isalnum()


def test_an_endpoint_is_the_first_port_or_the_one_that_was_asked_for(ask):
    name = ask(service())
    assert ask(service(tail="{endpoint}")) == f"{name}:80"
    assert ask(service(tail='{endpoint(port:9,scheme:"http")}')) == f"http://{name}:9"


def test_without_a_port_there_is_no_endpoint(refused):
    error = refused('{container{asService(args:["x"]){endpoint}}}')
    assert "exposes no port" in error["message"]


def test_a_hostname_can_be_chosen(ask, refused):
    assert ask(service(tail='{withHostname(hostname:"db"){endpoint}}')) == "db:80"
    assert (
        "not a host name" in refused(service(tail='{withHostname(hostname:"a b"){id}}'))["message"]
    )


def test_ports_of_the_host_are_a_service(ask, refused):
    ports = ask("{host{service(ports:[{backend:5432},{frontend:1,backend:2}]){ports{port}}}}")
    assert [p["port"] for p in ports] == [5432, 1]
    assert "ports is empty" in refused("{host{service(ports:[]){id}}}")["message"]


def test_udp_is_not_passed_on(refused):
    error = refused("{host{service(ports:[{backend:53,protocol:UDP}]){id}}}")
    assert error["extensions"]["_type"] == "UNSUPPORTED_FIELD"


@pytest.mark.parametrize("alias", ["", "a b", "-a", "a..b", "é"])
def test_an_alias_is_a_host_name(ask, refused, alias):
    found = ask(service(tail="{id}"))
    query = "query($s:ID!,$a:String!){container{withServiceBinding(alias:$a,service:$s){id}}}"
    assert "is not a host name" in refused(query, s=found, a=alias)["message"]


def command(ask, engine, start, setting=""):
    """Bind a service and give the command that it would run."""
    found = ask(service(setting + "{" if setting else "", "{id}}" if setting else "{id}", start))
    run = 'withServiceBinding(alias:"a",service:$s){withExec(args:["x"]){stdout}}'
    ask("query($s:ID!){container{%s}}" % run, s=found)  # noqa: UP031
    return engine.ran[-1].services[0].service.process.args


def test_the_entrypoint_counts_unless_the_pipeline_says_what_to_run(ask, engine):
    assert command(ask, engine, "") == ("/init", "sh")
    assert command(ask, engine, '(args:["a"])') == ("a",)
    assert command(ask, engine, '(args:["a"],useEntrypoint:true)') == ("/init", "a")
    assert command(ask, engine, "", 'withDefaultArgs(args:["b"])') == ("b",)


def test_nothing_to_run_is_refused(refused):
    assert "nothing to run" in refused("{container{asService{id}}}")["message"]
