package links

import (
	"slices"
	"strings"
	"testing"
)

func TestAFileOfLinksIsLoaded(t *testing.T) {
	table, err := Load("testdata/links.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Names(); !slices.Equal(got, []string{"docs", "oncall", "wiki"}) {
		t.Errorf("names: %v", got)
	}
	if target, ok := table.Find("oncall"); !ok || target != "https://example.org/rota?team=infra" {
		t.Errorf("oncall leads to %q, %v", target, ok)
	}
	if _, ok := table.Find("absent"); ok {
		t.Error("found a link that is not there")
	}
}

func TestEveryBrokenLinkIsNamedAtOnce(t *testing.T) {
	_, err := Load("testdata/broken.json")
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{`name "Docs"`, `link "mail"`, "broken.json"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "wiki") {
		t.Errorf("%q blames a good link", err)
	}
}

func TestTheTableDoesNotShareItsInput(t *testing.T) {
	given := map[string]string{"docs": "https://example.com/"}
	table, err := New(given)
	if err != nil {
		t.Fatal(err)
	}
	delete(given, "docs")
	if table.Len() != 1 {
		t.Error("the table changed with its input")
	}
}
