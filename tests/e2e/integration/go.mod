module example.com/integration

go {version}

require github.com/lib/pq v1.10.9
