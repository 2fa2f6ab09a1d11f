package function_test

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Memory = 256
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	wantFailure(t, invoke(t, f, question{Memory: 512}), "Runtime.OutOfMemory", "may have 256")
	if got := invoke(t, f, question{Echo: "x"}); string(got.Payload) != `"x"` {
		t.Errorf("after it, got %s, %v", got.Payload, got.Failure)
	}
}

// What a handler has started ends with it.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Concurrency = 1
	set, _ := serve(t, c)
	f := lookup(t, set, "f")
	res := invoke(t, f, question{Child: true})
	var pid int
	if err := json.Unmarshal(res.Payload, &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("the child is not there")
	}
	wantFailure(t, invoke(t, f, question{Exit: 1}), "Runtime.ExitError", "exit status 1")
	await(t, func() bool { return !alive(pid) })
}

func TestIdle(t *testing.T) {
	t.Parallel()
	c := child("f", "")
	c.Idle = 50 * time.Millisecond
	set, _ := serve(t, c)
	first := pid(t, invoke(t, lookup(t, set, "f"), question{Context: true}))
	await(t, func() bool { return !alive(first) })
	if second := pid(t, invoke(t, lookup(t, set, "f"), question{Context: true})); second == first {
		t.Error("the process is still there")
	}
}

// alive reports whether a process runs. One that has ended may wait for its
// parent to look.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	for i := len(stat) - 1; i >= 0; i-- {
		if stat[i] == ')' {
			return i+2 < len(stat) && stat[i+2] != 'Z' && stat[i+2] != 'X'
		}
	}
	return false
}
