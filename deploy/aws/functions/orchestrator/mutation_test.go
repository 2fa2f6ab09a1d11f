package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/awsfn"
	"github.com/runnelhq/runnel/internal/graphql"
)

// The mutations fit the schemas that Terraform deploys, and those let nobody publish
// but who signs.
func TestDeployedSchemas(t *testing.T) {
	t.Parallel()
	designs := schemas()
	for field, file := range map[string]string{
		awsfn.FieldGetLlmResponse: "sendMessage", awsfn.FieldModelSet: "sendChunk", awsfn.FieldStartStream: "publishToken",
	} {
		text, err := os.ReadFile("../../terraform/modules/appsync/schemas/" + file + ".graphql")
		if err != nil {
			t.Fatal(err)
		}
		sdl := strings.NewReplacer("${client}", "@aws_api_key", "${both}", "@aws_api_key @aws_iam").Replace(string(text))
		schema, err := graphql.Load(graphql.Options{DefaultMode: graphql.ModeAPIKey}, graphql.Source{Name: file, Text: sdl})
		if err != nil {
			t.Fatal(err)
		}
		exec, err := graphql.NewExecutor(schema, map[string]graphql.Resolver{
			"Mutation." + file: func(context.Context, *graphql.Field) (graphql.Value, error) {
				switch file {
				case "sendChunk":
					return graphql.ParseJSON([]byte(`"hi"`))
				default:
					return graphql.ParseJSON([]byte(`{"sessionId":"s","message":"hi","token":"hi","isComplete":true,"locale":"en_US","timeStamp":"t","timestamp":"t"}`))
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		design := designs[field]
		variables, err := json.Marshal(design.variables(&awsfn.Job{Session: "s", Locale: "en_US"}, "hi", true))
		if err != nil {
			t.Fatal(err)
		}
		values, err := graphql.ParseJSON(variables)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(sdl, " "+field+"(") {
			t.Errorf("%s.graphql has no %s", file, field)
		}
		op, errs := schema.Prepare(graphql.Request{Query: design.mutation, Variables: values})
		if len(errs) > 0 {
			t.Fatalf("%s: %v", file, errs)
		}
		for mode, want := range map[graphql.Mode]bool{graphql.ModeIAM: true, graphql.ModeAPIKey: false} {
			answer := string(exec.Execute(t.Context(), op, graphql.Caller{Mode: mode}).AppendJSON(nil))
			if ok := !strings.Contains(answer, `"errors"`); ok != want {
				t.Errorf("%s as %s: %s", file, mode, answer)
			}
		}
	}
}
