package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/runnelhq/runnel"
)

const events = "/v1/sessions/s/events"

// publish publishes pieces one after the other.
func (r *rig) publish(t *testing.T, bodies ...string) (receipt runnel.Receipt) {
	t.Helper()
	for _, body := range bodies {
		resp := r.do(t, "POST", events, body)
		receipt = decode[runnel.Receipt](t, resp)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", body, resp.Status)
		}
	}
	return receipt
}

func TestPublish(t *testing.T) {
	t.Parallel()
	r := start(t, says(), nil)
	viewer := frames(r.do(t, "GET", events, ""))
	receipt := r.publish(t,
		`{"type":"generation.started","model":"theirs","prompt":"why?","data":"#START#"}`,
		`{"type":"delta","text":"a <b>","data":{"token":"a <b>", "n":1}}`,
		`{"type":"delta","text":"","data":{"token":""},"generation":null}`,
		`{"type":"reasoning","text":"hm"}`,
		`{"type":"progress","progress":{"step":1}}`,
		`{"type":"generation.done","stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2},"data":[1]}`)
	id := `"generation":"` + string(receipt.Generation) + `","attempt":1`
	for _, want := range []string{
		`{"v":1,"type":"generation.queued",` + id + `,"prompt":"why?"}`,
		`{"v":1,"type":"generation.started",` + id + `,"model":"theirs","data":"#START#"}`,
		`{"v":1,"type":"delta",` + id + `,"text":"a <b>","data":{"token":"a \u003cb\u003e","n":1}}`,
		`{"v":1,"type":"delta",` + id + `,"text":"","data":{"token":""}}`,
		`{"v":1,"type":"reasoning",` + id + `,"text":"hm"}`,
		`{"v":1,"type":"progress",` + id + `,"progress":{"step":1}}`,
		`{"v":1,"type":"generation.done",` + id + `,"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2},"data":[1]}`,
	} {
		if got := next(t, viewer); strings.Replace(got.Data, `"attempt":0`, `"attempt":1`, 1) != want {
			t.Errorf("got  %s\nwant %s", got.Data, want)
		}
	}
	failed := r.publish(t, `{"type":"generation.failed","kind":"limited","message":"no more"}`)
	if g := r.await(t, failed.Generation); g.State != runnel.Failed || *g.Failure != (runnel.Failure{Kind: "limited", Message: "no more"}) {
		t.Errorf("the generation is %+v", g)
	}
}

func TestPublishRepeated(t *testing.T) {
	t.Parallel()
	r := start(t, says(), nil)
	for i, want := range []bool{false, true} {
		resp := r.do(t, "POST", events, `{"type":"delta","text":"a"}`, "Idempotency-Key: k")
		receipt := decode[runnel.Receipt](t, resp)
		if resp.StatusCode != http.StatusAccepted || receipt.Repeated != want || resp.Header.Get("Location") != "/v1/generations/"+string(receipt.Generation) {
			t.Errorf("time %d: %s %v %+v", i, resp.Status, resp.Header, receipt)
		}
	}
	if resp := r.do(t, "POST", events, `{"type":"delta","text":"b"}`, "Idempotency-Key: k"); resp.StatusCode != http.StatusConflict {
		t.Errorf("the same key with another piece: %s", resp.Status)
	}
	r.publish(t, `{"type":"generation.done"}`)
}

// A publisher learns that its answer was stopped, and that it has ended.
func TestPublishToAnEnd(t *testing.T) {
	t.Parallel()
	r := start(t, says(), nil)
	receipt := r.publish(t, `{"type":"delta","text":"a"}`)
	r.do(t, "POST", "/v1/generations/"+string(receipt.Generation)+"/cancel", "")
	r.await(t, receipt.Generation)
	for _, body := range []string{`{"type":"delta","text":"b"}`, `{"type":"delta","text":"b","generation":"` + string(receipt.Generation) + `"}`} {
		resp := r.do(t, "POST", events, body)
		if got := decode[struct{ Error runnel.Failure }](t, resp); resp.StatusCode != http.StatusConflict || got.Error.Kind != "cancelled" {
			t.Errorf("%s: %s %+v", body, resp.Status, got)
		}
	}
	resp := r.do(t, "POST", events, `{"type":"delta","text":"b","generation":"nope"}`)
	if got := decode[struct{ Error runnel.Failure }](t, resp); resp.StatusCode != http.StatusConflict || got.Error.Kind != "conflict" {
		t.Errorf("%s %+v", resp.Status, got)
	}
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, says(), nil)
	for _, tt := range []struct {
		body, message string
	}{
		{``, "not a JSON object"},
		{`{}`, `"type" is missing`},
		{`{"type":"token"}`, `the type is "token"; it must be one of delta, generation.done`},
		{`{"type":"reset"}`, "it must be one of"},
		{`{"typ":"delta"}`, `did you mean "type"?`},
		{`{"type":"delta"}`, `"text" is missing`},
		{`{"type":"delta","text":null}`, `"text" is missing`},
		{`{"type":"delta","text":1}`, `"text" must be a string`},
		{`{"type":"progress"}`, `"progress" is missing`},
		{`{"type":"generation.done","text":"all of it"}`, `"text" does not belong to the type "generation.done"`},
		{`{"type":"delta","text":"a","usage":{}}`, `"usage" does not belong`},
		{`{"type":"delta","text":"a","kind":"internal"}`, `"kind" does not belong`},
		{`{"type":"generation.done","usage":5}`, `"usage" must be an object`},
		{`{"type":"generation.failed","kind":"bad"}`, `the kind is "bad"`},
		{`{"type":"generation.started","generation":"g"}`, "cannot name one"},
		{`{"type":"delta","text":"a","data":{}`, "not valid JSON"},
	} {
		resp := r.do(t, "POST", events, tt.body)
		body := decode[struct{ Error runnel.Failure }](t, resp)
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body.Error.Message, tt.message) {
			t.Errorf("%s: got %d %+v, want 400 with %q", tt.body, resp.StatusCode, body.Error, tt.message)
		}
	}
	if tr := decode[runnel.Transcript](t, r.do(t, "GET", "/v1/sessions/s", "")); len(tr.Active)+len(tr.Turns) != 0 {
		t.Errorf("something was published: %+v", tr)
	}
}
