// Command stub stands in for the AWS provider when `terraform validate` has none: it
// knows which attributes and blocks the resource types have that the modules use, of
// which type they are and which are required, and nothing else. What the provider
// itself says of values (enumerations, ARNs, which arguments exclude each other) it
// does not.
//
// schema.json says what it was made of; generate.mjs makes it anew. Terraform finds
// the stub by a dev_overrides entry, see validate_test.go.
package main

import (
	"log"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
)

func main() {
	p, err := newProvider()
	if err != nil {
		log.Fatal(err)
	}
	if err := tf5server.Serve("registry.terraform.io/hashicorp/aws", func() tfprotov5.ProviderServer { return p }); err != nil {
		log.Fatal(err)
	}
}
