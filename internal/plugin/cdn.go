package plugin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/fansync/fansync/internal/config"
)

const (
	// replyWithin is how long a CDN has to answer; that it does not is no
	// failure, it may be only slow.
	replyWithin = 5 * time.Second
	// maxReply is how much of a reply is read.
	maxReply = 4096
)

// cdn asks a CDN to fetch URLs anew, in the way of ChinaCache.
type cdn struct {
	address, host  string
	user, password string
	base, under    string
	match          *regexp.Regexp
}

func newCDN(conf config.Plugin) (*cdn, error) {
	c := &cdn{address: conf.Address, user: conf.User, password: conf.Password, base: conf.Base, under: conf.Path}
	host, _, err := net.SplitHostPort(conf.Address)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	c.host = host
	if strings.ContainsFunc(conf.Base+host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("base %q or address %q holds a blank or a control character", conf.Base, conf.Address)
	}
	if conf.PasswordFile != "" {
		if c.password, err = secret(conf.PasswordFile); err != nil {
			return nil, err
		}
	}
	if conf.Match != "" {
		if c.match, err = regexp.Compile(conf.Match); err != nil {
			return nil, fmt.Errorf("match: %w", err)
		}
		if c.match.NumSubexp() == 0 {
			return nil, fmt.Errorf("match %q has no group (…): the URL is base, the first group and what follows the match", conf.Match)
		}
	}
	return c, nil
}

// url is what stands for the path at the CDN; false if there is none.
func (c *cdn) url(change Change) (string, bool) {
	if c.match == nil {
		under := c.under
		if under == "" {
			under = change.Root
		}
		rel := strings.TrimPrefix(strings.TrimPrefix(change.Abs(), strings.TrimSuffix(under, "/")), "/")
		return strings.TrimSuffix(c.base, "/") + "/" + escaped(rel), true
	}
	abs := change.Abs()
	at := c.match.FindStringSubmatchIndex(abs)
	if at == nil || at[2] < 0 {
		return "", false
	}
	return c.base + escaped(abs[at[2]:at[3]]) + escaped(abs[at[1]:]), true
}

// request is the whole of what is sent.
func (c *cdn) request(change Change) (string, bool) {
	url, ok := c.url(change)
	if !ok {
		return "", false
	}
	key := "urls"
	if _, dir := change.Event(); dir {
		key = "dirs"
		url = strings.TrimSuffix(url, "/") + "/"
	}
	return fmt.Sprintf("HEAD /index.jsp?user=%s&pswd=%s&ok=ok&%s=%s HTTP/1.0\r\nHost: %s\r\n\r\n",
		escaped(c.user), escaped(c.password), key, url, c.host), true
}

const plainInURL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

// escaped is a part of a URL, with slashes as they are.
func escaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(plainInURL, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (c *cdn) tell(ctx context.Context, _ int, changes []Change) error {
	request, ok := c.request(changes[0])
	if !ok {
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if early := time.Now().Add(replyWithin); early.Before(deadline) {
		deadline = early
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	reply, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxReply)), &http.Request{Method: http.MethodHead})
	if err != nil {
		return nil // no answer, or none of HTTP: it has the request
	}
	if err := reply.Body.Close(); err != nil {
		return err
	}
	switch {
	case reply.StatusCode >= 500:
		return fmt.Errorf("the CDN at %s answers %s", c.address, reply.Status)
	case reply.StatusCode >= 400:
		return fmt.Errorf("the CDN at %s answers %s (%w): check user, password and base", c.address, reply.Status, errFinal)
	}
	return nil
}

func (c *cdn) close() error { return nil }
