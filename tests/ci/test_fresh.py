from ci.fresh import share


def test_the_share_is_read_from_the_table_of_a_run():
    line = "tests  2.1 s  ran 1 exec, 36/37 packages from cache  /src/main.go changed (a → b)"
    assert share(f"stage  duration  result  why\n{line}\n") == (36, 37)
    assert share("tests  0.5 s  cached") == (0, 0)
