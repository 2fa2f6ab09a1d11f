// Package check holds what is under deploy/aws to what AWS, Terraform and
// CloudFormation know of it, without an account: the configuration of Terraform is
// formatted, validated and tried out by Terraform itself, against a provider that
// knows the schemas of the resources (stub); the templates of CloudFormation and SAM
// are decoded strictly into the types of goformation; and no role may do more than
// its function needs.
//
// It is a module of its own, so that nobody who builds the gateway needs what it
// needs.
package check
