package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/golinks/internal/config"
	"example.com/golinks/internal/links"
	"example.com/golinks/internal/server"
	"example.com/golinks/internal/version"
)

func newServe() *cobra.Command {
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Serve until SIGINT or SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return runServe(cmd.Context(), cfg)
		},
	}
	config.Flags(serve.Flags())
	return serve
}

func runServe(ctx context.Context, cfg config.Config) error {
	log, err := newLogger(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // stderr may be a pipe, which has nothing to sync

	table, err := loadLinks(cfg.Links)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", cfg.Addr, err)
	}
	log.Info("serving",
		zap.String("addr", listener.Addr().String()),
		zap.Int("links", table.Len()),
		zap.String("version", version.Version))
	return server.New(log, table, cfg.ShutdownGrace).Serve(ctx, listener)
}

func loadLinks(path string) (*links.Table, error) {
	if path == "" {
		return links.New(nil)
	}
	return links.Load(path)
}

func newLogger(cfg config.Config) (*zap.Logger, error) {
	level, err := zap.ParseAtomicLevel(cfg.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("log level %q: %w", cfg.LogLevel, err)
	}
	zc := zap.NewProductionConfig()
	zc.Level = level
	zc.Encoding = cfg.LogFormat
	if cfg.LogFormat == "console" {
		zc.EncoderConfig = zap.NewDevelopmentEncoderConfig()
	}
	return zc.Build()
}
