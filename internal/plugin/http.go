package plugin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/fansync/fansync/internal/config"
)

// signatureHeader holds "sha256=" and the HMAC of the body in hex digits.
const signatureHeader = "X-Fansync-Signature"

// hook posts batches to a URL.
type hook struct {
	url, token string
	key        []byte
	client     *http.Client
}

func newHTTP(conf config.Plugin) (*hook, error) {
	h := &hook{url: conf.URL}
	if conf.TokenFile != "" {
		token, err := secret(conf.TokenFile)
		if err != nil {
			return nil, err
		}
		h.token = token
	}
	if conf.HMACFile != "" {
		key, err := secret(conf.HMACFile)
		if err != nil {
			return nil, err
		}
		h.key = []byte(key)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	h.client = &http.Client{
		Transport: transport,
		// A redirect would take the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

func (h *hook) tell(ctx context.Context, _ int, changes []Change) error {
	body := struct {
		Changes []record `json:"changes"`
	}{}
	for _, c := range changes {
		body.Changes = append(body.Changes, recordOf(c))
	}
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%w: %w", errFinal, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	if h.key != nil {
		mac := hmac.New(sha256.New, h.key)
		mac.Write(text) // a hash does not fail
		req.Header.Set(signatureHeader, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	res, err := h.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	// Read to its end, so that the connection can be used again.
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return withoutURL(err)
	}
	switch {
	case res.StatusCode < 300:
		return nil
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("the web hook answers %s", res.Status)
	}
	return fmt.Errorf("the web hook answers %s (%w): check url, token_file and hmac_file", res.Status, errFinal)
}

// withoutURL leaves out the URL, which may have a secret in it.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (h *hook) close() error {
	h.client.CloseIdleConnections()
	return nil
}
