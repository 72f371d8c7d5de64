package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"example.com/golinks/internal/links"
)

func newServer(t *testing.T, grace time.Duration) *Server {
	t.Helper()
	table, err := links.New(map[string]string{"docs": "https://example.com/docs/"})
	if err != nil {
		t.Fatal(err)
	}
	return New(zap.NewNop(), table, grace)
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

func TestRoutes(t *testing.T) {
	h := newServer(t, time.Second)
	for _, c := range []struct {
		path string
		code int
		body string
	}{
		{"/go/absent", http.StatusNotFound, "no such link"},
		{"/api/links", http.StatusOK, `{"links":["docs"]}`},
		{"/healthz", http.StatusOK, "ok"},
		{"/readyz", http.StatusServiceUnavailable, "not ready"},
		{"/elsewhere", http.StatusNotFound, "404"},
	} {
		rec := get(h, c.path)
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), c.body) {
			t.Errorf("%s: %d %q, want %d %q", c.path, rec.Code, rec.Body, c.code, c.body)
		}
	}
}

func TestALinkRedirects(t *testing.T) {
	rec := get(newServer(t, time.Second), "/go/docs")
	if rec.Code != http.StatusFound || rec.Header().Get("Location") != "https://example.com/docs/" {
		t.Fatalf("%d to %q", rec.Code, rec.Header().Get("Location"))
	}
}

func TestRequestsAreCountedByRouteAndCode(t *testing.T) {
	h := newServer(t, time.Second)
	get(h, "/go/docs")
	get(h, "/go/absent")
	get(h, "/go/another")

	text := get(h, "/metrics").Body.String()
	for _, want := range []string{
		`golinks_http_requests_total{code="302",route="/go/{name}"} 1`,
		`golinks_http_requests_total{code="404",route="/go/{name}"} 2`,
		"go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
}

// serve runs the server on a free port and returns its address and what Serve returned.
func serve(ctx context.Context, t *testing.T, s *Server) (string, <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), done
}

// slow replaces the routes by one that says when it was entered and answers when it is let go.
func slow(s *Server) (entered chan struct{}, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	s.routes = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return entered, release
}

// fetch asks in the background; the status code is 0 when no answer came.
func fetch(url string) <-chan int {
	code := make(chan int, 1)
	go func() {
		response, err := http.Get(url)
		if err != nil {
			code <- 0
			return
		}
		_ = response.Body.Close()
		code <- response.StatusCode
	}()
	return code
}

func TestARequestInFlightFinishesDuringShutdown(t *testing.T) {
	s := newServer(t, time.Minute)
	entered, release := slow(s)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	addr, done := serve(ctx, t, s)
	code := fetch(addr)
	<-entered

	stop()
	for s.ready.Load() {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if got := <-code; got != http.StatusNoContent {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestARequestThatOutlivesTheGracePeriodIsCutOff(t *testing.T) {
	s := newServer(t, time.Millisecond)
	entered, _ := slow(s)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	addr, done := serve(ctx, t, s)
	code := fetch(addr)
	<-entered

	stop()
	if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if got := <-code; got != 0 {
		t.Errorf("the request in flight got %d, want none", got)
	}
}

func TestAServerIsReadyWhileItServes(t *testing.T) {
	s := newServer(t, time.Second)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	addr, done := serve(ctx, t, s)

	code := <-fetch(addr + "/healthz")
	if code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	if rec := get(s, "/readyz"); rec.Code != http.StatusOK {
		t.Errorf("/readyz: %d", rec.Code)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}
