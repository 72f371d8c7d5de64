package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"example.com/golinks/internal/version"
)

func run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := New()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestVersionPrintsWhatWasStamped(t *testing.T) {
	out, err := run(context.Background(), "version")
	if err != nil || !strings.HasPrefix(out, "golinks "+version.Version+" (") {
		t.Fatalf("%q, %v", out, err)
	}
}

func TestServeStopsWhenItsContextEnds(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := run(ctx, "serve", "--addr", "127.0.0.1:0", "--log-level", "fatal"); err != nil {
		t.Fatal(err)
	}
}

func TestAnAddressThatCanNotBeUsedIsNamed(t *testing.T) {
	_, err := run(context.Background(), "serve", "--addr", "256.0.0.1:http-nope", "--log-level", "fatal")
	if err == nil || !strings.Contains(err.Error(), "256.0.0.1:http-nope") {
		t.Fatalf("got %v", err)
	}
}
