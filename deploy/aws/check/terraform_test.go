package check

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../terraform"

// A terraform runs the real program, with the stub in place of the AWS provider.
type terraform struct {
	t   *testing.T
	env []string
}

func newTerraform(t *testing.T) *terraform {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil {
		t.Skip("TERRAFORM IS NOT INSTALLED: what it says of the configuration was NOT CHECKED; TestConfiguration looks at names and types only")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "terraform-provider-aws"), "./stub").CombinedOutput(); err != nil {
		t.Fatalf("build the stub: %v\n%s", err, out)
	}
	rc := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"hashicorp/aws\" = %q\n  }\n  direct {}\n}\n", dir)
	write(t, filepath.Join(dir, "rc"), rc)
	return &terraform{t, append(os.Environ(),
		"TF_CLI_CONFIG_FILE="+filepath.Join(dir, "rc"), "TF_DATA_DIR="+filepath.Join(dir, "data"),
		"TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1",
	)}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (tf *terraform) run(dir string, args ...string) (string, error) {
	cmd := exec.Command("terraform", args...)
	cmd.Dir, cmd.Env = dir, tf.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (tf *terraform) must(dir string, args ...string) string {
	tf.t.Helper()
	out, err := tf.run(dir, args...)
	if err != nil {
		tf.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestTerraform(t *testing.T) {
	tf := newTerraform(t)
	tf.must(root, "fmt", "-check", "-diff", "-recursive")
	tf.must(root, "get", "-no-color")
	tf.must(root, "validate", "-no-color")
	out := tf.must(root, "test", "-no-color")
	if !strings.Contains(out, "8 passed, 0 failed") {
		t.Errorf("terraform test:\n%s", out)
	}
}

// faulty are configurations, what Terraform says of them with the stub, and what
// TestConfiguration does.
var faulty = map[string]struct{ config, terraform, here string }{
	"all well":           {`resource "aws_sqs_queue" "a" { name = "a" }`, "", ""},
	"unknown argument":   {`resource "aws_sqs_queue" "a" { nam = "a" }`, `An argument named "nam" is not expected here`, "nam is not known"},
	"missing argument":   {`resource "aws_iam_role" "a" { name = "a" }`, `The argument "assume_role_policy" is required`, "assume_role_policy is missing"},
	"wrong type":         {`resource "aws_sqs_queue" "a" { delay_seconds = "soon" }`, `a number is required`, "must be a number"},
	"unknown block":      {"resource \"aws_sqs_queue\" \"a\" {\n  ttl {}\n}", `Blocks of type "ttl" are not expected here`, "the block ttl is not known"},
	"in a block":         {"resource \"aws_dynamodb_table\" \"a\" {\n  name = \"a\"\n  ttl {\n    nam = \"x\"\n  }\n}", `An argument named "nam" is not expected`, "nam is not known"},
	"unknown attribute":  {"resource \"aws_sqs_queue\" \"a\" {}\noutput \"x\" {\n  value = aws_sqs_queue.a.ur\n}", `exported attribute named "ur"`, "has no ur"},
	"unknown reference":  {"output \"x\" {\n  value = aws_sqs_queue.b.url\n}", `has not been declared`, "aws_sqs_queue.b.url is not known"},
	"unknown resource":   {`resource "aws_sqs_cue" "a" {}`, `does not support resource type "aws_sqs_cue"`, "schema.json has no resource aws_sqs_cue"},
	"computed attribute": {`resource "aws_sqs_queue" "a" { arn = "a" }`, `Can't configure a value for "arn"`, "arn cannot be set"},
}

// The stub refuses what the provider's schemas do.
func TestStub(t *testing.T) {
	tf := newTerraform(t)
	const head = "terraform {\n  required_providers {\n    aws = {\n      source = \"hashicorp/aws\"\n    }\n  }\n}\n"
	for name, tt := range faulty {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "main.tf"), head+tt.config+"\n")
		out, err := tf.run(dir, "validate", "-no-color")
		if (err == nil) != (tt.terraform == "") || !strings.Contains(strings.Join(strings.Fields(out), " "), tt.terraform) {
			t.Errorf("%s: want %q, got %v\n%s", name, tt.terraform, err, out)
		}
	}
}
