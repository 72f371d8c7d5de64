// Package links is the table of short names and where they lead.
package links

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
)

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Table maps names to URLs. It never changes, so that it needs no lock.
type Table struct {
	targets map[string]string
}

// New validates every entry and reports all that are wrong at once.
func New(targets map[string]string) (*Table, error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if err := check(name, targets[name]); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Table{targets: maps.Clone(targets)}, nil
}

// Load reads a JSON object of name → URL.
func Load(path string) (*Table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	var targets map[string]string
	if err := json.Unmarshal(text, &targets); err != nil {
		return nil, fmt.Errorf("parse links %q: %w", path, err)
	}
	table, err := New(targets)
	if err != nil {
		return nil, fmt.Errorf("links %q: %w", path, err)
	}
	return table, nil
}

// Find returns where a name leads.
func (t *Table) Find(name string) (string, bool) {
	target, ok := t.targets[name]
	return target, ok
}

// Names returns every name, sorted.
func (t *Table) Names() []string {
	return slices.Sorted(maps.Keys(t.targets))
}

// Len is the number of links.
func (t *Table) Len() int { return len(t.targets) }

func check(name, target string) error {
	if !nameRE.MatchString(name) {
		return fmt.Errorf("name %q: want lower-case letters, digits and dashes", name)
	}
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("link %q: %w", name, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("link %q: %q is not an absolute http(s) URL", name, target)
	}
	return nil
}
