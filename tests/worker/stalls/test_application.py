"""Whose code a call is."""

import json
from pathlib import Path

import starlette

import logship
from logship.worker.stalls.application import Application, is_debugger
from logship.worker.stalls.stack import Call

APP = Call("/srv/shop/orders.py", 12, "Orders.find", "shop.orders")
LIBRARY = Call(json.__file__, 300, "loads", "json")
FRAMEWORK = Call(str(Path(starlette.__file__).parent / "routing.py"), 70, "app", "starlette.routing")
DRIVER = Call("/venv/lib/python3.11/site-packages/psycopg/cursor.py", 9, "execute", "psycopg.cursor")
HERE = Path(logship.__file__).parent
OURS = Call(str(HERE / "worker/asgi/requestlog.py"), 1, "RequestLog.__call__", "logship.worker.asgi.requestlog")


def test_the_innermost_line_of_the_application_is_the_culprit() -> None:
    outer = APP._replace(line=90, function="view")
    assert Application().culprit((LIBRARY, DRIVER, APP, outer, FRAMEWORK, OURS)) == APP


def test_without_application_a_package_is_and_without_both_nobody() -> None:
    assert Application().culprit((LIBRARY, DRIVER, FRAMEWORK, OURS)) == DRIVER
    assert Application().culprit((LIBRARY, FRAMEWORK, OURS)) is None
    assert Application().culprit(()) is None


def test_an_installed_application_is_known_by_its_endpoints() -> None:
    application = Application()
    installed = Call("/venv/lib/python3.11/site-packages/shop/orders.py", 12, "find", "shop.orders")
    assert application.culprit((DRIVER, installed)) == DRIVER

    def endpoint() -> None: ...

    endpoint.__module__ = "shop.api"
    application.learn(endpoint)
    application.learn(None)
    assert application.culprit((DRIVER, installed)) == installed


def test_the_example_service_is_an_application_and_generated_code_is_not() -> None:
    demo = Call(str(HERE / "demo/shop.py"), 57, "Prices.look_up", "logship.demo.shop")
    generated = Call("<string>", 3, "__init__", "shop.orders")
    assert Application().culprit((generated, demo, APP)) == demo
    assert not Application().owns_any((generated, OURS))


def test_debuggers_are_recognized() -> None:
    assert is_debugger((Call("/usr/lib/python3.11/bdb.py", 1, "Bdb.user_line", "bdb"), APP))
    assert is_debugger((Call("/x/site-packages/_pydevd_bundle/pydevd.py", 1, "wait", "pydevd"), APP))
    assert not is_debugger((LIBRARY, APP))
