package auth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/runnelhq/runnel"
)

// A webhook asks somebody else about credentials.
type webhook struct {
	cfg     Webhook
	form    form
	client  *http.Client
	answers *cache[answer]
	lease   *lease
}

// A form is how a webhook is asked, and answers.
type form interface {
	// identity returns what the answer will rest on; false if some of it is
	// missing. None at all means that no answer holds for another request.
	identity(c Credentials) ([]string, bool)
	question(c Credentials) any
	answer(body []byte) (answer, error)
}

// An answer is what a webhook has said about somebody.
type answer struct {
	principal string // empty: it named none
	claims    map[string]any
	allows    func(resource string) bool
	denied    runnel.Kind    // of the error if it does not allow
	ttl       *time.Duration // nil: as configured
}

// errUnauthorized is a webhook's word for "I do not know them", as the error
// Unauthorized is a Lambda authorizer's.
var errUnauthorized = errors.New("the authorizer does not know the credentials")

var errNameless = errors.New("it names no principal, and without identity sources all callers would be one")

func newWebhook(cfg Webhook, l *lease, client *http.Client) *webhook {
	w := &webhook{cfg: cfg, client: client, answers: newCache[answer](), lease: l}
	w.cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	switch cfg.Form {
	case FormAppSync:
		w.form = appSync{}
	case FormAPIGateway:
		w.form = newGateway(cfg.IdentitySources)
	}
	return w
}

func (w *webhook) authenticate(ctx context.Context, c Credentials) (*runnel.Principal, error) {
	sources, ok := w.form.identity(c)
	if !ok {
		return nil, refuse(SchemeWebhook, reasonNone, errNone)
	}
	digest := digestOf(sources)
	a, ok := w.answers.get(digest)
	if !ok || len(sources) == 0 {
		var err error
		if a, err = w.ask(ctx, c); err != nil {
			return nil, err
		}
		if ttl := w.ttl(a); len(sources) > 0 && ttl > 0 {
			w.answers.put(digest, a, time.Now().Add(ttl))
		}
	}
	if a.principal == "" {
		// Callers whom it does not name are told apart by what they showed.
		if len(sources) == 0 {
			return nil, refuse(SchemeWebhook, reasonBadAuthorizer, unavailable(errNameless))
		}
		a.principal = hex.EncodeToString(digest[:16])
	}
	id := "auth:" + a.principal
	if !a.allows(c.resource()) {
		return nil, refuse(SchemeWebhook, reasonDenied, runnel.Errorf(a.denied, "the credentials do not allow this")).of(id)
	}
	return &runnel.Principal{
		ID: id, Service: w.cfg.Service, Scheme: SchemeWebhook, Grants: granted(w.cfg.Grants, nil),
		Claims: a.claims, Revoked: w.lease.done(),
	}, nil
}

func (w *webhook) ttl(a answer) time.Duration {
	if a.ttl != nil {
		return min(*a.ttl, maxTTL)
	}
	return w.cfg.TTL
}

// ask calls the webhook. Whatever goes wrong, the caller is not let in.
func (w *webhook) ask(ctx context.Context, c Credentials) (answer, error) {
	call, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	body, err := w.call(call, w.form.question(c))
	if err != nil {
		switch {
		case errors.Is(err, errUnauthorized):
			return answer{}, refuse(SchemeWebhook, reasonUnknown, errBad)
		case ctx.Err() != nil:
			return answer{}, context.Cause(ctx)
		}
		return answer{}, refuse(SchemeWebhook, reasonNoAuthorizer, unavailable(err))
	}
	a, err := w.form.answer(body)
	if err == nil && len(a.principal) > maxSubject {
		err = fmt.Errorf("the principal has %d bytes; the limit is %d", len(a.principal), maxSubject)
	}
	if err != nil {
		return answer{}, refuse(SchemeWebhook, reasonBadAuthorizer, unavailable(err))
	}
	return a, nil
}

func unavailable(err error) error {
	return runnel.Errorf(runnel.Unavailable, "the authorizer does not answer as it should").Because(err)
}

func (w *webhook) call(ctx context.Context, question any) ([]byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := readAll(resp.Body, maxAnswer)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, errUnauthorized
	case resp.Header.Get("X-Amz-Function-Error") != "": // a function that is invoked by URL
		return nil, functionError(data)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("post %s: status %s", w.cfg.URL, resp.Status)
	}
	return data, nil
}

// functionError tells a Lambda function's way of saying 401 from other failures.
func functionError(data []byte) error {
	var failure struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(data, &failure) == nil && failure.Message == "Unauthorized" {
		return errUnauthorized
	}
	return errors.New("the authorizer's function has failed")
}

// digestOf returns one digest of several texts, each with its length, so that
// they cannot be divided up differently.
func digestOf(texts []string) (sum [32]byte) {
	h := sha256.New()
	for _, text := range texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	return [32]byte(h.Sum(nil))
}
