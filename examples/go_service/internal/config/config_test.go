package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func load(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(fs)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golinks.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	cfg, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Addr: "127.0.0.1:8080", LogLevel: "info", LogFormat: "json", ShutdownGrace: 10 * time.Second}
	if cfg != want {
		t.Fatalf("got %+v, want %+v", cfg, want)
	}
}

func TestAFlagWinsOverTheEnvironmentAndTheEnvironmentOverTheFile(t *testing.T) {
	file := write(t, "addr: file:1\nlog-level: warn\nshutdown-grace: 3s\n")
	t.Setenv("GOLINKS_ADDR", "env:2")
	t.Setenv("GOLINKS_LOG_LEVEL", "error")

	cfg, err := load(t, "--config", file, "--addr", "flag:3")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != "flag:3" || cfg.LogLevel != "error" || cfg.ShutdownGrace != 3*time.Second {
		t.Fatalf("wrong precedence: %+v", cfg)
	}
}

func TestEveryWrongSettingIsNamed(t *testing.T) {
	_, err := load(t, "--log-format", "xml", "--shutdown-grace", "0s")
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{`log-format is "xml"`, "shutdown-grace is 0s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := load(t, "--config", filepath.Join(t.TempDir(), "absent.yaml"))
	if err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Fatalf("got %v", err)
	}
}
