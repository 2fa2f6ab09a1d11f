package jsonscan_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnelhq/runnel/internal/provider/jsonscan"
)

// value reads any value the way encoding/json does into an empty interface.
func value(s *jsonscan.Scanner) any {
	switch s.Kind() {
	case '{':
		m := map[string]any{}
		for key := range s.Object() {
			name := string(key)
			m[name] = value(s)
		}
		return m
	case '[':
		a := []any{}
		for range s.Array() {
			a = append(a, value(s))
		}
		return a
	case '"':
		return s.String()
	case 't', 'f':
		return s.Bool()
	case 'n':
		s.Skip()
		return nil
	}
	var f float64
	_ = json.Unmarshal(s.Raw(), &f) // what is not a number, Raw refuses
	return f
}

func TestScan(t *testing.T) {
	t.Parallel()
	s := jsonscan.New([]byte(` {"text":"a\u00e9\ud83d\ude00\ud83d\n\"", "n" : -12 ,"list":[1,2.9,3e1],"skipped":{"deep":[{}]},
		"none":null,"yes":true,"raw": {"a" : 1} }  `))
	var text string
	var list []int
	var n int
	var yes bool
	var raw string
	for key := range s.Object() {
		switch string(key) {
		case "text":
			text = s.String()
		case "n":
			n = s.Int()
		case "list":
			for range s.Array() {
				list = append(list, s.Int())
			}
		case "none":
			text += s.String()
		case "yes":
			yes = s.Bool()
		case "raw":
			raw = string(s.Raw())
		}
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	got := []any{text, n, list, yes, raw}
	want := []any{"aé😀\uFFFD\n\"", -12, []int{1, 2, 30}, true, `{"a" : 1}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNullIsZero(t *testing.T) {
	t.Parallel()
	read := map[string]func(*jsonscan.Scanner) bool{
		"string": func(s *jsonscan.Scanner) bool { return s.String() == "" },
		"int":    func(s *jsonscan.Scanner) bool { return s.Int() == 0 },
		"bool":   func(s *jsonscan.Scanner) bool { return !s.Bool() },
		"object": func(s *jsonscan.Scanner) bool {
			for range s.Object() {
				return false
			}
			return true
		},
		"array": func(s *jsonscan.Scanner) bool {
			for range s.Array() {
				return false
			}
			return true
		},
	}
	for name, read := range read {
		s := jsonscan.New([]byte("null"))
		if !read(&s) || s.Done() != nil {
			t.Errorf("%s: null is not the zero value", name)
		}
	}
}

func TestLookWithoutReading(t *testing.T) {
	t.Parallel()
	s := jsonscan.New([]byte(`{"a": 1, "b": [ 2 ]}`))
	for range s.Object() {
		if s.Kind() == '[' {
			for range s.Array() {
				s.Kind()
			}
		}
	}
	if err := s.Done(); err != nil {
		t.Error(err)
	}
}

func TestMismatch(t *testing.T) {
	t.Parallel()
	read := map[string]func(*jsonscan.Scanner){
		`5`:     func(s *jsonscan.Scanner) { _ = s.String() },
		`"5"`:   func(s *jsonscan.Scanner) { s.Int() },
		`0`:     func(s *jsonscan.Scanner) { s.Bool() },
		`[]`:    func(s *jsonscan.Scanner) { s.Object()(func([]byte) bool { return true }) },
		`{}`:    func(s *jsonscan.Scanner) { s.Array()(func(int) bool { return true }) },
		`1e999`: func(s *jsonscan.Scanner) { s.Int() },
		`{} {}`: func(s *jsonscan.Scanner) { s.Skip() },
		`{"a":`: func(s *jsonscan.Scanner) { s.Skip() },
		``:      func(s *jsonscan.Scanner) { s.Skip() },
		strings.Repeat("[", jsonscan.MaxDepth+1) + strings.Repeat("]", jsonscan.MaxDepth+1): func(s *jsonscan.Scanner) { s.Skip() },
	}
	for in, read := range read {
		s := jsonscan.New([]byte(in))
		read(&s)
		if s.Done() == nil {
			t.Errorf("accepted %.20q", in)
		}
	}
}

// FuzzScan holds the scanner to encoding/json: both accept the same data and
// read the same from it.
func FuzzScan(f *testing.F) {
	f.Add([]byte(` {"a":[1,-0.5e+3,"\u00e9\ud83d\ude00\ud83dx\/\b\f\n\r\t"],"b":{"c":null,"d":true,"e":false}} `))
	f.Add([]byte("\"\xff\xed\xa0\x80\""))
	f.Add([]byte(`[1,]`))
	f.Add([]byte(`{"a":01}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if deep(in) {
			return
		}
		s := jsonscan.New(in)
		s.Skip()
		if err := s.Done(); (err == nil) != json.Valid(in) {
			t.Fatalf("%q: got %v, encoding/json says %v", in, err, json.Valid(in))
		}
		var want any
		if json.Unmarshal(in, &want) != nil {
			return
		}
		s = jsonscan.New(in)
		got := value(&s)
		if err := s.Done(); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if !reflect.DeepEqual(squash(want), squash(got)) {
			t.Fatalf("%q (-want +got):\n%s", in, cmp.Diff(want, got))
		}
	})
}

func deep(in []byte) bool {
	return strings.Count(string(in), "[")+strings.Count(string(in), "{") > jsonscan.MaxDepth
}

// squash takes out the replacement characters: how many stand for a run of
// invalid bytes is nobody's concern.
func squash(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\uFFFD", "")
	case []any:
		for i := range v {
			v[i] = squash(v[i])
		}
	case map[string]any:
		out := map[string]any{}
		for key, val := range v {
			out[strings.ReplaceAll(key, "\uFFFD", "")] = squash(val)
		}
		return out
	}
	return v
}

func BenchmarkScan(b *testing.B) {
	frame := []byte(`{"id":"chatcmpl-AbCdEf","object":"chat.completion.chunk","created":1730000000,"model":"gpt-5-mini","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}`)
	b.ReportAllocs()
	for b.Loop() {
		s := jsonscan.New(frame)
		s.Skip()
		if s.Done() != nil {
			b.Fatal("refused")
		}
	}
}
