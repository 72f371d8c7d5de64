// Package config reads the settings: flags over environment over file over defaults.
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// EnvPrefix precedes every environment variable: GOLINKS_ADDR, GOLINKS_LOG_LEVEL, …
const EnvPrefix = "GOLINKS"

// Config is what `golinks serve` needs to know.
type Config struct {
	Addr          string
	Links         string
	LogLevel      string
	LogFormat     string
	ShutdownGrace time.Duration
}

// Flags declares the flags and, with them, the defaults.
func Flags(fs *pflag.FlagSet) {
	fs.String("config", "", "configuration file (YAML, TOML or JSON)")
	fs.String("addr", "127.0.0.1:8080", "address to listen on; port 0 picks a free one")
	fs.String("links", "", "JSON file that maps names to URLs")
	fs.String("log-level", "info", "debug, info, warn or error")
	fs.String("log-format", "json", "json or console")
	fs.Duration("shutdown-grace", 10*time.Second, "how long requests in flight may take at shutdown")
}

// Load merges the sources and validates the result.
func Load(fs *pflag.FlagSet) (Config, error) {
	v := viper.New()
	v.SetEnvPrefix(EnvPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(fs); err != nil {
		return Config{}, fmt.Errorf("bind flags: %w", err)
	}
	if file := v.GetString("config"); file != "" {
		v.SetConfigFile(file)
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fmt.Errorf("read configuration %q: %w", file, err)
		}
	}
	cfg := Config{
		Addr:          v.GetString("addr"),
		Links:         v.GetString("links"),
		LogLevel:      v.GetString("log-level"),
		LogFormat:     v.GetString("log-format"),
		ShutdownGrace: v.GetDuration("shutdown-grace"),
	}
	return cfg, cfg.validate()
}

func (c Config) validate() error {
	var errs []error
	if c.Addr == "" {
		errs = append(errs, errors.New("addr is empty"))
	}
	if c.LogFormat != "json" && c.LogFormat != "console" {
		errs = append(errs, fmt.Errorf("log-format is %q, want json or console", c.LogFormat))
	}
	if c.ShutdownGrace <= 0 {
		errs = append(errs, fmt.Errorf("shutdown-grace is %s, want more than zero", c.ShutdownGrace))
	}
	return errors.Join(errs...)
}
