// Notes keeps notes in a SQLite database, which is C: the smallest program that shows cgo at work.
package main

import (
	"database/sql"
	"fmt"
	"os"
	"runtime"

	_ "github.com/mattn/go-sqlite3"
)

func main() {
	file := ":memory:"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(file); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	db, err := sql.Open("sqlite3", file)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection to :memory: is a database of its own
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS note (text TEXT)"); err != nil {
		return err
	}
	if _, err := db.Exec("INSERT INTO note VALUES (?)", "hello"); err != nil {
		return err
	}
	var version string
	var notes int
	row := db.QueryRow("SELECT sqlite_version(), (SELECT count(*) FROM note)")
	if err := row.Scan(&version, &notes); err != nil {
		return err
	}
	fmt.Printf("%s/%s: SQLite %s, notes: %d\n", runtime.GOOS, runtime.GOARCH, version, notes)
	return nil
}
