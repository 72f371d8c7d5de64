// Package server answers HTTP: the links, their list, health and metrics.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"example.com/golinks/internal/links"
)

// Server serves one table of links.
type Server struct {
	log     *zap.Logger
	table   *links.Table
	grace   time.Duration
	metrics *metrics
	routes  http.Handler
	ready   atomic.Bool
}

// New wires a server; nothing listens before Serve.
func New(log *zap.Logger, table *links.Table, grace time.Duration) *Server {
	s := &Server{log: log, table: table, grace: grace, metrics: newMetrics()}
	s.routes = s.mux()
	return s
}

// ServeHTTP answers one request; tests call it without a socket.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.routes.ServeHTTP(w, r)
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /go/{name}", s.metrics.observe("/go/{name}", s.redirect))
	mux.HandleFunc("GET /api/links", s.metrics.observe("/api/links", s.list))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// Serve answers until ctx ends, then lets requests in flight finish within the grace period.
//
// It returns nil after a clean shutdown and an error when requests had to be cut off.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          zap.NewStdLog(s.log),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	s.ready.Store(true)

	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.ready.Store(false) // load balancers stop sending before the listener is gone
	s.log.Info("shutting down", zap.Duration("grace", s.grace))
	return s.shutdown(srv, failed)
}

func (s *Server) shutdown(srv *http.Server, failed <-chan error) error {
	// The context that ended is the reason to stop; it can not also be the deadline.
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("shutdown after %s: %w", s.grace, err), srv.Close())
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	s.log.Info("bye")
	return nil
}

func (s *Server) redirect(w http.ResponseWriter, r *http.Request) {
	target, ok := s.table.Find(r.PathValue("name"))
	if !ok {
		http.Error(w, "no such link", http.StatusNotFound)
		return
	}
	http.Redirect(w, r, target, http.StatusFound)
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"links": s.table.Names()}); err != nil {
		s.log.Warn("write the list", zap.Error(err))
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("ok\n"))
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}
