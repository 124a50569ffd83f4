package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fansync/fansync/internal/config"
	"github.com/fansync/fansync/internal/control"
	"github.com/fansync/fansync/internal/engine"
	"github.com/fansync/fansync/transport"
)

// serveFlags are the options of everything that runs an engine.
type serveFlags struct {
	socket string
}

func (s *serveFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.socket, "socket", "", "`path` of the control socket")
}

// job is what serve runs.
type job struct {
	loaded
	// strict: a root that is not there is an error instead of something to wait
	// for.
	strict bool
	// pluginsOnly: plugins are told, and nothing is mirrored.
	pluginsOnly bool
	// ready is called when everything has been checked and the socket answers;
	// it may be nil. Its error ends the job.
	ready func() error
}

// serve runs the engine until ctx ends.
func (s *serveFlags) serve(cmd *cobra.Command, j job) error {
	conf := j.Config
	if s.socket != "" {
		conf.Socket = s.socket
	}
	out := cmd.ErrOrStderr()
	display := newDisplay(out, isTerminal(out))
	log := newLogger(display, conf)
	for _, n := range j.notes {
		log.Warn("configuration", "note", n)
	}
	e, err := engine.New(conf, engine.Options{Log: log, Strict: j.strict, PluginsOnly: j.pluginsOnly, Events: display.events})
	if err != nil {
		if errors.Is(err, transport.ErrNoRsync) || errors.Is(err, transport.ErrOldRsync) {
			return err
		}
		return usageError{err}
	}
	conf = conf.WithDefaults()
	server, err := control.Listen(conf.Socket, e, log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	served := make(chan error, 1)
	serveCtx, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	go func() {
		err := server.Serve(serveCtx)
		if err != nil {
			log.Error("control socket", "err", err)
		}
		served <- err
	}()
	if j.ready != nil {
		if err := j.ready(); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	log.Info("started", "version", version, "socket", conf.Socket)
	err = e.Run(ctx)
	stopServing()
	err = errors.Join(err, <-served)
	display.close()
	log.Info("stopped")
	return err
}

// newLogger logs as the configuration says.
func newLogger(w io.Writer, conf config.Config) *slog.Logger {
	opts := &slog.HandlerOptions{Level: conf.Level()}
	if conf.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
