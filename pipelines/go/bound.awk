# Bounds what is kept of the output of each test in the events of `go test -json`: its first and its
# last KEPT bytes of events. Between them stands one event that says how much is left out (`LeftOut`).
# Lines that are no events are bounded together.

BEGIN { KEPT = 98304; OUTPUT = "\"Action\":\"output\""; TEXT = ",\"Output\":" }

# The last lines of a key are ring[key, first[key] + 1] to ring[key, last[key]], of held[key] bytes.
function keep(key, line, bytes,    at) {
    ring[key, ++last[key]] = line
    if ((held[key] += bytes) <= KEPT) return
    at = ++first[key]
    bytes = length(ring[key, at])
    held[key] -= bytes
    gone[key] += bytes
    delete ring[key, at]
}

function flush_of(key,    at) {
    if (gone[key])
        print "{" key TEXT "\"[" gone[key] " bytes left out]\\n\",\"LeftOut\":" gone[key] "}"
    for (at = first[key] + 1; at <= last[key]; at++) {
        print ring[key, at]
        delete ring[key, at]
    }
    delete first[key]; delete last[key]; delete held[key]; delete gone[key]
}

{
    bytes = length($0)
    at = index($0, OUTPUT)
    if (at && at < 60) {
        # What names the test stands between the time and the output.
        key = substr($0, at, index($0, TEXT) - at)
    } else if (substr($0, 1, 1) != "{") {
        key = OUTPUT ",\"Noise\":\"\""
    } else {
        if (match($0, /"Action":"(pass|fail|skip)"/)) {
            key = OUTPUT substr($0, RSTART + RLENGTH)
            if (at = index(key, ",\"Elapsed\":")) key = substr(key, 1, at - 1)
            if (key in last) flush_of(key)
        }
        print
        next
    }
    if ((size[key] += bytes) <= KEPT) print
    else keep(key, $0, bytes)
}

END { for (key in last) flush_of(key) }
