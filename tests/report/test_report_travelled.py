from pipelines.report.travelled import travelled


def test_a_run_without_travelling_caches_says_nothing_of_them():
    assert travelled([]) == ""
    assert travelled([{"state": "missed", "cache": "volume go-modules"}]) == ""


def test_what_came_and_went_is_summed_up():
    events = [
        {"state": "answered", "cache": "results", "hits": 6, "spared": 130.0},
        {"state": "restored", "cache": "volume a", "bytes": 119_000_000, "seconds": 1.0},
        {"state": "restored", "cache": "volume b", "bytes": 1_000_000, "seconds": 0.1},
        {"state": "saved", "cache": "results", "bytes": 400_000, "seconds": 0.2},
    ]
    assert travelled(events) == (
        "cache: 6 commands answered by other machines, which took them 2m10s; "
        "restored 2 volumes, 120.0 MB in 1.1 s; saved results, 0.4 MB in 0.2 s"
    )
