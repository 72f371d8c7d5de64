// Package integration tests a database and a service, each at the address that it is told.
package integration

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"testing"

	_ "github.com/lib/pq"
)

func TestTheDatabaseKeepsWhatTheServiceServes(t *testing.T) {
	answer, err := http.Get(os.Getenv("LINKS_URL") + "/api/links")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var served struct{ Links []string }
	if err := json.NewDecoder(answer.Body).Decode(&served); err != nil {
		t.Fatal(err)
	}
	if len(served.Links) == 0 {
		t.Fatal("the service serves nothing")
	}

	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE links (name text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for _, name := range served.Links {
		if _, err := db.Exec("INSERT INTO links VALUES ($1)", name); err != nil {
			t.Fatal(err)
		}
	}
	var kept int
	if err := db.QueryRow("SELECT count(*) FROM links").Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if kept != len(served.Links) {
		t.Errorf("%d links kept, %d served", kept, len(served.Links))
	}
}
