package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/scheduler"
)

// Engine is the running daemon as the server needs it.
type Engine interface {
	Status() engine.Status
	Flush(ctx context.Context) error
	ConfirmDeletes(remote string) error
}

// maxFlush bounds a flush whose caller names no time.
const maxFlush = 24 * time.Hour

// Server answers on one unix socket.
type Server struct {
	listener net.Listener
	http     *http.Server
	path     string
}

// Listen makes the socket at path with mode 0600, and its directory if it is
// missing. A socket that nobody serves any more is replaced; one in use is an
// error that says so.
func Listen(path string, e Engine, log *slog.Logger) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the control socket's directory: %w", err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("control socket %s is in use by a running fansync: stop it, or choose another with --socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace control socket: %w", err)
	}
	// The socket is bound under a name nobody looks for, and gets its own only
	// when its mode is right.
	hidden := fmt.Sprintf("%s.%d", path, os.Getpid())
	l, err := net.Listen("unix", hidden)
	if err != nil {
		return nil, fmt.Errorf("listen on control socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("place control socket: %w", err), l.Close())
	}
	s := &Server{listener: l, path: path}
	s.http = &http.Server{
		Handler:           handler(e),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Serve answers until ctx ends, then ends its connections and removes the
// socket.
func (s *Server) Serve(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { stopped <- s.http.Close() })
	err := s.http.Serve(s.listener)
	if !stop() {
		err = errors.Join(<-stopped, ignoreClosed(err))
	}
	if rm := os.Remove(s.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

// Close gives up a server that Serve was not called for.
func (s *Server) Close() error {
	err := s.listener.Close()
	if rm := os.Remove(s.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func handler(e Engine) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, e.Status())
	})
	mux.HandleFunc("POST /v1/flush", func(w http.ResponseWriter, req *http.Request) {
		timeout := maxFlush
		if s := req.FormValue("timeout"); s != "" {
			d, err := time.ParseDuration(s)
			if err != nil || d <= 0 {
				fail(w, http.StatusBadRequest, fmt.Errorf("timeout %q is no duration above 0, such as 30s", s))
				return
			}
			timeout = d
		}
		ctx, cancel := context.WithTimeout(req.Context(), timeout)
		defer cancel()
		if err := e.Flush(ctx); err != nil {
			fail(w, http.StatusConflict, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /v1/confirm-deletes", func(w http.ResponseWriter, req *http.Request) {
		err := e.ConfirmDeletes(req.FormValue("remote"))
		switch {
		case errors.Is(err, scheduler.ErrUnknownRemote):
			fail(w, http.StatusNotFound, err)
		case err != nil:
			fail(w, http.StatusConflict, err)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	return mux
}

// failure is the body of every error.
type failure struct {
	Error string `json:"error"`
}

func fail(w http.ResponseWriter, code int, err error) { reply(w, code, failure{err.Error()}) }

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The only way to fail is that the caller has gone.
	_ = json.NewEncoder(w).Encode(v)
}
