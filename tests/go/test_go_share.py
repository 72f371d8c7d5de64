from pipelines.go._share import share

PRINTED = (
    "ok  \tm/a\t(cached)\n--- FAIL: TestB (0.00s)\n    b_test.go:1: ok  \tno\t(cached)\nFAIL\n"
    "FAIL\tm/b\t0.012s\nok  \tm/c\t(cached)\tcoverage: 1.0% of statements\n"
    "?   \tm/d\t[no test files]\nFAIL\tm/e [build failed]\nok  \tm/f\t0.1s [no tests to run]\n"
)


def test_packages_with_tests_are_counted_and_those_from_the_cache():
    assert share(PRINTED) == (2, 4)
    assert share("") == (0, 0)
