package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	stormSessions = 200
	stormMessages = 20 // to each session
)

// A listener is a socket of AppSync's real-time protocol with subscriptions to
// some sessions, and what it has heard of each.
type listener struct {
	*socket
	sessions []int
	next     map[string]int // by subscription id, which is the session's number
	left     int
}

func openListener(addr string, sessions ...int) (*listener, error) {
	s, status, err := dialSocket(addr, "/graphql/realtime", "Sec-WebSocket-Protocol: graphql-ws, header-e30")
	if err != nil || s == nil {
		return nil, fmt.Errorf("handshake: %d, %w", status, err)
	}
	l := &listener{socket: s, sessions: sessions, next: make(map[string]int), left: len(sessions) * stormMessages}
	_ = s.SetDeadline(time.Now().Add(5 * time.Minute))
	if err := s.say(`{"type":"connection_init"}`); err != nil {
		return nil, err
	}
	for _, n := range sessions {
		query, _ := json.Marshal(map[string]any{ // strings always encode
			"query":     `subscription($s: String!) { onSendMessage(sessionId: $s) { message sessionId } }`,
			"variables": map[string]string{"s": stormSession(n)},
		})
		start, _ := json.Marshal(map[string]any{
			"id": strconv.Itoa(n), "type": "start",
			"payload": map[string]any{"data": string(query), "extensions": map[string]any{"authorization": map[string]string{"host": addr}}},
		})
		if err := s.say(string(start)); err != nil {
			return nil, err
		}
	}
	for acks := 0; acks < len(sessions); {
		f, err := l.frame()
		switch {
		case err != nil:
			return nil, err
		case f.Type == "start_ack":
			acks++
		case f.Type != "connection_ack" && f.Type != "ka":
			return nil, fmt.Errorf("a %s before anything was published", f.Type)
		}
	}
	return l, nil
}

func stormSession(n int) string { return "storm-" + strconv.Itoa(n) }

type graphqlFrame struct {
	ID      string
	Type    string
	Payload struct {
		Data struct {
			OnSendMessage struct{ Message, SessionID string }
		}
	}
}

func (l *listener) frame() (f graphqlFrame, err error) {
	for {
		op, payload, err := l.hear()
		if err != nil {
			return f, err
		}
		if op != 1 { // a ping
			continue
		}
		return f, json.Unmarshal(payload, &f)
	}
}

// listen insists on every message of each session, once and in order.
func (l *listener) listen() error {
	for l.left > 0 {
		f, err := l.frame()
		if err != nil {
			return fmt.Errorf("with %d messages to come: %w", l.left, err)
		}
		if f.Type != "data" {
			continue
		}
		n, _ := strconv.Atoi(f.ID)
		got, want := f.Payload.Data.OnSendMessage, strconv.Itoa(l.next[f.ID])
		if got.SessionID != stormSession(n) || got.Message != want {
			return fmt.Errorf("subscription %s got %q of %q, want %s", f.ID, got.Message, got.SessionID, want)
		}
		l.next[f.ID]++
		l.left--
	}
	return nil
}

// TestGraphQLStorm: 200 subscriptions on one socket and 5,000 sockets hear a storm
// of mutations, whole and in order, and the gateway stays within bounds.
func TestGraphQLStorm(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	const sockets = 5000
	listeners := make([]*listener, sockets+1)
	all := make([]int, stormSessions)
	for n := range all {
		all[n] = n
	}
	var opening errgroup.Group
	opening.SetLimit(50)
	for i := range listeners {
		opening.Go(func() (err error) {
			if i == 0 {
				listeners[i], err = openListener(g.addr, all...)
			} else {
				listeners[i], err = openListener(g.addr, i%stormSessions)
			}
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		t.Fatal(err)
	}
	before := rss(t, g.cmd.Process.Pid)

	begin := time.Now()
	var storm errgroup.Group
	var heard atomic.Int64
	for _, l := range listeners {
		storm.Go(func() error {
			err := l.listen()
			heard.Add(int64(len(l.sessions)*stormMessages - l.left))
			return err
		})
	}
	const publishers = 8
	for p := range publishers {
		storm.Go(func() error {
			for m := range stormMessages {
				for n := p; n < stormSessions; n += publishers {
					if err := g.sendMessage(stormSession(n), strconv.Itoa(m)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := storm.Wait(); err != nil {
		t.Error(err)
	}
	grown := rss(t, g.cmd.Process.Pid) - before
	t.Logf("%d messages delivered in %v; %d KiB for each socket, %d MiB more in the storm",
		heard.Load(), time.Since(begin).Round(time.Millisecond), before>>10/sockets, grown>>20)
	if grown > 300<<20 {
		t.Errorf("the storm took %d MiB", grown>>20)
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}

func (g *gateway) sendMessage(session, message string) error {
	body, _ := json.Marshal(map[string]any{ // strings always encode
		"query": `mutation($i: SendMessageInput!) { sendMessage(input: $i) { message sessionId locale timeStamp } }`,
		"variables": map[string]any{
			"i": map[string]string{"sessionId": session, "message": message, "locale": "en_US"},
		},
	})
	resp, err := http.Post(g.url("/graphql"), "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Errors []struct{ Message string } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		return fmt.Errorf("sendMessage: %s, %v, %w", resp.Status, answer.Errors, err)
	}
	return nil
}

// TestGraphQLBombs: documents that are made to cost are refused, in AppSync's form
// and soon, and cost nobody else anything.
func TestGraphQLBombs(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	aliases := make([]string, 10_000)
	for i := range aliases {
		aliases[i] = fmt.Sprintf("a%d:__typename", i)
	}
	for name, query := range map[string]string{
		"10,000 aliases":        "{" + strings.Join(aliases, " ") + "}",
		"depth":                 "{" + strings.Repeat("session(session:\"s\"){turns{", 3000) + "text" + strings.Repeat("}}", 3000) + "}",
		"cyclic fragments":      "{...A} fragment A on Query{...B} fragment B on Query{...A}",
		"spreads":               "{" + strings.Repeat("...A ", 20_000) + "} fragment A on Query{__typename}",
		"overloaded directives": "{__typename " + strings.Repeat("@include(if:true)", 10_000) + "}",
		"introspection, deep":   "{__schema{types{" + strings.Repeat("fields{type{", 500) + "name" + strings.Repeat("}}", 500) + "}}}",
		"repeated fields":       "{" + strings.Repeat("__typename ", 50_000) + "}",
		"an unfinished string":  `{session(session:"` + strings.Repeat(`\"`, 50_000),
	} {
		begin := time.Now()
		body, _ := json.Marshal(map[string]string{"query": query}) // strings always encode
		resp, err := http.Post(g.url("/graphql"), "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var answer struct {
			Data   any
			Errors []struct{ Message string }
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		if err != nil || len(answer.Errors) == 0 || answer.Data != nil || resp.StatusCode >= 500 {
			t.Errorf("%s: %s, %v, data %v", name, resp.Status, err, answer.Data)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s was refused after %v", name, took)
		}
	}
	if err := g.sendMessage("s", "still here"); err != nil {
		t.Error(err)
	}
}
