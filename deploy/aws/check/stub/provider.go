package main

import (
	"context"
	_ "embed" // for the schemas
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed schema.json
var schemas []byte

// A block is what a resource, or a block in it, may have. An attribute is its type
// and whether it is required (r), optional (o), computed (c) or either (oc).
type block struct {
	Attributes map[string][2]string `json:"attributes"`
	Blocks     map[string]nested    `json:"blocks"`
}

type nested struct {
	block

	Nesting  string `json:"nesting"`
	Min, Max int64
}

// A provider validates configurations, and does nothing else: what is not here is
// never called.
type provider struct {
	tfprotov5.ProviderServer

	answer tfprotov5.GetProviderSchemaResponse
}

func newProvider() (*provider, error) {
	var all struct {
		Provider  block
		Resources map[string]block
		Data      map[string]block
	}
	if err := json.Unmarshal(schemas, &all); err != nil {
		return nil, fmt.Errorf("schema.json: %w", err)
	}
	p := &provider{}
	p.answer.ResourceSchemas, p.answer.DataSourceSchemas = map[string]*tfprotov5.Schema{}, map[string]*tfprotov5.Schema{}
	var err error
	if p.answer.Provider, err = all.Provider.schema(); err != nil {
		return nil, err
	}
	for name, b := range all.Resources {
		if p.answer.ResourceSchemas[name], err = b.schema(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, b := range all.Data {
		if p.answer.DataSourceSchemas[name], err = b.schema(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, nil
}

func (b block) schema() (*tfprotov5.Schema, error) {
	inner, err := b.inner()
	return &tfprotov5.Schema{Block: inner}, err
}

func (b block) inner() (*tfprotov5.SchemaBlock, error) {
	out := &tfprotov5.SchemaBlock{}
	for name, a := range b.Attributes {
		t, err := parseType(a[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Attributes = append(out.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: t, Required: a[1] == "r", Optional: strings.Contains(a[1], "o"), Computed: strings.Contains(a[1], "c"),
		})
	}
	for name, n := range b.Blocks {
		inner, err := n.inner()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		nesting, ok := map[string]tfprotov5.SchemaNestedBlockNestingMode{
			"list": tfprotov5.SchemaNestedBlockNestingModeList, "set": tfprotov5.SchemaNestedBlockNestingModeSet,
			"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
		}[n.Nesting]
		if !ok {
			return nil, fmt.Errorf("%s: the nesting %q", name, n.Nesting)
		}
		nb := &tfprotov5.SchemaNestedBlock{TypeName: name, Block: inner, Nesting: nesting}
		if n.Nesting != "single" {
			nb.MinItems, nb.MaxItems = n.Min, n.Max
		}
		out.BlockTypes = append(out.BlockTypes, nb)
	}
	return out, nil
}

// parseType reads string, number, bool, dynamic, or a list, set or map of one.
func parseType(text string) (tftypes.Type, error) {
	kind, element, ok := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	if ok {
		inner, err := parseType(element)
		switch kind {
		case "list":
			return tftypes.List{ElementType: inner}, err
		case "set":
			return tftypes.Set{ElementType: inner}, err
		case "map":
			return tftypes.Map{ElementType: inner}, err
		}
	}
	if t, ok := map[string]tftypes.Type{
		"string": tftypes.String, "number": tftypes.Number, "bool": tftypes.Bool, "dynamic": tftypes.DynamicPseudoType,
	}[text]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("the type %q", text)
}

// GetProviderSchema tells the schemas.
func (p *provider) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &p.answer, nil
}

// PrepareProviderConfig accepts every configuration that the schema allows, like
// those that follow.
func (p *provider) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ValidateResourceTypeConfig refuses what only the provider sets. Everything else has
// been compared with the schema already.
func (p *provider) ValidateResourceTypeConfig(_ context.Context, r *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	schema := p.answer.ResourceSchemas[r.TypeName]
	value, err := r.Config.Unmarshal(schema.ValueType())
	if err != nil {
		return nil, err
	}
	var members map[string]tftypes.Value
	if err := value.As(&members); err != nil {
		return nil, err
	}
	answer := &tfprotov5.ValidateResourceTypeConfigResponse{}
	for _, a := range schema.Block.Attributes {
		if !a.Optional && !a.Required && !members[a.Name].IsNull() {
			answer.Diagnostics = append(answer.Diagnostics, &tfprotov5.Diagnostic{
				Severity: tfprotov5.DiagnosticSeverityError, Summary: "Value for unconfigurable attribute",
				Detail: fmt.Sprintf("Can't configure a value for %q: its value will be decided automatically.", a.Name),
			})
		}
	}
	return answer, nil
}

// ValidateDataSourceConfig accepts a data source.
func (p *provider) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

// StopProvider does nothing.
func (p *provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}
