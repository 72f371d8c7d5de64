from ci.lock import LOCKS, ROOT


def test_every_source_of_a_lock_exists():
    for sources in LOCKS.values():
        assert all((ROOT / source).is_file() for source in sources)


def test_the_lock_that_constrains_the_others_holds_all_their_sources():
    everything = set(LOCKS["dev.txt"])
    assert all(set(sources) <= everything for sources in LOCKS.values())
    assert next(iter(LOCKS)) == "dev.txt"
