package check

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// A resolver's file, run by Node with the one thing of AppSync's that it uses.
const runResolver = `
import fs from 'node:fs';
const [, file, args] = process.argv;
const text = fs.readFileSync(file, 'utf8').replace("import { util } from '@aws-appsync/utils';", "const util = { time: { nowISO8601: () => 'now' } };");
const { request, response } = await import('data:text/javascript,' + encodeURIComponent(text));
const ctx = { args: JSON.parse(args) };
console.log(JSON.stringify(response({ ...ctx, result: request(ctx).payload })));
`

// TestResolvers: a mutation returns its arguments, and when it was.
func TestResolvers(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: the resolvers were NOT RUN")
	}
	for name, tt := range map[string]struct{ args, want string }{
		"sendMessage": {
			`{"input":{"sessionId":"s","message":"m","locale":"l"}}`, `{"sessionId":"s","message":"m","locale":"l","timeStamp":"now"}`,
		},
		"sendChunk":    {`{"chunk":"c"}`, `"c"`},
		"publishToken": {`{"sessionId":"s","token":"","isComplete":true}`, `{"sessionId":"s","token":"","isComplete":true,"timestamp":"now"}`},
	} {
		cmd := exec.Command("node", "--input-type=module", "-e", runResolver, root+"/modules/appsync/resolvers/"+name+".js", tt.args)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tt.want || !json.Valid(out) {
			t.Errorf("%s: got %s, want %s, %v", name, out, tt.want, err)
		}
	}
}
